"""Settings as options of the command line: all of them, validated once, before variables."""

from typing import Any

import pytest
import typer
from typer.core import TyperCommand, TyperOption
from typer.main import get_command
from typer.testing import CliRunner

from infomax.command_line import COMMANDS, load
from service.cli.setting_options import default_text, with_settings
from service.errors import SettingsError
from service.settings import PREFIX, Settings, option_name

# One allowed value for each field that is no flag, other than its default.
VALUES = {
    "host": "0.0.0.0",  # noqa: S104 (nothing listens)
    "port": "9000",
    "models_dir": "elsewhere",
    "model": "clothing/1",
    "models": "cifar10/1,clothing",
    "device": "cpu",
    "gpu_id": "1",
    "gpu_memory_bytes": str(2**27),
    "gpu_arena": "next_power_of_two",
    "cudnn_search": "exhaustive",
    "tensorrt_cache": "engines",
    "precision": "fp32",
    "open_routes": "docs",
    "root_path": "/infomax",
    "allowed_hosts": "infomax,infomax.example.org",
    "cors_origins": "https://app.example.org,http://localhost:3000",
    "database_url": "postgresql://infomax@host/infomax",
    "data_dir": "data",
    "originals": "folder",
    "api_keys_file": "keys.toml",
    "log_level": "debug",
}
FLAGS = {name for name, field in Settings.model_fields.items() if field.annotation is bool}


def value_of(name: str) -> str:
    return VALUES.get(name, "70000000" if name == "queue_bytes" else "7")


class Called(Exception):  # noqa: N818 (not an error)
    """Carries what a command was called with."""


@with_settings()
def command(settings: Settings) -> None:
    raise Called(settings)


def settings_of(*arguments: str, **environment: str) -> Settings:
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, list(arguments), env=environment)
    if not isinstance(result.exception, Called):
        raise result.exception or AssertionError(result.output)
    (settings,) = result.exception.args
    assert isinstance(settings, Settings)
    return settings


@pytest.mark.parametrize("name", ["serve", "settings", "doctor"])
def test_every_setting_is_an_option_with_its_own_words(name: str) -> None:
    loaded = load(name, COMMANDS[name])
    assert isinstance(loaded, TyperCommand)
    options = {each.name: each for each in loaded.params if isinstance(each, TyperOption)}
    assert set(Settings.model_fields) <= set(options)
    for field, info in Settings.model_fields.items():
        option = options[field]
        assert option.opts == [option_name(field)]
        assert (option.help or "").startswith(info.description or "?")
        assert (f"[default: {default_text(field)}]" in (option.help or "")) == bool(
            default_text(field) and field not in FLAGS
        )


@pytest.mark.parametrize("name", sorted(Settings.model_fields.keys() - FLAGS))
def test_an_option_means_what_its_variable_means(name: str) -> None:
    value = value_of(name)
    by_option = settings_of(option_name(name), value)
    assert getattr(by_option, name) == getattr(settings_of(**{PREFIX + name.upper(): value}), name)
    assert getattr(by_option, name) != getattr(Settings(), name)


@pytest.mark.parametrize("name", sorted(FLAGS))
def test_a_flag_can_be_set_and_cleared(name: str) -> None:
    flag = option_name(name)
    assert getattr(settings_of(flag), name) is True
    assert (
        getattr(settings_of("--no-" + flag.removeprefix("--"), **{PREFIX + name.upper(): "true"}), name)
        is False
    )


def test_an_option_comes_before_a_variable() -> None:
    chosen = settings_of("--max-batch", "8", INFOMAX_MAX_BATCH="16", INFOMAX_RUNS="3")
    assert (chosen.max_batch, chosen.runs) == (8, 3)
    # A variable that an option replaces may hold anything.
    assert settings_of("--max-batch", "8", INFOMAX_MAX_BATCH="many").max_batch == 8


@pytest.mark.parametrize(
    ("name", "value"), [("port", "eight"), ("device", "tpu"), ("model", "../secrets"), ("runs", "0")]
)
def test_a_bad_option_is_refused_in_the_words_of_the_variable(name: str, value: str) -> None:
    messages: list[Any] = []
    for source, arguments, environment in (
        (option_name(name), (option_name(name), value), {}),
        (PREFIX + name.upper(), (), {PREFIX + name.upper(): value}),
    ):
        with pytest.raises(SettingsError) as caught:
            settings_of(*arguments, **environment)
        start, _, reason = str(caught.value).partition(" is not allowed: ")
        assert start == f"{source}='{value}'"
        messages.append(reason)
    assert messages[0] == messages[1]


def test_a_secret_is_better_a_variable() -> None:
    app = typer.Typer()
    app.command()(command)
    (option,) = [each for each in get_command(app).params if each.name == "database_url"]
    assert isinstance(option, TyperOption)
    assert (option.help or "").endswith("other users of a machine can read command lines, but not variables")


def test_a_command_may_take_some_settings_and_arguments_of_its_own() -> None:
    seen: list[object] = []

    @with_settings("max_batch")
    def narrow(settings: Settings, path: str = typer.Argument()) -> None:
        seen.extend([settings.max_batch, path])

    app = typer.Typer()
    app.command()(narrow)
    assert CliRunner().invoke(app, ["photos", "--max-batch", "8"]).exit_code == 0
    assert seen == [8, "photos"]
    assert CliRunner().invoke(app, ["photos", "--runs", "2"]).exit_code == 2
