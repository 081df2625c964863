"""What is killed, without warning: the server, its PostgreSQL, or a part of either."""

import random
from collections.abc import Callable

import psutil

from tests.end_to_end.server import Server


def postgres(server: Server) -> psutil.Process:
    """Find the processes of the embedded PostgreSQL."""
    (process,) = (child for child in psutil.Process(server.pid).children() if child.name() == "postgres")
    return process


def kill_server(server: Server, _rng: random.Random) -> None:
    server.kill()


def kill_postgres(server: Server, _rng: random.Random) -> None:
    postgres(server).kill()


def kill_both(server: Server, _rng: random.Random) -> None:
    postgres(server).kill()
    server.kill()


def kill_part_of_postgres(server: Server, rng: random.Random) -> None:
    rng.choice(postgres(server).children()).kill()


def kill_worker(server: Server, rng: random.Random) -> None:
    rng.choice(server.workers()).kill()


KILLS: dict[str, Callable[[Server, random.Random], None]] = {
    "server": kill_server,
    "postgres": kill_postgres,
    "server and postgres": kill_both,
    "a process of postgres": kill_part_of_postgres,
    "a worker": kill_worker,
}
