"""Telemetry of libraries: switched off before the first of them loads."""

import os

# ONNX Runtime's wheels send events to Microsoft, and keep a device id and a database of events in the user's
# cache. The library reads the variable once, while it loads. Child processes inherit it.
SWITCHES = {"ORT_DISABLE_TELEMETRY": "1"}


def switch_off() -> None:
    """Switch the telemetry of all libraries off, for this process and those that it starts."""
    os.environ.update(SWITCHES)
