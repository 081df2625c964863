"""Log lines, as a collector reads them."""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from service.logs import REQUEST_ID, configure_logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged, with the logging of the test run put back afterwards."""
    loggers = [logging.getLogger(name) for name in ("", "service", "contract", "uvicorn")]
    before = [(logger, logger.level) for logger in loggers]
    handlers = logging.getLogger().handlers
    yield io.StringIO()
    logging.captureWarnings(False)
    logging.getLogger().handlers = handlers
    for logger, level in before:
        logger.setLevel(level)


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_an_object_that_says_when_where_and_what(stream: io.StringIO) -> None:
    configure_logs("info", stream)
    before = datetime.now(UTC)
    logging.getLogger("service.test").info("stored %d items", 3, extra={"route": "/v1/items"})
    (record,) = records(stream)
    assert before <= datetime.fromisoformat(record.pop("time")) <= datetime.now(UTC)
    assert record == {
        "level": "INFO",
        "logger": "service.test",
        "message": "stored 3 items",
        "process": os.getpid(),
        "route": "/v1/items",
    }


def test_a_request_is_named_in_its_lines_and_in_no_others(stream: io.StringIO) -> None:
    configure_logs("info", stream)
    token = REQUEST_ID.set("request-1")
    logging.getLogger("service").info("inside")
    REQUEST_ID.reset(token)
    logging.getLogger("service").info("outside")
    inside, outside = records(stream)
    assert inside["request_id"] == "request-1"
    assert "request_id" not in outside


def test_an_exception_stays_in_its_line(stream: io.StringIO) -> None:
    configure_logs("info", stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("service").exception("it failed")
    (record,) = records(stream)
    assert "Traceback" in record["exception"]
    assert "ValueError: first\nsecond" in record["exception"]


def test_text_that_is_no_unicode_does_not_cost_the_line(stream: io.StringIO) -> None:
    configure_logs("info", stream)
    logging.getLogger("service").info("cannot read %s", b"\xff.png".decode(errors="surrogateescape"))
    assert "cannot read" in stream.getvalue()
    assert len(stream.getvalue().splitlines()) == 1


def test_the_level_counts_for_us_and_chatter_of_others_stays_out(stream: io.StringIO) -> None:
    configure_logs("debug", stream)
    for name in ("service.routes", "PIL.PngImagePlugin"):
        logging.getLogger(name).debug("detail")
    for name in ("uvicorn.error", "other.library"):
        logging.getLogger(name).info("news")
        logging.getLogger(name).warning("trouble")
    said = [(record["logger"], record["message"]) for record in records(stream)]
    assert said == [
        ("service.routes", "detail"),
        ("uvicorn.error", "trouble"),
        ("other.library", "news"),
        ("other.library", "trouble"),
    ]


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    configure_logs("warning", stream)
    logging.getLogger("service").info("too quiet")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    (record,) = records(stream)
    assert record["logger"] == "py.warnings"
    assert "DeprecationWarning: old" in record["message"]
