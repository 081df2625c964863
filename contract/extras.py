"""Installation of an extra. Infomax is on no package index, so `pip install 'infomax[...]'` finds nothing."""

# What `make setup` installs of those that a command or a setting may lack.
OF_MAKE_SETUP = frozenset({"serving", "training", "ray", "tracing"})


def installation(extra: str) -> str:
    """Say in one sentence how the packages of an extra are installed."""
    setup = "make setup or " if extra in OF_MAKE_SETUP else ""
    return (
        f"Install the extra: {setup}pip install '.[{extra}]' in a checkout of Infomax, or "
        f"pip install 'FILE.whl[{extra}]' with its wheel."
    )
