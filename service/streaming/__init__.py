"""Streams of any length: read, answered in order, stored, with bounded memory.

Formats of input and output lie in `inputs` and `outputs`.
"""
