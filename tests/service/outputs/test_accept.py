"""Which format a client gets."""

import pytest

from service.errors import ServiceError
from service.outputs.accept import ARROW, JSON, NPY, PNG, choose

OFFERED = (JSON, NPY, PNG)


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/x-npy", NPY),
        ("Application/X-NPY ; q=0.5", NPY),
        ("image/*", PNG),
        ("application/*", JSON),
        ("image/png, application/json;q=0.9", PNG),
        ("image/png;q=0.2, application/json;q=0.9", JSON),
        # The type itself counts before a range that covers it.
        ("application/json;q=0.1, */*;q=0.5", NPY),
        ("*/*, application/json;q=0, application/x-npy;q=0", PNG),
        # What browsers send.
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", JSON),
        ("application/json; charset=utf-8", JSON),
        ("image/png;q=much, application/x-npy", NPY),
        ("image/png;q=nan, application/x-npy", NPY),
        (",, ;q=1, image/png", PNG),
    ],
)
def test_the_format_that_the_client_prefers_is_chosen(header: str, chosen: str) -> None:
    assert choose(header, OFFERED) == chosen


@pytest.mark.parametrize("header", ["text/html", "image/jpeg", "application/json;q=0", "*/*;q=0", ","])
def test_an_unknown_format_is_refused_with_the_offered_ones(header: str) -> None:
    with pytest.raises(ServiceError) as caught:
        choose(header, (JSON, ARROW))
    assert (caught.value.status, caught.value.code) == (406, "not_acceptable")
    assert JSON in str(caught.value)
    assert ARROW in str(caught.value)
