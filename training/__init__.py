"""The offline half: images in, a model folder out."""

from contract.telemetry import switch_off

# Here, so that no module of this package can load a library before.
switch_off()
