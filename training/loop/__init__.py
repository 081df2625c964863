"""The training run: steps, checkpoints, metrics, resume, stop.

What is trained lies in `model`.
"""
