"""Measurements that are too long for tests; nothing here is installed or served."""

from contract.telemetry import switch_off

# Here, so that no module of this package can load a library before.
switch_off()
