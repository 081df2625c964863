"""Exit status of a command that a signal stopped."""

STOPPED = 75
"""Exit status of a run that the same command goes on with; EX_TEMPFAIL of sysexits.h."""
