"""What a training step costs beside the encoder's own forward and backward pass: `make bench-training`."""
