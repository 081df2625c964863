"""The machine under the process: cores, memory allocator, signals, GPU.

Nothing of images, models or HTTP enters here.
"""
