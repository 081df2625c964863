"""Benchmark of the search by region."""
