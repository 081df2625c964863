"""Telemetry of libraries: switched off before the first of them loads."""

import os

# ONNX Runtime's wheels send events to Microsoft, and keep a device id and a database of events in the user's
# cache. The library reads the variable once, while it loads. A Ray cluster reports its use while it runs.
# Child processes inherit both variables.
SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def switch_off() -> None:
    """Switch the telemetry of all libraries off, for this process and those that it starts."""
    os.environ.update(SWITCHES)
