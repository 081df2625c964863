"""Variables of OpenTelemetry that its exporter refuses."""

import pytest

pytest.importorskip("opentelemetry.sdk", reason="tracing is not installed: make setup")

from service import tracing


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_BSP_SCHEDULE_DELAY", "-5"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
    ],
)
def test_a_refused_variable_is_a_sentence(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(tracing.TracingError, match=f"Correct the one of .*{variable}"):
        tracing.start(0)
    assert tracing.current() is None
