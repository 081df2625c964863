"""One engine each, behind `bench.neighbours.engine.Engine`; each is imported where it runs."""

from bench.neighbours.engine import EngineInfo

ENGINES = {
    "infomax": EngineInfo("bench.neighbours.engines.service_rest:Service", "", "PostgreSQL, through REST"),
    "pgvector": EngineInfo("bench.neighbours.engines.bare_pgvector:BarePgvector", "", "HNSW halfvec, bare"),
    "usearch": EngineInfo("bench.neighbours.engines.usearch_index:Usearch", "usearch", "HNSW f16, in memory"),
    "faiss": EngineInfo("bench.neighbours.engines.faiss_index:Faiss", "faiss-cpu", "HNSW f16, in memory"),
    "lancedb": EngineInfo(
        "bench.neighbours.engines.lancedb_table:LanceDB", "lancedb", "IVF_HNSW_SQ, on disk"
    ),
    "qdrant-edge": EngineInfo(
        "bench.neighbours.engines.qdrant_shard:Qdrant", "qdrant-edge-py", "HNSW f16, on disk"
    ),
}
