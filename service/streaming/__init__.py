"""Streams of any length: read, answered in order and stored, with bounded memory.

The rooms `inputs` and `outputs` hold their formats.
"""
