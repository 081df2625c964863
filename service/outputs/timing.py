"""Where a request's time went, in a header that browsers draw (W3C Server Timing)."""

from service.inference.results import Stages


def server_timing(stages: Stages, **more: float) -> dict[str, str]:
    """The header `Server-Timing`, in milliseconds; `more` are further stages, in seconds."""
    seconds = {"decode": stages.decode, "queue": stages.queue, "inference": stages.inference, **more}
    entries = [f"{name};dur={1000 * duration:.2f}" for name, duration in seconds.items()]
    return {"Server-Timing": ", ".join(entries)}
