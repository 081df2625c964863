"""The one path from encoded bytes to embeddings and maps: admission, decoding, batches, ONNX Runtime.

Nothing of HTTP enters here.
"""
