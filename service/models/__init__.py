"""Model versions: found, loaded, activated while serving, retired.

Inference within one version belongs to the room `inference`.
"""
