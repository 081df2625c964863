"""Control groups of this process: where its limits stand."""

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def own_groups(controller: str, root: Path = ROOT, membership: Path = MEMBERSHIP) -> list[Path]:
    """The process's groups and all their ancestors, since a limit binds everything below it.

    Inside a container the path of the membership usually does not exist under the mount, whose root is
    then the group itself.

    Args:
        controller: whose limit is looked for: `cpu` or `memory`.
        root: where the cgroup file system (version 2 or 1) is mounted.
        membership: the process's `/proc/self/cgroup`.
    """
    groups = [root, root / controller]
    if membership.is_file():
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            mount = root / controllers if controllers else root
            folder = mount / path.lstrip("/")
            groups += [mount, folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]
    return groups


def read(path: Path) -> str | None:
    """The text of a file of a group; None where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
