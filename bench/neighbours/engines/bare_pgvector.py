"""Bare PostgreSQL with pgvector, from the wheel that the service embeds: its floor."""

from pathlib import Path
from time import perf_counter

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from bench.neighbours.engine import BUILD_BREADTH, FIELDS, LINKS, SEARCH_BREADTH, SPARE, BuildTimes, Labels
from service.index.embedded import EmbeddedPostgres
from service.index.graph_resources import choose

_TABLE = """
CREATE TABLE items (
    id integer PRIMARY KEY, embedding vector({dimensions}), tenth integer, thousandth integer
)
"""
_GRAPH = """
CREATE INDEX ON items USING hnsw ((embedding::halfvec({})) halfvec_ip_ops)
    WITH (m = {}, ef_construction = {})
"""
_SEARCH = """
WITH near AS MATERIALIZED (
    SELECT id, embedding FROM items WHERE {condition}
    ORDER BY (embedding::halfvec({dimensions})) <#> %(half)s LIMIT {candidates}
) SELECT id FROM near ORDER BY embedding <#> %(whole)s LIMIT {k}
"""


class BarePgvector:
    """One table, one graph, one connection, prepared statements."""

    filters = True

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._dimensions = dimensions
        self._server = EmbeddedPostgres(folder)

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        self._server.start()
        self._connection = psycopg.connect(self._server.url, autocommit=True, prepare_threshold=0)
        run = self._connection.execute
        run("CREATE EXTENSION vector")
        register_vector(self._connection)
        run(sql.SQL(_TABLE).format(dimensions=sql.Literal(self._dimensions)))
        run("ALTER TABLE items ALTER COLUMN embedding SET STORAGE MAIN")
        started = perf_counter()
        statement = "COPY items FROM STDIN (FORMAT binary)"
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(["int4", "vector", "int4", "int4"])
            for row, (vector, own) in enumerate(zip(vectors, labels.tolist(), strict=True)):
                copy.write_row((row, np.asarray(vector), *own))
        loaded = perf_counter()
        resources = choose(len(vectors), self._dimensions)
        run(sql.SQL("SET maintenance_work_mem = {}").format(sql.Literal(f"{resources.memory // 1024}kB")))
        run(sql.SQL("SET max_parallel_maintenance_workers = {}").format(sql.Literal(resources.workers)))
        run("SET min_parallel_table_scan_size = 0")
        numbers = map(sql.Literal, (self._dimensions, LINKS, BUILD_BREADTH))
        run(sql.SQL(_GRAPH).format(*numbers))
        for field in FIELDS:
            run(sql.SQL("CREATE INDEX ON items ({})").format(sql.Identifier(field)))
        run("VACUUM ANALYZE items")
        built = perf_counter()
        run(sql.SQL("SET hnsw.ef_search = {}").format(sql.Literal(SEARCH_BREADTH)))
        run("SET hnsw.iterative_scan = relaxed_order")
        return BuildTimes(loaded - started, built - loaded)

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        condition: sql.Composable = sql.SQL("true")
        if field is not None:
            condition = sql.SQL("{} = %(value)s").format(sql.Identifier(field))
        statement = sql.SQL(_SEARCH).format(
            condition=condition,
            dimensions=sql.Literal(self._dimensions),
            candidates=sql.Literal(k + SPARE),
            k=sql.Literal(k),
        )
        values = {"half": HalfVector(vector), "whole": vector, "value": value}
        return [row[0] for row in self._connection.execute(statement, values, binary=True).fetchall()]

    def close(self) -> None:
        self._connection.close()
        self._server.stop()
