"""`infomax doctor`: whether this machine can serve this model, and on what."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import onnxruntime as ort
import typer
from rich.console import Console

from contract.errors import InfomaxError
from service.cli.setting_options import with_settings
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexInUseError, IndexStartError
from service.index.schema import check
from service.inference.execution_report import runtimes
from service.inference.model import open_model
from service.quotas.api_keys import KeyFileError, read_keys
from service.settings import Settings, unknown_variables
from service.system import gpu
from service.system.cpu_count import usable_cores


class State(Enum):
    """How a finding bears on serving: it works, it is worth knowing, or the service will not start."""

    GOOD = "ok"
    NOTE = "note"
    BAD = "failed"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        state: how it bears on serving.
        detail: what was found, with the remedy where there is one to give.
    """

    subject: str
    state: State
    detail: str


_COLOURS = {State.GOOD: "green", State.NOTE: "yellow", State.BAD: "red"}


@with_settings()
def doctor(settings: Settings) -> None:
    """Check whether this machine can serve the model, and say what to do where it cannot."""
    console = Console()
    healthy = True
    for finding in examine(settings):
        healthy = healthy and finding.state is not State.BAD
        console.print(f"{finding.state.value:>6}", style=_COLOURS[finding.state], end="  ")
        console.print(f"{finding.subject}: {finding.detail}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if healthy else 1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that serving depends on; nothing is changed, and no finding stops the next."""
    yield _runtime()
    yield Finding("processor", State.GOOD, f"{usable_cores()} of {os.cpu_count()} cores are usable")
    yield from _gpu(settings)
    for entry in settings.served_models:
        yield _model(settings.model_copy(update={"model": entry}))
    yield _index(settings)
    yield _keys(settings)
    yield from _variables()


def _runtime() -> Finding:
    installed = runtimes()
    names = ", ".join(installed)
    if len(installed) > 1:
        detail = f"{names} overwrite each other's files; uninstall all of them, then install infomax again"
        return Finding("ONNX Runtime", State.BAD, detail)
    built_with = ", ".join(ort.get_available_providers())
    return Finding("ONNX Runtime", State.GOOD, f"{names}, built with {built_with}")


def _gpu(settings: Settings) -> Iterator[Finding]:
    found = gpu.driver()
    if isinstance(found, gpu.Driver):
        version = f"CUDA {found.cuda[0]}.{found.cuda[1]}"
        yield Finding("NVIDIA driver", State.GOOD, f"{version}, {', '.join(found.devices)}")
    obstacle = gpu.obstacle()
    if obstacle is not None:
        yield Finding("GPU", State.BAD if settings.device == "cuda" else State.NOTE, obstacle)


def _model(settings: Settings) -> Finding:
    try:
        model = open_model(settings)
        model.self_test()
        model.self_test(settings.max_batch)
    except InfomaxError as error:
        return Finding("model", State.BAD, str(error))
    detail = f"{model.card.id} passes its self-test on {model.report.summary}"
    if model.report.why_not_gpu is None:
        return Finding("model", State.GOOD, detail)
    return Finding("model", State.GOOD, f"{detail}; no GPU: {model.report.why_not_gpu}")


def _index(settings: Settings) -> Finding:
    try:
        if settings.database_url is not None:
            return Finding("index", State.GOOD, check(settings.database_url.get_secret_value()))
        return Finding("index", State.GOOD, EmbeddedPostgres(settings.data_dir).check())
    except IndexInUseError as error:
        # Most likely by the service that is being examined.
        return Finding("index", State.NOTE, str(error))
    except IndexStartError as error:
        return Finding("index", State.BAD, str(error))


def _keys(settings: Settings) -> Finding:
    """Said in any case: that nobody needs a key is worth knowing where others reach the service."""
    if settings.api_keys_file is None:
        return Finding("API keys", State.NOTE, "none are asked for; INFOMAX_API_KEYS_FILE would name some")
    try:
        count = len(read_keys(settings.api_keys_file))
    except KeyFileError as error:
        return Finding("API keys", State.BAD, str(error))
    return Finding("API keys", State.GOOD, f"{count} in {settings.api_keys_file}")


def _variables() -> Iterator[Finding]:
    for name, closest in unknown_variables(os.environ):
        hint = f"; did you mean {closest}?" if closest else ""
        yield Finding("settings", State.NOTE, f"{name} is no setting and has no effect{hint}")
