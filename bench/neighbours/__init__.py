"""Benchmark of nearest neighbours: this service beside engines and a bare pgvector, on the same vectors."""
