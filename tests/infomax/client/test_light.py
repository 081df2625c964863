"""The client loads with what it declares, and with nothing of the service."""

import ast
import re
import subprocess
import sys
import tomllib

from tests.end_to_end.server import ROOT

FOREIGN = {
    "onnxruntime",
    "fastapi",
    "starlette",
    "PIL",
    "pyarrow",
    "pydantic",
    "typer",
    "contract",
    "service",
    "training",
}
# What its functions import when they are called.
ON_DEMAND = {"PIL", "opentelemetry", "pandas", "pyarrow"}


def test_it_loads_no_package_of_the_service() -> None:
    script = (
        "import sys, infomax.client\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {FOREIGN!r}))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_it_imports_what_the_base_installation_holds() -> None:
    names: set[str] = set()
    for path in (ROOT / "infomax" / "client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[^a-z]", one)[0] for one in project["dependencies"]}
    assert names - set(sys.stdlib_module_names) - {"infomax"} - ON_DEMAND == declared
