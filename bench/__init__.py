"""Measurements that take too long for tests; nothing here is installed or served."""

from contract.telemetry import switch_off

# Here, because no module of this package may load a library before.
switch_off()
