"""Folders that the service takes where no setting names one."""

import os
from pathlib import Path

_INSTALLATION = Path(__file__).absolute().parents[1]
# What `make serve` uses, and earlier releases without a setting.
LOCAL_INDEX = Path(".infomax")


def shipped_models() -> Path:
    """Find the models that come with Infomax: in the package of a wheel, in a checkout beside it."""
    packaged = _INSTALLATION / "infomax" / "models"
    return packaged if packaged.is_dir() else _INSTALLATION / "models"


def index_folder() -> Path:
    """Find the folder of the embedded index; that in the current folder is one that `infomax serve` names."""
    local = LOCAL_INDEX.absolute()
    if local.is_dir():
        return local
    shared = os.environ.get("XDG_DATA_HOME")
    if shared:
        return Path(shared).absolute() / "infomax"
    try:
        return Path.home() / ".local" / "share" / "infomax"
    except RuntimeError:
        # An account without a home.
        return local
