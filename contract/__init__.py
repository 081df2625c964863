"""What the training half and the serving half agree on, free of torch and of FastAPI."""
