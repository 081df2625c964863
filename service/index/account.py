"""Which operating-system account the embedded PostgreSQL runs as: it refuses to run as root."""

import logging
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from service.index.errors import IndexStartError

logger = logging.getLogger(__name__)

_UNPRIVILEGED = "nobody"
_NOBODY = 65534
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
        """Give a folder to this account, closed to every other.

        Raises:
            IndexStartError: this process may not.
        """
        folder.chmod(stat.S_IRWXU)
        if self.uid is not None and self.gid is not None:
            try:
                os.chown(folder, self.uid, self.gid)
            except PermissionError as error:
                raise self.refused() from error

    def refused(self) -> IndexStartError:
        """What to say where this process is root and may not act as another user."""
        return IndexStartError(
            f"PostgreSQL refuses to run as root, and this root may not act as user {self.uid} (it lacks "
            "CAP_CHOWN, CAP_SETUID and CAP_SETGID). Start Infomax as another user, for instance with "
            "docker run --user 10001, or set INFOMAX_DATABASE_URL."
        )


def choose_account(cluster: Path) -> SystemUser:
    """Choose the owner of the cluster folder, `nobody` for a new one; this process's user unless it is root.

    Raises:
        IndexStartError: root has no other user to choose.
    """
    if os.geteuid() != 0:
        return SystemUser(None, None)
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return SystemUser(owner.st_uid, owner.st_gid)
    try:
        entry = pwd.getpwnam(_UNPRIVILEGED)
        uid, gid = entry.pw_uid, entry.pw_gid
    except KeyError:
        uid = gid = _NOBODY
    return SystemUser(_mapped(uid, Path("/proc/self/uid_map")), _mapped(gid, Path("/proc/self/gid_map")))


def _mapped(wanted: int, id_map: Path) -> int:
    """An id that this user namespace has: the wanted one, or else its last one.

    Raises:
        IndexStartError: it has none but root's.
    """
    try:
        rows = [[int(field) for field in line.split()] for line in id_map.read_text().splitlines()]
    except OSError:
        # Not Linux, or no /proc: there are no such namespaces, or nothing says so.
        return wanted
    if not rows or any(first <= wanted < first + count for first, _, count in rows):
        return wanted
    last = max(first + count - 1 for first, _, count in rows)
    if last == 0:
        raise IndexStartError(
            "PostgreSQL refuses to run as root, and this user namespace has no other user. Start the "
            "container as another user, for instance with podman run --userns=keep-id --user 1000, or set "
            "INFOMAX_DATABASE_URL."
        )
    return last


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
