"""Logs as JSON, one object per line on standard error."""

import logging
import sys
from contextvars import ContextVar
from typing import TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that the running task answers; empty outside of requests."""

_NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}


def configure_logs(level: str, stream: TextIO | None = None) -> None:
    """Send log records from `level` up to `stream`, by default standard error."""
    # With ASCII output: it escapes bytes that are not Unicode, so that a file name cannot cost a line.
    formatter = JsonFormatter(
        ["levelname", "name", "message", "process"],
        rename_fields=_NAMES,
        # uvicorn's copy of a message with colours, for terminals.
        reserved_attrs=[*RESERVED_ATTRS, "color_message"],
        timestamp="time",
        json_ensure_ascii=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_add_request_id)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO if level == "debug" else level.upper())
    # `debug` is for our own packages; Pillow would log a line for each chunk of a PNG file.
    for package in ("service", "contract"):
        logging.getLogger(package).setLevel(level.upper())
    # uvicorn's records of its start and stop repeat ours; its warnings count.
    logging.getLogger("uvicorn").setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


def _add_request_id(record: logging.LogRecord) -> bool:
    if request_id := REQUEST_ID.get():
        record.request_id = request_id
    return True
