"""What the commands of the offline half do; `training.cli` declares them without loading torch."""
