"""Tells that memory ran out, which every library says in its own way."""

# PyTorch's CPU allocator raises a bare RuntimeError; only its words tell it from others.
_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "Failed to allocate memory")


def ran_out(error: BaseException) -> bool:
    """Tell whether an error of Python, NumPy, PyTorch or ONNX Runtime means that there is no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)
