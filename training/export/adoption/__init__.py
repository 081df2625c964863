"""Encoders that were not trained here: a trunk of PyTorch or ONNX gets an embedding, a critic and a card."""
