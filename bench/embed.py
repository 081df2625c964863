"""`infomax embed` by a Ray cluster of this machine, beside the same without Ray: time and processor time.

python -m bench.embed photos --model photos

Processor time is that of all processes, read every tenth of a second. It depends little on other programs.
"""

import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from time import perf_counter, sleep

import psutil
import typer

_COMMAND = str(Path(sys.executable).parent / "infomax")
_POLL_SECONDS = 0.1


def main(images: Path, model: str = "photos", rounds: int = 1) -> None:
    """Embed the images both ways, and compare the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            outputs = [Path(folder) / f"{name}-{number}.parquet" for name in ("plain", "ray")]
            for out, options in zip(outputs, ([], ["--ray"]), strict=True):
                command = [_COMMAND, "embed", str(images), "--out", str(out), "--model", model, *options]
                seconds, used = _measured(command)
                told = ", ".join(f"{name} {one:.1f}" for name, one in sorted(used.items()))
                print(f"{out.stem}: {seconds:.1f} s, processor seconds {sum(used.values()):.1f} ({told})")
            same = outputs[0].read_bytes() == outputs[1].read_bytes()
            print("the same bytes" if same else "DIFFERENT bytes")


def _measured(command: list[str]) -> tuple[float, dict[str, float]]:
    """Run a command: seconds, and processor seconds by what a process is."""
    started = perf_counter()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    used: dict[tuple[int, float], tuple[str, float]] = {}
    while process.poll() is None:
        try:
            found = [process, *process.children(recursive=True)]
        except psutil.Error:
            break
        for one in found:
            try:
                times, kind = one.cpu_times(), "the command" if one.pid == process.pid else _kind(one)
            except psutil.Error:
                continue
            used[one.pid, one.create_time()] = (kind, times.user + times.system)
        sleep(_POLL_SECONDS)
    if process.wait():
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    total: dict[str, float] = defaultdict(float)
    for kind, seconds in used.values():
        total[kind] += seconds
    return perf_counter() - started, total


def _kind(process: psutil.Process) -> str:
    return "actors" if "RayEncoder" in " ".join(process.cmdline()) else "Ray itself"


if __name__ == "__main__":
    typer.run(main)
