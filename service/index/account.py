"""Which operating-system account the embedded PostgreSQL runs as: it refuses to run as root."""

import logging
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

_UNPRIVILEGED = "nobody"
_OTHERS_ENTER = stat.S_IXOTH
_OTHERS_READ = stat.S_IROTH


@dataclass(frozen=True)
class SystemUser:
    """Numeric user and group of the server process; both None to stay who we are."""

    uid: int | None
    gid: int | None

    @property
    def extra_groups(self) -> list[int] | None:
        """The supplementary groups: none for another account, our own for ourselves."""
        return None if self.uid is None else []

    def own(self, folder: Path) -> None:
        """Give a folder to this account, closed to every other."""
        folder.chmod(stat.S_IRWXU)
        if self.uid is not None and self.gid is not None:
            os.chown(folder, self.uid, self.gid)


def choose_account(cluster: Path) -> SystemUser:
    """Whoever owns the cluster folder, `nobody` for a new one; ourselves unless we are root."""
    if os.geteuid() != 0:
        return SystemUser(None, None)
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return SystemUser(owner.st_uid, owner.st_gid)
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def let_enter(account: SystemUser, folder: Path) -> None:
    """Let the account pass through a folder and all above it, by the search permission alone.

    Only root needs this, and only where its folders are closed (/root is). The names and files in them
    stay unreadable; each change is logged.
    """
    if account.uid is None:
        return
    for place in (folder, *folder.parents):
        status = place.stat()
        if status.st_uid != account.uid and not status.st_mode & _OTHERS_ENTER:
            logger.warning("chmod o+x %s: PostgreSQL, as user %d, must pass through", place, account.uid)
            place.chmod(stat.S_IMODE(status.st_mode) | _OTHERS_ENTER)


def let_read(account: SystemUser, tree: Path) -> None:
    """Let the account read and run an installed tree that root unpacked under a strict umask."""
    if account.uid is None or tree.stat().st_mode & _OTHERS_READ:
        return
    for place in (tree, *tree.rglob("*")):
        mode = stat.S_IMODE(place.stat().st_mode)
        enter = _OTHERS_ENTER if mode & stat.S_IXUSR else 0
        place.chmod(mode | _OTHERS_READ | enter)
