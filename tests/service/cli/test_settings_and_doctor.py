"""`infomax settings` and `infomax doctor`, as they are typed."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from contract.errors import InfomaxError
from service.cli.doctor import doctor
from service.cli.settings import settings
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def app() -> typer.Typer:
    root = typer.Typer()
    root.command()(settings)
    root.command()(doctor)
    return root


def test_settings_are_listed_with_value_default_and_purpose_and_no_secret(app: typer.Typer) -> None:
    environment = {"INFOMAX_MAX_BATCH": "8", "INFOMAX_DATABASE_URL": "postgresql://infomax:hush@host/infomax"}
    result = CliRunner().invoke(app, ["settings"], env=environment)
    assert result.exit_code == 0
    head, *lines = (line.split("\t") for line in result.output.splitlines())
    assert head == ["variable", "value", "default", "what"]
    assert [line[0] for line in lines] == [PREFIX + name.upper() for name in Settings.model_fields]
    shown = {line[0]: line[1:] for line in lines}
    assert shown["INFOMAX_MAX_BATCH"] == [
        "8",
        "64",
        "most images in one batch; a costly model takes fewer on a CPU",
    ]
    assert shown["INFOMAX_WORKERS"][:2] == ["", ""]
    assert shown["INFOMAX_DATABASE_URL"][0] == "**********"
    assert "hush" not in result.output


def test_a_setting_that_is_not_allowed_is_one_sentence(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["settings"], env={"INFOMAX_MAX_BATCH": "many"})
    assert isinstance(result.exception, InfomaxError)
    assert str(result.exception).startswith("INFOMAX_MAX_BATCH='many' is not allowed: ")


def test_the_folders_that_are_found_at_run_time_are_shown(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["settings"])
    shown = dict(line.split("\t")[:2] for line in result.output.splitlines())
    assert Path(shown["INFOMAX_MODELS_DIR"]) == ROOT / "models"
    assert Path(shown["INFOMAX_DATA_DIR"]).is_absolute()


def test_doctor_passes_a_machine_that_can_serve(app: typer.Typer, tiny_models: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor"], env=machine(tiny_models, tmp_path))
    assert result.exit_code == 0, result.output
    assert "ok  model: tiny/1 passes its self-test on CPUExecutionProvider" in result.output
    assert "ok  index: " in result.output


def test_doctor_fails_a_machine_that_cannot(app: typer.Typer, tiny_models: Path, tmp_path: Path) -> None:
    environment = machine(tiny_models, tmp_path) | {"INFOMAX_MODEL": "large", "INFOMAX_MAX_BACTH": "8"}
    result = CliRunner().invoke(app, ["doctor"], env=environment)
    assert result.exit_code == 1
    assert "failed  model: " in result.output
    # One finding does not keep the others back.
    assert "ok  index: " in result.output
    assert (
        "note  settings: INFOMAX_MAX_BACTH is not a setting and has no effect; did you mean" in result.output
    )


def machine(models: Path, folder: Path) -> dict[str, str]:
    return {
        "INFOMAX_MODELS_DIR": str(models),
        "INFOMAX_MODEL": "tiny",
        "INFOMAX_DEVICE": "cpu",
        "INFOMAX_DATA_DIR": str(folder / "data"),
        # That another program uses the default one is not what is asked.
        "INFOMAX_PORT": "0",
    }
