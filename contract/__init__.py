"""What the training half and the serving half agree on, free of torch and of FastAPI."""

from contract.telemetry import switch_off

# Here, so that no module of this package can load a library before.
switch_off()
