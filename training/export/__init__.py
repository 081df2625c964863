"""From a trained run to a model folder: graphs, critic, calibration, 8 bits, card.

Nothing here trains an encoder.
"""
