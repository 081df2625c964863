"""Model versions: found, loaded, exchanged while serving, retired.

What happens inside one version lies in `inference`.
"""
