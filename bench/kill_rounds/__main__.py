"""`make kill-rounds`: kill the server, its PostgreSQL or a part of either repeatedly; nothing may be lost.

Writers store, replace and delete images and bare vectors by `PUT`, `DELETE` and `POST /v1/items` until a
process is killed without warning. Then every item of the index is compared with the acknowledged changes. An
acknowledged change has to be there. One that was under way may be there or not, as a whole: an image with the
cells by which its regions are found, and no cells without their image.
"""

import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import orjson
import typer

from bench.kill_rounds.kills import KILLS
from bench.kill_rounds.rounds import Rounds
from tests.tiny_model import build_tiny_model


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 20,
    seed: Annotated[int, typer.Option(help="Of everything that is random.")] = 0,
) -> None:
    """Kill in turn, write the result, and fail where something is lost."""
    lost: list[str] = []
    began = perf_counter()
    with tempfile.TemporaryDirectory(prefix="infomax-kills-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        build_tiny_model(folder / "models")
        run = Rounds(folder / "models", folder / "run", seed)
        try:
            for number in range(rounds):
                kill = list(KILLS)[number % len(KILLS)]
                wrong = run.run(kill)
                lost += wrong
                acknowledged = run.expected.acknowledged
                sys.stdout.write(
                    f"round {number + 1}: {kill}, ready again after {run.restart_seconds:.1f} s, "
                    f"{acknowledged} acknowledged, {len(wrong)} wrong\n"
                )
                sys.stdout.flush()
        finally:
            run.close()
    report = {
        "rounds": rounds,
        "seconds": round(perf_counter() - began, 1),
        "acknowledged": run.expected.acknowledged,
        "images": run.images,
        "wrong": lost[:20],
    }
    sys.stdout.write(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode() + "\n")
    if lost:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
