"""What the index holds after a kill."""

import httpx
import psycopg

from bench.kill_rounds.expected import Version

_PAGE = 1000
# What one transaction has written has one xmin.
_TORN = """
SELECT coalesce(item.id, cell.id), item.image, item.width IS NOT NULL, coalesce(cell.cells, 0),
       (cell.first, cell.last) = (item.written, item.written)
FROM (SELECT id, xmin::text AS written, width, (metadata ->> 'image')::boolean AS image
      FROM infomax.items) AS item
FULL JOIN (SELECT id, min(xmin::text) AS first, max(xmin::text) AS last, count(*) AS cells
           FROM infomax.cells GROUP BY id) AS cell USING (id)
WHERE item.id IS NULL OR item.image <> (item.width IS NOT NULL)
      OR coalesce(cell.cells, 0) <> CASE WHEN item.image THEN %(cells)s ELSE 0 END
      OR (cell.first, cell.last) <> (item.written, item.written)
"""
_COUNTS = """
SELECT (SELECT sum(change) FROM infomax.item_counts), (SELECT count(*) FROM infomax.items),
       (SELECT sum(change) FROM infomax.cell_counts), (SELECT count(*) FROM infomax.cells)
"""


def stored(url: str) -> dict[str, Version]:
    """Read the version of every item of the index."""
    found: dict[str, Version] = {}
    after = ""
    with httpx.Client(base_url=url, timeout=60) as client:
        while True:
            answer = (
                client.get("/v1/items", params={"limit": _PAGE, "after": after}).raise_for_status().json()
            )
            found |= {item["id"]: item["metadata"]["version"] for item in answer["items"]}
            if (after := answer["next"]) is None:
                return found


def images(database: str) -> int:
    """Count the stored images."""
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM infomax.items WHERE width IS NOT NULL").fetchone()
    assert row is not None
    return int(row[0])


def torn(database: str, cells: int) -> list[str]:
    """List what is not whole: items and cells that were not written together, and wrong counts.

    Args:
        database: URL.
        cells: of an image.
    """
    with psycopg.connect(database) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        wrong = [
            f"{name}: image {image}, stored as one {as_image}, {count} cells, written together {together}"
            for name, image, as_image, count, together in connection.execute(_TORN, {"cells": cells})
        ]
        counts = connection.execute(_COUNTS).fetchone()
    assert counts is not None
    counted_items, items, counted_cells, all_cells = (int(one or 0) for one in counts)
    if (counted_items, counted_cells) != (items, all_cells):
        wrong.append(f"{counted_items} items and {counted_cells} cells counted of {items} and {all_cells}")
    return wrong
