"""Repetition obeys the service, the rule and the deadline."""

from collections.abc import Callable
from time import monotonic

import httpx
import pytest

from infomax.client.calls import models
from infomax.client.connection import refusal_of, request_arguments
from infomax.client.errors import (
    ClientError,
    DeadlineExceededError,
    RequestRefusedError,
    ServiceUnreachableError,
)
from infomax.client.retry import Retry

UNREACHABLE = ServiceUnreachableError("gone")


def busy(retry_after: float | None = None, status: int = 503) -> RequestRefusedError:
    return RequestRefusedError(status, "overloaded", "full", retry_after=retry_after)


def run(
    rule: Retry, *outcomes: ClientError, deadline: float | None = None, stop_after: int = 10_000
) -> tuple[str, list[float]]:
    """Let a request fail with these errors in turn before it is answered; its end and its waits."""
    waits: list[float] = []
    left = [*outcomes]

    def attempt() -> str:
        if not left:
            return "answered"
        raise left.pop(0)

    loop = rule.blocking(deadline, waits.append, lambda: len(waits) >= stop_after)
    try:
        return loop(attempt), waits
    except ClientError as error:
        return str(error), waits


def test_waits_grow_to_the_longest_and_end_in_the_last_error() -> None:
    rule = Retry(seconds=60, first_wait=1, longest_wait=8)
    said, waits = run(rule, *[UNREACHABLE] * 100)
    assert said == "gone"
    assert sum(waits) <= 60
    assert [int(wait) for wait in waits[:3]] == [1, 2, 4]
    assert all(8 <= wait < 9 for wait in waits[3:])
    assert len(waits) > 5


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for_and_not_much_longer(status: int) -> None:
    said, waits = run(Retry(), busy(7.5, status))
    assert said == "answered"
    (wait,) = waits
    assert 7.5 <= wait <= 7.5 * 1.1


def test_clients_that_were_told_the_same_wait_come_back_spread() -> None:
    assert len({run(Retry(), busy(10))[1][0] for _ in range(5)}) == 5


def test_a_longer_retry_after_than_the_rule_allows_is_raised_at_once() -> None:
    assert run(Retry(longest_retry_after=60), busy(3600, 429)) == ("overloaded: full", [])


def test_no_wait_reaches_beyond_the_deadline() -> None:
    assert run(Retry(), busy(30), deadline=monotonic() + 20) == ("overloaded: full", [])


def test_nothing_is_repeated_after_the_end() -> None:
    assert run(Retry(), UNREACHABLE, stop_after=0) == ("gone", [])


@pytest.mark.parametrize(
    "error",
    [RequestRefusedError(422, "corrupt_image", "why"), RequestRefusedError(500, "inference_failed", "why")],
)
def test_a_refusal_that_stays_is_not_repeated(error: RequestRefusedError) -> None:
    assert run(Retry(), error) == (str(error), [])


def test_a_request_tells_the_service_how_long_it_may_take() -> None:
    headers = request_arguments(models(), monotonic() + 2)["headers"]
    assert 1000 < int(headers["X-Request-Timeout-Ms"]) <= 2000
    assert "X-Request-Timeout-Ms" not in request_arguments(models(), None)["headers"]
    with pytest.raises(DeadlineExceededError):
        request_arguments(models(), monotonic() - 1)


@pytest.mark.parametrize(
    ("answer", "code", "retry_after"),
    [
        (lambda: httpx.Response(503, json={"code": "overloaded", "retry_after": 0.25}), "overloaded", 0.25),
        (lambda: httpx.Response(503, headers={"Retry-After": "3"}, text="<html>"), "http_503", 3),
        (lambda: httpx.Response(502, headers={"Retry-After": "Wed, 21 Oct 2015"}), "http_502", None),
        (lambda: httpx.Response(500, json=[1]), "http_500", None),
    ],
)
def test_refusals_are_read_whoever_wrote_them(
    answer: Callable[[], httpx.Response], code: str, retry_after: float | None
) -> None:
    refusal = refusal_of(answer())
    assert (refusal.code, refusal.retry_after) == (code, retry_after)
