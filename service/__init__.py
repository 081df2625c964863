"""The online half: a model folder in, a REST API out.

Rooms stand on floors and import downwards only (docs/architecture.md); tests/test_floors.py holds them.
"""

from contract.telemetry import switch_off

# Here, so that no module of this package can load a library before.
switch_off()
