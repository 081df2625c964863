"""All settings of the service, read from `INFOMAX_...` variables."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.image_limits import ImageLimits
from service.default_folders import index_folder, shipped_models
from service.errors import SettingsError
from service.system.cpu_count import usable_cores

PREFIX = "INFOMAX_"

Arena = Literal["same_as_requested", "next_power_of_two"]
CudnnSearch = Literal["heuristic", "exhaustive", "default"]
RequestedPrecision = Literal["auto", "fp32", "int8"]
LARGEST_LOSS_POINTS = 0.3
"""Accuracy that `precision = auto` gives away for speed, in percentage points."""

# Of a whole number: JSON and PostgreSQL carry no larger one.
_MOST = 2**63 - 1
_DAY_SECONDS = 86_400
# Without a value the service would do without keys, or with another index.
_NEVER_EMPTY = ("api_keys_file", "database_url")

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_ORIGIN = re.compile(r"https?://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
_MODEL = r"[a-z0-9][a-z0-9._-]{0,63}(/[1-9][0-9]*)?"


class Settings(BaseSettings):
    """Flat record of all settings; the variable of a field is its name in capitals behind `INFOMAX_`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for every interface")
    port: int = Field(default=8000, ge=0, le=65535, description="TCP port; 0 lets the system choose one")
    models_dir: Path = Field(
        default_factory=shipped_models,
        description="folder of <name>/<version> model folders; default: the models that come with Infomax",
    )
    model: str = Field(
        default="photos",
        pattern=f"^{_MODEL}$",
        description="model to serve: a name, for its newest version, or name/version",
    )
    models: str | None = Field(
        default=None,
        pattern=rf"^{_MODEL}(,{_MODEL})*$",
        description="further models to serve, each written like INFOMAX_MODEL, separated by commas",
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        default="auto",
        description="where inference runs; auto takes a GPU if one works, cuda and tensorrt require one",
    )
    gpu_id: int = Field(
        default=0,
        ge=0,
        le=_MOST,
        description="number of the GPU among those that CUDA_VISIBLE_DEVICES shows, from 0",
    )
    gpu_memory_bytes: int | None = Field(
        default=None,
        ge=2**26,
        le=_MOST,
        description="most bytes of GPU memory for each graph of a model; default: no limit",
    )
    gpu_arena: Arena = Field(
        default="same_as_requested", description="step by which the GPU memory of a graph grows"
    )
    cudnn_search: CudnnSearch = Field(
        default="heuristic",
        description="how cuDNN chooses a convolution's algorithm; exhaustive times all in the warm-up",
    )
    io_binding: bool = Field(
        default=False, description="on a GPU: keep inputs and outputs in device buffers that are made once"
    )
    cuda_graphs: bool = Field(
        default=False,
        description="on a GPU: record each batch size once and launch it as a whole; includes io_binding",
    )
    tensorrt_cache: Path | None = Field(
        default=None, description="folder of TensorRT's engines; default: INFOMAX_DATA_DIR/tensorrt"
    )
    tensorrt_fp16: bool = Field(
        default=False,
        description="compute in half precision with TensorRT, if the model still passes its self-test",
    )
    precision: RequestedPrecision = Field(
        default="auto",
        description="encoder that runs; auto takes int8 on a CPU if it loses at most "
        f"{LARGEST_LOSS_POINTS:g} points of accuracy, according to the model's card",
    )
    workers: int | None = Field(
        default=None, ge=1, le=256, description="worker processes; default: one per usable core, one on a GPU"
    )
    runs: int = Field(default=1, ge=1, le=64, description="batches that one process runs at a time")
    threads_per_run: int = Field(default=1, ge=1, le=256, description="CPU threads of one batch")
    work_sharing: bool = Field(
        default=True, description="let idle workers answer parts of a stream that another worker reads"
    )
    decode_threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="decoding threads of one process; default: its share of the cores",
    )
    max_batch: int = Field(
        default=64, ge=1, le=4096, description="most images in one batch; a costly model takes fewer on a CPU"
    )
    queue_items: int = Field(
        default=2048,
        ge=1,
        le=_MOST,
        description="most images of one model that one process holds, from arrival to answer",
    )
    queue_bytes: int = Field(
        default=512 * 2**20,
        ge=2**20,
        le=_MOST,
        description="most bytes of one model's images that one process holds, encoded and decoded",
    )
    queue_seconds: float = Field(
        default=1,
        gt=0,
        le=_DAY_SECONDS,
        description="longest wait of a request in the queue, in seconds; a request that would wait longer is "
        "refused, and streams wait",
    )
    max_image_bytes: int = Field(
        default=20 * 2**20, ge=1, le=_MOST, description="most bytes of one encoded image"
    )
    max_image_pixels: int = Field(default=40_000_000, ge=1, le=_MOST, description="most pixels of one image")
    max_request_bytes: int = Field(
        default=64 * 2**20,
        ge=1,
        le=_MOST,
        description="most bytes of one request's body; streams have no such limit",
    )
    max_request_items: int = Field(
        default=1024, ge=1, le=_MOST, description="most images in one request other than a stream"
    )
    max_stream_items: int = Field(default=10_000_000, ge=1, le=_MOST, description="most images in one stream")
    max_archive_bytes: int = Field(
        default=4 * 2**30,
        ge=1,
        le=_MOST,
        description="most bytes of one zip archive, which lies in TMPDIR while it is answered",
    )
    max_unread_bytes: int = Field(
        default=2**30,
        ge=0,
        le=_MOST,
        description="most bytes of one stream's answers that lie in TMPDIR for a client that sends and does "
        "not read",
    )
    client_seconds: float = Field(
        default=60,
        gt=0,
        le=3600,
        description="seconds within which a client has to send a request's head or more of its body, or to "
        "take more of its answer",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="TOML file of API keys, made by `infomax key new`; default: requests need no key",
    )
    open_routes: str | None = Field(
        default=None,
        pattern=r"^(docs|metrics)(,(docs|metrics))*$",
        description="routes that need no API key, beside health: docs, metrics, or docs,metrics",
    )
    allowed_hosts: str | None = Field(
        default=None,
        description="host names that requests may be for, separated by commas, beside IP addresses and names "
        "without a dot; default: all, but none on loopback without API keys",
    )
    cors_origins: str | None = Field(
        default=None,
        description="origins whose web pages may call the service, separated by commas, such as "
        "https://app.example.org; default: only its own pages may",
    )
    root_path: str = Field(
        default="",
        pattern=r"^(/[A-Za-z0-9._~-]+)*$",
        description="path under which a proxy shows the service, such as /infomax, whether or not the proxy "
        "takes it off",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="TCP port for /metrics alone; default: /metrics is on INFOMAX_PORT",
    )
    drain_seconds: float = Field(
        default=20, ge=0, le=_DAY_SECONDS, description="seconds for accepted work to finish after SIGTERM"
    )
    data_dir: Path = Field(
        default_factory=index_folder,
        description="folder of the embedded index; default: .infomax if the current folder holds one, else "
        "infomax in $XDG_DATA_HOME or ~/.local/share",
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://... of a server with pgvector; default: the embedded one"
    )
    index_exact_items: int = Field(
        default=50_000,
        ge=0,
        le=_MOST,
        description="most items of a model version that are searched exactly; larger ones use HNSW",
    )
    index_regions: bool = Field(
        default=False,
        description="keep local codes of indexed images too, by which /v1/neighbours finds parts of images",
    )
    originals: Literal["none", "database", "folder"] = Field(
        default="none",
        description="where the index keeps the encoded images as they came, beside the thumbnails that it "
        "always keeps",
    )
    originals_dir: Path | None = Field(
        default=None,
        description="folder of originals, common to all replicas; default: INFOMAX_DATA_DIR/originals",
    )
    index_seconds: float = Field(
        default=30,
        ge=0.1,
        le=3600,
        description="seconds for one call of the index's database; then 503 `index_unavailable`",
    )
    tracing: bool = Field(
        default=False,
        description="send spans of requests to the collector that OTEL_EXPORTER_OTLP_ENDPOINT names; needs "
        "the extra `tracing`",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="lowest level that is logged"
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is set but empty: deployment tools write so what has no value."""
        return {name: value for name, value in values.items() if name in _NEVER_EMPTY or not _empty(value)}

    @field_validator(*_NEVER_EMPTY, mode="before")
    @classmethod
    def _has_a_value(cls, value: object) -> object:
        if _empty(value):
            raise ValueError("it has no value; give it one, or leave the setting out")
        return value

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, value: str | None) -> str | None:
        for name in value.split(",") if value else []:
            if not _HOST.fullmatch(name):
                raise ValueError(f"{name!r} is not a host name; write it in lower case, without a port")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: str | None) -> str | None:
        for name in value.split(",") if value else []:
            if not _ORIGIN.fullmatch(name):
                raise ValueError(f"{name!r} is not an origin; write it as https://host or http://host:port")
        return value

    @field_validator("models", "open_routes", "allowed_hosts", "cors_origins")
    @classmethod
    def _each_once(cls, value: str | None, info: ValidationInfo) -> str | None:
        names = value.split(",") if value else []
        if info.field_name == "models":
            names.append(info.data.get("model", ""))
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} is named twice; name it once")
        return value

    @field_validator("port", mode="before")
    @classmethod
    def _no_service_link(cls, value: object) -> object:
        if isinstance(value, str) and value.startswith("tcp://"):
            # Kubernetes sets <SERVICE>_PORT in every pod beside a service of that name.
            raise ValueError("Kubernetes set it for a service named infomax; set enableServiceLinks: false")
        return value

    def worker_count(self, *, on_gpu: bool) -> int:
        """Number of worker processes: as set, else one per usable core, or one on a GPU."""
        return self.workers or (1 if on_gpu else usable_cores())

    def decoder_count(self, *, on_gpu: bool) -> int:
        """Number of decoding threads of one process: as set, else its share of the usable cores."""
        return self.decode_threads or max(1, usable_cores() // self.worker_count(on_gpu=on_gpu))

    @property
    def served_models(self) -> tuple[str, ...]:
        """Entries of all models to serve, each a name or name/version, the default one first."""
        return (self.model, *(self.models.split(",") if self.models else ()))

    @property
    def originals_folder(self) -> Path:
        """Folder of originals, whether or not they are kept there now."""
        return self.originals_dir or self.data_dir / "originals"

    @property
    def image_limits(self) -> ImageLimits:
        return ImageLimits(max_bytes=self.max_image_bytes, max_pixels=self.max_image_pixels)


def load_settings(options: Mapping[str, object] | None = None) -> Settings:
    """Read the settings from the environment and the options of a command.

    Args:
        options: values of a command line by the names of their fields; they come before variables.

    Raises:
        SettingsError: with the first option or variable whose value is not allowed, and the reason.
    """
    options = options or {}
    try:
        return Settings(**options)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        source = option_name(name) if name in options else PREFIX + name.upper()
        value = "..." if _is_secret(name) else repr(first["input"])
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{source}={value} is not allowed: {reason}.") from error


def _empty(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _is_secret(name: str) -> bool:
    field = Settings.model_fields.get(name)
    return field is not None and SecretStr in get_args(field.annotation)


def option_name(field: str) -> str:
    """Option of the command line that sets a field."""
    return "--" + field.replace("_", "-")
