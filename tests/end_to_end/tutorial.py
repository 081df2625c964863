"""Run of the tutorial: every block of docs/tutorial.md in order, in an empty folder.

make test-tutorial              # as a reader would; half an hour of processor time at most
make test-tutorial ARGS="--epochs 2"
"""

import argparse
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def script(port: int, epochs: int | None) -> str:
    """Write the blocks of the page as one script for bash, each with a line of its own time."""
    parts = ["set -euo pipefail", "trap 'kill $(cat serve.pid) 2>/dev/null || true' EXIT"]
    for number, (language, text) in enumerate(BLOCK.findall(PAGE.read_text()), 1):
        text = text.replace("localhost:8000", f"localhost:{port}")
        if epochs is not None:
            text = text.replace("infomax train ", f"infomax train --epochs {epochs} ")
        begun = f"begun=$(date +%s); echo '--- block {number}'"
        code = f"python - <<'END_OF_BLOCK'\n{text}END_OF_BLOCK" if language == "python" else text
        parts += [begun, code, f'echo "--- block {number}: $(($(date +%s) - begun)) s"']
    return "\n".join(parts)


def main() -> int:
    """Run it; the exit status is that of the first block that fails."""
    parser = argparse.ArgumentParser(description="Run every block of the tutorial.")
    parser.add_argument("--epochs", type=int, help="train for so many in place of the recipe's")
    epochs = parser.parse_args().epochs
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        # Readable by the account that PostgreSQL runs as where root runs this.
        Path(folder).chmod(0o755)
        environment = _environment(port)
        begun = perf_counter()
        status = subprocess.run(
            ["bash", "-c", script(port, epochs)], cwd=folder, env=environment, check=False
        ).returncode
        sys.stdout.write(f"tutorial: status {status} after {perf_counter() - begun:.0f} s\n")
    return status


def _environment(port: int) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "INFOMAX_PORT": str(port)}


if __name__ == "__main__":
    sys.exit(main())
