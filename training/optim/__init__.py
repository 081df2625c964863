"""Optimisers and their schedules.

Nothing here knows what is optimised.
"""
