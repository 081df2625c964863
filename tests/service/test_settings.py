"""Settings come from the environment, and a bad one is named."""

from typing import get_args

import pytest

from service.cli.unknown_variables import notes_on_unknown
from service.errors import SettingsError
from service.settings import PREFIX, Settings, load_settings


def test_variables_are_the_fields_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOMAX_MAX_BATCH", "16")
    monkeypatch.setenv("INFOMAX_MODEL", "clothing/2")
    settings = load_settings()
    assert (settings.max_batch, settings.model) == (16, "clothing/2")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INFOMAX_PORT", "eight"),
        ("INFOMAX_PORT", "70000"),
        ("INFOMAX_DEVICE", "tpu"),
        ("INFOMAX_MODEL", "../secrets"),
        ("INFOMAX_MAX_BATCH", "0"),
        ("INFOMAX_WORKERS", "-1"),
        ("INFOMAX_DRAIN_SECONDS", "-1"),
        ("INFOMAX_LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{variable}='{value}' is not allowed: ")
    assert message.endswith(".")
    assert "\n" not in message


EVERY = sorted(Settings.model_fields)
NUMBERS = sorted(
    name
    for name, field in Settings.model_fields.items()
    if {int, float} & {field.annotation, *get_args(field.annotation)}
)


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str | None:
    """What loading says of the field's variable with this value; None where it is the default."""
    default = getattr(load_settings(), name)
    monkeypatch.setenv(PREFIX + name.upper(), value)
    try:
        settings = load_settings()
    except SettingsError as error:
        return str(error)
    assert getattr(settings, name) == default, "neither refused nor the default"
    return None


@pytest.mark.parametrize("value", ["", " ", "\t\n"])
@pytest.mark.parametrize("name", EVERY)
def test_an_empty_variable_is_the_default_or_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = refusal(monkeypatch, name, value)
    if name in ("api_keys_file", "database_url"):
        assert (said or "").startswith(f"{PREFIX}{name.upper()}=")
    else:
        assert said is None


@pytest.mark.parametrize(
    "value", ["inf", "-inf", "nan", "1e400", "1" + 30 * "0", "1e30", "0x10", "eight", "-7"]
)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_without_bound_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = refusal(monkeypatch, name, value)
    assert (said or "").startswith(f"{PREFIX}{name.upper()}={value!r} is not allowed: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("models", "clothing,clothing"),
        ("models", "clothing/1,digits,clothing/1"),
        ("models", "photos"),
        ("models", "clothing,"),
        ("models", "clothing,,digits"),
        ("open_routes", "docs,docs"),
        ("open_routes", "docs,metrics,docs"),
        ("open_routes", ",docs"),
        ("allowed_hosts", "a.example.org,a.example.org"),
        ("allowed_hosts", "a.example.org,"),
        ("cors_origins", "https://a.example.org,https://a.example.org"),
        ("cors_origins", "https://a.example.org,,http://b"),
    ],
)
def test_a_list_with_a_name_twice_or_without_one_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = refusal(monkeypatch, name, value)
    assert (said or "").startswith(f"{PREFIX}{name.upper()}={value!r} is not allowed: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", "example.org:8000"),
        ("allowed_hosts", "*.example.org"),
        ("allowed_hosts", "http://example.org"),
        ("allowed_hosts", "a b"),
        ("cors_origins", "*"),
        ("cors_origins", "null"),
        ("cors_origins", "example.org"),
        ("cors_origins", "https://example.org/"),
        ("cors_origins", "https://Example.org"),
        ("cors_origins", "https://*.example.org"),
        ("cors_origins", "file://x"),
    ],
)
def test_a_host_or_an_origin_is_written_as_browsers_do(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = refusal(monkeypatch, name, value)
    assert (said or "").startswith(f"{PREFIX}{name.upper()}={value!r} is not allowed: ")
    assert repr(value) in (said or "").partition("allowed: ")[2]


def test_the_port_that_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOMAX_PORT", "tcp://10.0.0.1:8000")
    with pytest.raises(SettingsError, match="enableServiceLinks"):
        load_settings()


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFOMAX_DATABASE_URL", "postgresql://user:hush@host/db")
    assert "hush" not in repr(load_settings())


def test_a_misspelt_variable_is_found_with_the_one_that_was_meant() -> None:
    environment = {
        "INFOMAX_MAX_BACTH": "8",
        "INFOMAX_MAX_BATCH": "8",
        "INFOMAX_SERVICE_HOST": "x",
        "PATH": "",
    }
    assert list(notes_on_unknown(environment)) == [
        "INFOMAX_MAX_BACTH is not a setting and has no effect; did you mean INFOMAX_MAX_BATCH?",
        "INFOMAX_SERVICE_HOST is not a setting and has no effect",
    ]


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_processes_and_threads_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.settings.usable_cores", lambda: 8)
    settings = Settings()
    assert (settings.worker_count(on_gpu=False), settings.decoder_count(on_gpu=False)) == (8, 1)
    assert (settings.worker_count(on_gpu=True), settings.decoder_count(on_gpu=True)) == (1, 8)
    chosen = Settings(workers=3, decode_threads=5)
    assert (chosen.worker_count(on_gpu=False), chosen.decoder_count(on_gpu=False)) == (3, 5)
