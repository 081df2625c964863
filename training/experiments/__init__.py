"""Comparisons over many runs: ablation, reproduction of the paper, utility, baselines.

Nothing imports this room but commands and reports.
"""
