"""Throughput of the Python client beside curl's stream."""
