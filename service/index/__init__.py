"""What is searched: items with their vectors, in PostgreSQL with pgvector."""
