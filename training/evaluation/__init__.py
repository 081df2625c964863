"""How good an encoder is: probes, quality, measures.

Nothing here changes an encoder.
"""
