"""`make bench-training`: cost of a training step beside the encoder's forward and backward pass."""
