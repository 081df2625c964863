"""The line `training -> contract <- service`, and what a serving machine never loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "infomax/client": {"contract", "training", "service", "onnxruntime", "fastapi", "pydantic"},
    "contract": {
        "infomax",
        "training",
        "service",
        "torch",
        "matplotlib",
        "fastapi",
        "starlette",
        "onnxruntime",
        "psycopg",
    },
    "service": {"infomax", "training", "torch", "torchvision", "tensorboard", "matplotlib"},
    "training": {"infomax", "service", "fastapi", "starlette", "uvicorn", "psycopg"},
}


# Loaded by `infomax embed --ray` alone.
OF_EXTRAS = {"service.corpus.ray_encoder", "service.corpus.ray_run"}


def imports(module: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path"
            names.add(node.module or "")
    # The client lies beside both halves and imports neither, so that the service may use it.
    return {name.split(".")[0] for name in names if name.split(".")[:2] != ["infomax", "client"]}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_lies_on_its_side(package: str) -> None:
    crossing = {
        str(module.relative_to(ROOT)): sorted(found)
        for module in sorted((ROOT / package).rglob("*.py"))
        if (found := imports(module) & FORBIDDEN[package])
    }
    assert crossing == {}


def test_loading_the_whole_service_loads_nothing_of_training() -> None:
    script = (
        f"EXTRAS = {OF_EXTRAS}\n"
        "import pkgutil, sys, importlib, service\n"
        "for module in pkgutil.walk_packages(service.__path__, 'service.'):\n"
        "    if not module.name.endswith('__main__') and module.name not in EXTRAS:\n"
        "        importlib.import_module(module.name)\n"
        # FastAPI loads OpenTelemetry's interfaces, with nothing behind them.
        "never = {'torch', 'training', 'matplotlib', 'ray', 'opentelemetry.sdk', 'opentelemetry.exporter'}\n"
        "print(sorted(never & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
