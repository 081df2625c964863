"""The wheel serves and trains from any folder, beside folders that have the names of its packages.

`make test-wheel` runs this in an environment into which pip has installed the wheel with all that it needs,
and in both forms of the command. `make test` takes what the wheel needs from the environment of the tests.
"""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from infomax.import_path import PACKAGES
from service.settings import Settings
from tests.end_to_end.server import ROOT, Server
from tests.end_to_end.wheel import Installation, build, install
from tests.pictures import photo
from training.shipped_recipes import names

GIVEN = os.environ.get("INFOMAX_TEST_ENVIRONMENT")
FORMS = ("script", "module")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    environment = Path(GIVEN) if GIVEN else folder / "environment"
    if not GIVEN:
        install(wheel, environment)
    return Installation.among_namesakes(environment, folder)


def test_the_wheel_holds_all_files_of_the_packages_and_the_newest_default_model(wheel: Path) -> None:
    model = Settings().model
    newest = max((ROOT / "models" / model).glob("[0-9]*"), key=lambda folder: int(folder.name))
    expected = {f"infomax/models/{model}/{newest.name}/{file.name}" for file in newest.iterdir()}
    for package in ("infomax", *PACKAGES):
        expected |= {
            str(file.relative_to(ROOT))
            for file in (ROOT / package).rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


@pytest.mark.parametrize("form", FORMS if GIVEN else ["module"])
def test_it_serves_the_shipped_model_from_any_folder(
    form: str, installed: Installation, tmp_path: Path
) -> None:
    server = Server.of(
        [*installed.command(form), "serve", "--port", "0", "--device", "cpu", "--workers", "1"],
        tmp_path,
        cwd=installed.current,
        environment=installed.variables,
    )
    try:
        server.wait_until_ready()
        answer = httpx.post(
            f"{server.url}/v1/embeddings", content=photo(1), headers={"Content-Type": "image/jpeg"}
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Model"].startswith("photos/")
    finally:
        server.clean_up()
    models = next(installed.environment.glob("lib/python*/site-packages/infomax/models"))
    index = installed.home / ".local" / "share" / "infomax"
    assert f"Models: {models}. Index: {index}." in server.output
    assert sorted(path.name for path in installed.current.iterdir()) == sorted(PACKAGES)


@pytest.mark.skipif(find_spec("torch") is None and not GIVEN, reason="PyTorch is not installed")
@pytest.mark.parametrize("form", FORMS if GIVEN else ["script"])
def test_it_trains_by_the_name_of_a_recipe(form: str, installed: Installation, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(12):
        (photos / f"{number}.jpg").write_bytes(photo(number, width=64, height=64))
    arguments = ("--data", photos, "--out", tmp_path / "run", "--epochs", "1", "--no-report")
    done = installed.run(form, "train", "--recipe", "own_images_64", *arguments)
    assert done.returncode == 0, done.stderr
    wrong = installed.run(form, "train", "--recipe", "own_images_65", *arguments)
    assert wrong.stderr == (
        "error: There is no recipe own_images_65. "
        f"Name a TOML file or a shipped recipe: {', '.join(names())}.\n"
    )


@pytest.mark.parametrize("form", FORMS)
def test_help_is_the_same_in_any_folder(form: str, installed: Installation) -> None:
    here = subprocess.run([sys.executable, "-m", "infomax", "--help"], capture_output=True, text=True)
    assert installed.run(form, "--help").stdout == here.stdout
