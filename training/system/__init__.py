"""The machine under a run: hardware, memory, files that are written whole.

Nothing of images or models enters here.
"""
