"""Exit status of a command that a signal or a time limit stopped."""

# sysexits.h: "temporary failure; user is invited to retry". A stopped run is neither done nor broken.
STOPPED = 75
