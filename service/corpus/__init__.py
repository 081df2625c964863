"""A corpus of images to files of embeddings: what `infomax embed` does, in pieces that survive a kill."""
