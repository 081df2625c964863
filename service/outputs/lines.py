"""Answers of a stream as NDJSON: a line for each item, then a line with the summary."""

from collections.abc import Sequence

import orjson

from service.errors import ServiceError
from service.outputs.embeddings import VectorEncoding, base64_floats
from service.outputs.mi_maps import map_json
from service.outputs.neighbours import neighbours_json
from service.streaming.answers import Answer, Tally

NDJSON = "application/x-ndjson"
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


class Lines:
    """Lines `{"index", "id", "status": "ok", ...}` or `{..., "status": "error", "error": {...}}`.

    The last line is `{"summary": {...}}`. A stream that ended early has `{"error": {...}}` before it, and
    `"complete": false` in its summary.
    """

    media_type = NDJSON

    def __init__(self, encoding: VectorEncoding = "float") -> None:
        """Write embeddings in this encoding."""
        self._encoding = encoding

    def answers(self, answers: Sequence[Answer]) -> bytes:
        return b"".join([orjson.dumps(self._line(answer), option=_OPTIONS) for answer in answers])

    def end(self, tally: Tally, failure: ServiceError | None) -> bytes:
        lines: list[dict[str, object]] = [{"summary": summary_json(tally, complete=failure is None)}]
        if failure is not None:
            lines.insert(0, {"error": failure_json(failure)})
        return b"".join([orjson.dumps(line, option=_OPTIONS) for line in lines])

    def _line(self, answer: Answer) -> dict[str, object]:
        if answer.failed is not None:
            error: dict[str, object] = {"code": answer.failed.code, "message": answer.failed.message}
            if answer.failed.limit is not None:
                error["limit"] = answer.failed.limit
            return {"index": answer.index, "id": answer.id, "status": "error", "error": error}
        line: dict[str, object] = {"index": answer.index, "id": answer.id, "status": "ok"}
        if answer.embedding is not None:
            as_text = self._encoding == "base64"
            line["embedding"] = base64_floats(answer.embedding) if as_text else answer.embedding
        if answer.mi_map is not None:
            line["mi_map"] = map_json(answer.mi_map)
        if answer.neighbours is not None:
            line["neighbours"] = neighbours_json(answer.neighbours)
        return line


def summary_json(tally: Tally, *, complete: bool) -> dict[str, object]:
    """Make the summary; `complete` means that the stream was read to its end."""
    return {
        "items": tally.items,
        "ok": tally.ok,
        "errors": tally.errors,
        "by_code": dict(sorted(tally.failures.items())),
        "complete": complete,
    }


def failure_json(failure: ServiceError) -> dict[str, object]:
    """Describe why a stream ended early."""
    error: dict[str, object] = {"code": failure.code, "message": str(failure)}
    if failure.limit is not None:
        error["limit"] = failure.limit
    if failure.setting is not None:
        error["setting"] = failure.setting
    return error
