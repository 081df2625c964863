"""The statements that the index runs on one space's table.

`<#>` is the negative inner product, which orders vectors of length one as the cosine does; equal scores
are ordered by id. Placeholders in braces are filled in by `psycopg.sql`, the others by values.
Ids are found by the index of (space, id), so that a statement by id names the space, which all rows share.
"""

from dataclasses import dataclass

from psycopg import sql

PUT = sql.SQL("""
INSERT INTO {table} (space, id, embedding, code, metadata, width, height, format,
                     thumbnail, original, original_sha256, updated)
VALUES ({space}, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, coalesce(%s, now()))
ON CONFLICT (space, id) DO UPDATE SET
    embedding = excluded.embedding, code = excluded.code, metadata = excluded.metadata,
    width = excluded.width, height = excluded.height, format = excluded.format,
    thumbnail = excluded.thumbnail, original = excluded.original,
    original_sha256 = excluded.original_sha256, updated = excluded.updated
""")

GET = sql.SQL("""
SELECT embedding, metadata, width, height, format, updated FROM {table} WHERE space = {space} AND id = %s
""")

VECTORS = sql.SQL("SELECT id, embedding FROM {table} WHERE space = {space} AND id = ANY (%s)")

PICTURES = sql.SQL("""
SELECT id, width, height, format, thumbnail, original, original_sha256
FROM {table} WHERE space = {space} AND id = ANY (%s)
""")

DELETE = sql.SQL("DELETE FROM {table} WHERE space = {space} AND id = %s")

DELETE_MANY = sql.SQL("DELETE FROM {table} WHERE space = {space} AND id = ANY (%s)")

# In the order of their ids, as every other writer does.
LOCK = sql.SQL("""
SELECT id, updated FROM {table} WHERE space = {space} AND id = ANY (%s) ORDER BY id FOR UPDATE
""")

# Ids sort by bytes, so those that begin alike lie side by side in the primary key.
LIST = sql.SQL("""
SELECT id, metadata, width, height, format, updated FROM {table}
WHERE space = {space} AND id ^@ %(prefix)s AND id > %(after)s AND {condition}
ORDER BY id LIMIT %(limit)s
""")

# A sample of about so many per cent, the same at each call while the items stay; all rows at 100.
SAMPLE = sql.SQL("""
SELECT id, metadata, thumbnail IS NOT NULL, embedding
FROM {table} TABLESAMPLE {method} (%(percent)s) REPEATABLE (0)
ORDER BY hashtext(id), id LIMIT %(limit)s
""")

DELETE_ALL = sql.SQL("DELETE FROM {table} WHERE space = {space} AND id ^@ %(prefix)s")


@dataclass(frozen=True)
class Counts:
    """Statements on the numbers of rows, which triggers keep in one table for all spaces.

    Attributes:
        read: rows of a space, and the parts that they are the sum of.
        add_up: put the parts together; there is one more with every statement that changes rows.
    """

    read: sql.Composed
    add_up: sql.Composed

    @classmethod
    def of(cls, table: str) -> "Counts":
        """Return the statements on a table of the schema `infomax`."""
        name = sql.Identifier("infomax", table)
        return cls(_COUNT.format(counts=name), _ADD_UP.format(counts=name))


_COUNT = sql.SQL("SELECT coalesce(sum(change), 0)::bigint, count(*) FROM {counts} WHERE space = %s")
_ADD_UP = sql.SQL("""
WITH parts AS (
    DELETE FROM {counts} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {counts} WHERE space = %(space)s FOR UPDATE SKIP LOCKED
    )) RETURNING change
)
INSERT INTO {counts} SELECT %(space)s, sum(change) FROM parts HAVING count(*) > 0
""")
ITEM_COUNTS = Counts.of("item_counts")
CELL_COUNTS = Counts.of("cell_counts")

EXACT = sql.SQL("""
SELECT id, metadata, code, distance FROM (
    SELECT id, metadata, {code} AS code, embedding <#> %(vector)s AS distance
    FROM {table} WHERE {condition} ORDER BY distance, id LIMIT {k}
) AS nearest ORDER BY distance, id
""")

# Settings of the graph that hold for this statement alone, also behind a pooler that gives the next one to
# another connection. PostgreSQL evaluates such a condition once, and before the scan that it stands over.
WALK_SETTINGS = sql.SQL("""
(SELECT set_config('hnsw.ef_search', %(breadth)s, true)
     || set_config('hnsw.iterative_scan', 'relaxed_order', true)
     || set_config('hnsw.max_scan_tuples', %(most)s, true)
     || set_config('hnsw.scan_mem_multiplier', '8', true)) IS NOT NULL
""")

APPROXIMATE = sql.SQL("""
WITH nearest AS MATERIALIZED (
    SELECT id, metadata, {code} AS code, embedding
    FROM {table}
    WHERE {settings}
      AND {condition}
    ORDER BY {half_embedding} <#> {half_vector} LIMIT {candidates}
)
SELECT id, metadata, code, embedding <#> %(vector)s AS distance, count(*) OVER () AS candidates
FROM nearest ORDER BY distance, id LIMIT {k}
""")

# Read with each search until there is a graph: one that another process has built is used at once.
EXTENT = """
SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%(graph)s)), false),
       (SELECT coalesce(sum(change), 0) FROM infomax.item_counts WHERE space = %(space)s)::bigint,
       pg_relation_size(to_regclass(%(table)s)) / current_setting('block_size')::bigint
"""

SHARE = sql.SQL("""
SELECT count(*), count(*) FILTER (WHERE {condition}) FROM {table} WHERE ctid = ANY (%(places)s::tid[])
""")

STATISTICS = """
SELECT s.model, s.preprocessing_sha256, s.encoder_sha256, s.dimensions, coalesce(n.items, 0)::bigint,
       pg_total_relation_size(to_regclass('infomax.items_' || s.number)),
       CASE WHEN (SELECT indisvalid FROM pg_index
                  WHERE indexrelid = to_regclass('infomax.items_' || s.number || '_hnsw'))
            THEN 'hnsw' ELSE 'exact' END,
       (SELECT max(least(1.0, p.tuples_done::float / greatest(1, n.items)))
        FROM pg_stat_progress_create_index AS p
        WHERE p.relid = to_regclass('infomax.items_' || s.number)),
       coalesce(c.cells, 0)::bigint,
       coalesce(pg_total_relation_size(to_regclass('infomax.cells_' || s.number)), 0),
       CASE WHEN (SELECT indisvalid FROM pg_index
                  WHERE indexrelid = to_regclass('infomax.cells_' || s.number || '_hnsw'))
            THEN 'hnsw' ELSE 'exact' END,
       (coalesce(n.items, 0) - coalesce(c.cells / greatest(1, (
           -- All images of a space have as many cells as any one.
           SELECT count(*) FROM infomax.cells AS cell WHERE cell.space = s.number AND cell.id = (
               SELECT id FROM infomax.cells AS other WHERE other.space = s.number ORDER BY id LIMIT 1
           )
       )), 0))::bigint
FROM infomax.spaces AS s
LEFT JOIN (SELECT space, sum(change) AS items FROM infomax.item_counts GROUP BY space) AS n
       ON n.space = s.number
LEFT JOIN (SELECT space, sum(change) AS cells FROM infomax.cell_counts GROUP BY space) AS c
       ON c.space = s.number
ORDER BY s.number
"""

VERSIONS = "SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'"
