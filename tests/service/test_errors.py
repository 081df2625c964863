"""One refusal, as every kind of client reads it."""

import orjson
import pytest
from prometheus_client import REGISTRY

from contract.errors import ImageError
from service.errors import ServiceError, as_service_error, item_error, problem
from service.inference.results import Failed


def test_a_refusal_is_a_problem_with_its_limit_and_the_setting_that_raises_it() -> None:
    error = ServiceError(413, "too_many_items", "Too many.", limit=8, setting="INFOMAX_QUEUE_ITEMS")
    response = problem(error, "request-1")
    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert orjson.loads(response.body) == {
        "type": "urn:infomax:error:too_many_items",
        "title": "Too many items",
        "status": 413,
        "detail": "Too many.",
        "code": "too_many_items",
        "limit": 8,
        "setting": "INFOMAX_QUEUE_ITEMS",
        "request_id": "request-1",
        "error": {
            "message": "Too many.",
            "type": "invalid_request_error",
            "code": "too_many_items",
            "param": None,
        },
    }


@pytest.mark.parametrize(("seconds", "header"), [(0.02, "1"), (1.0, "1"), (1.2, "2"), (17.5, "18")])
def test_retry_after_is_whole_seconds_and_never_too_early(seconds: float, header: str) -> None:
    response = problem(ServiceError(503, "overloaded", "Full.", retry_after=seconds), "r")
    assert response.headers["retry-after"] == header
    assert orjson.loads(response.body)["retry_after"] == seconds


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("empty_image", 400),
        ("image_too_large", 413),
        ("too_many_pixels", 413),
        ("unsupported_format", 415),
        ("too_many_scans", 422),
        ("truncated_image", 422),
        ("corrupt_image", 422),
    ],
)
def test_every_image_error_has_its_status(code: str, status: int) -> None:
    error = as_service_error(ImageError(code, "No.", limit=7))
    assert (error.status, error.code, error.limit) == (status, code, 7)


def test_a_failed_image_of_several_is_named_by_its_place() -> None:
    error = item_error(Failed("too_many_pixels", "It is too large.", 40), position=3)
    assert str(error) == "Image 3: It is too large."
    assert (error.status, error.limit, error.setting) == (413, 40, "INFOMAX_MAX_IMAGE_PIXELS")


def test_an_unexpected_error_reveals_nothing_of_its_inside() -> None:
    response = problem(RuntimeError("password=hush"), "r")
    assert response.status_code == 500
    assert b"hush" not in response.body
    assert orjson.loads(response.body)["error"]["type"] == "server_error"


def test_refusals_are_counted_by_code() -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("infomax_rejections_total", {"reason": "overloaded"}) or 0

    before = counted()
    problem(ServiceError(503, "overloaded", "Full."), "r")
    assert counted() == before + 1
