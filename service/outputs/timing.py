"""Header `Server-Timing` (W3C): the times of a request's stages, which browsers draw."""

from service.inference.results import Stages


def server_timing(stages: Stages, **more: float) -> dict[str, str]:
    """Make the header, in milliseconds; `more` are further stages, in seconds."""
    seconds = {"decode": stages.decode, "queue": stages.queue, "inference": stages.inference, **more}
    entries = [f"{name};dur={1000 * duration:.2f}" for name, duration in seconds.items()]
    return {"Server-Timing": ", ".join(entries)}
