"""Memory and processes for building a graph, from what the database's machine has."""

from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from service.system.cpu_count import usable_cores
from service.system.memory import available_bytes, shared_bytes

_LEAST_BYTES = 64 * 2**20
# What another machine's database is given where its own setting is smaller.
_ELSEWHERE_BYTES = 256 * 2**20
_MOST_WORKERS = 7
# Of pgvector: an element with 16 neighbours on each layer and twice as many on the lowest.
_ELEMENT_BYTES = 1100
_HALF_BYTES = 2


@dataclass(frozen=True)
class BuildResources:
    """What one build may use.

    Attributes:
        memory: bytes of `maintenance_work_mem`; a graph that outgrows it is built many times slower.
        workers: processes beside the first.
    """

    memory: int
    workers: int


def needed_bytes(items: int, dimensions: int) -> int:
    """What a graph over so many vectors takes while it is built."""
    return items * (_HALF_BYTES * dimensions + _ELEMENT_BYTES)


def choose(items: int, dimensions: int) -> BuildResources:
    """The resources for a database on this machine: half of the memory that is left, and every core.

    Workers share the graph's memory; where less of that kind is left (a container's `/dev/shm`), one process
    builds it in memory of its own.
    """
    memory = max(_LEAST_BYTES, min(needed_bytes(items, dimensions), available_bytes() // 2))
    workers = min(usable_cores() - 1, _MOST_WORKERS) if memory < shared_bytes() else 0
    return BuildResources(memory, workers)


async def apply(connection: AsyncConnection, resources: BuildResources | None) -> None:
    """Set them for a connection; None leaves a database elsewhere its own, and raises what is too little."""
    if resources is None:
        statement = sql.SQL(
            "SELECT set_config('maintenance_work_mem', {least} || 'kB', false) "
            "WHERE (SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem') < {least}"
        ).format(least=sql.Literal(_ELSEWHERE_BYTES // 1024))
        await connection.execute(statement)
        return
    await connection.execute(
        "SELECT set_config('maintenance_work_mem', %s, false), "
        "set_config('max_parallel_maintenance_workers', %s, false), "
        # PostgreSQL starts fewer for a small table, by a rule that is made for B-trees.
        "set_config('min_parallel_table_scan_size', '0', false)",
        [f"{resources.memory // 1024}kB", str(resources.workers)],
    )


async def alone(connection: AsyncConnection) -> None:
    """Build in one process: there is not enough shared memory for several."""
    await connection.execute("SET max_parallel_maintenance_workers = 0")
