"""`infomax doctor`: examination of the machine, the model and the index."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import onnxruntime as ort
import typer
from rich.console import Console

from contract.errors import InfomaxError
from service.cli.setting_options import with_settings
from service.cli.unknown_variables import notes_on_unknown
from service.errors import SettingsError
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexInUseError, IndexStartError
from service.index.schema import check
from service.inference.batch_sizes import largest_batch
from service.inference.execution_report import runtimes
from service.inference.model import open_model
from service.processes.listening import PortInUseError, listen
from service.quotas.api_keys import KeyFileError, read_keys
from service.settings import Settings
from service.system import gpu
from service.system.cpu_count import usable_cores


class Severity(Enum):
    """Severity of a result: it works, it is worth knowing, or the service will not start."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "failed"


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    Attributes:
        subject: what was checked.
        severity: effect on serving.
        detail: what was found, with the remedy where one is known.
    """

    subject: str
    severity: Severity
    detail: str


_COLOURS = {Severity.GOOD: "green", Severity.NOTE: "yellow", Severity.BAD: "red"}


@with_settings()
def doctor(settings: Settings) -> None:
    """Check whether this machine can serve the model, and say what to do where it cannot."""
    console = Console()
    healthy = True
    for result in examine(settings):
        healthy = healthy and result.severity is not Severity.BAD
        console.print(f"{result.severity.value:>6}", style=_COLOURS[result.severity], end="  ")
        console.print(f"{result.subject}: {result.detail}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if healthy else 1)


def examine(settings: Settings) -> Iterator[CheckResult]:
    """Check everything that serving depends on; nothing is changed, and no failure stops the next check."""
    yield _runtime()
    yield CheckResult("processor", Severity.GOOD, f"{usable_cores()} of {os.cpu_count()} cores are usable")
    yield from _gpu(settings)
    for entry in settings.served_models:
        yield _model(settings.model_copy(update={"model": entry}))
    port = _port(settings)
    yield port
    yield _index(settings, served=port.severity is Severity.NOTE)
    yield _keys(settings)
    yield from _variables()


def _runtime() -> CheckResult:
    installed = runtimes()
    names = ", ".join(installed)
    if len(installed) > 1:
        detail = f"{names} overwrite each other's files; uninstall all of them, then install infomax again"
        return CheckResult("ONNX Runtime", Severity.BAD, detail)
    built_with = ", ".join(ort.get_available_providers())
    return CheckResult("ONNX Runtime", Severity.GOOD, f"{names}, built with {built_with}")


def _gpu(settings: Settings) -> Iterator[CheckResult]:
    found = gpu.driver()
    if isinstance(found, gpu.Driver):
        version = f"CUDA {found.cuda[0]}.{found.cuda[1]}"
        yield CheckResult("NVIDIA driver", Severity.GOOD, f"{version}, {', '.join(found.devices)}")
    obstacle = gpu.obstacle()
    if obstacle is not None:
        yield CheckResult("GPU", Severity.BAD if settings.device == "cuda" else Severity.NOTE, obstacle)


def _model(settings: Settings) -> CheckResult:
    try:
        model = open_model(settings)
        model.self_test()
        most = largest_batch(settings.max_batch, model.card.encoder_macs, on_gpu=model.report.on_gpu)
        model.self_test(most)
    except InfomaxError as error:
        return CheckResult("model", Severity.BAD, str(error))
    detail = f"{model.card.id} passes its self-test on {model.report.summary}"
    if model.report.why_not_gpu is None:
        return CheckResult("model", Severity.GOOD, detail)
    return CheckResult("model", Severity.GOOD, f"{detail}; no GPU: {model.report.why_not_gpu}")


def _port(settings: Settings) -> CheckResult:
    """Check that the address can be listened on; a service that runs there already is only noted."""
    try:
        listen(settings.host, settings.port, "PORT").close()
    except PortInUseError as error:
        if error.infomax:
            return CheckResult(
                "port", Severity.NOTE, f"an Infomax service answers on {error.infomax} already"
            )
        return CheckResult("port", Severity.BAD, str(error))
    except SettingsError as error:
        return CheckResult("port", Severity.BAD, str(error))
    if settings.port == 0:
        return CheckResult("port", Severity.GOOD, "any free one is taken")
    return CheckResult("port", Severity.GOOD, f"{settings.port} is free")


def _index(settings: Settings, *, served: bool) -> CheckResult:
    """Check the index; `served` says that an Infomax service answers on the port of these settings."""
    try:
        if settings.database_url is not None:
            return CheckResult("index", Severity.GOOD, check(settings.database_url.get_secret_value()))
        return CheckResult("index", Severity.GOOD, EmbeddedPostgres(settings.data_dir).check())
    except IndexInUseError as error:
        if served:
            detail = f"{settings.data_dir} is in use, by the Infomax service that answers on the port"
            return CheckResult("index", Severity.NOTE, detail)
        return CheckResult("index", Severity.NOTE, str(error))
    except IndexStartError as error:
        return CheckResult("index", Severity.BAD, str(error))


def _keys(settings: Settings) -> CheckResult:
    """Check the file of API keys; a service without keys is noted, because others may reach it."""
    if settings.api_keys_file is None:
        return CheckResult(
            "API keys", Severity.NOTE, "no request needs one; set INFOMAX_API_KEYS_FILE to require them"
        )
    try:
        count = len(read_keys(settings.api_keys_file))
    except KeyFileError as error:
        return CheckResult("API keys", Severity.BAD, str(error))
    return CheckResult("API keys", Severity.GOOD, f"{count} in {settings.api_keys_file}")


def _variables() -> Iterator[CheckResult]:
    for note in notes_on_unknown(os.environ):
        yield CheckResult("settings", Severity.NOTE, note)
