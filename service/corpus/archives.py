"""Images of tar archives and WebDataset shards.

Members whose names differ in what follows the first dot are one sample
(https://github.com/webdataset/webdataset): `7.jpg` and `7.cls`.
"""

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from service.corpus.image import CorpusImage
from service.inference.results import Failed
from service.inputs.image_buffer import image_too_large
from service.inputs.names import is_litter, member_id, shown_path, text_of

SUFFIXES = (".tar", ".tar.gz", ".tgz")
# What stands beside an image, and is an image of its own only where nothing else is.
_SIDECARS = (".cls", ".id", ".index", ".json", ".txt")
_MOST_SIDECAR_BYTES = 2**20


def archive_images(path: Path) -> Iterator[CorpusImage]:
    """Yield the images of an archive in its order.

    The label is that of the sample's `.cls`, or `label` of its `.json`, else the first folder of the member's
    name. An archive that cannot be read on ends in an image that fails.
    """
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:*") as archive:
            sample: list[tarfile.TarInfo] = []
            while (member := archive.next()) is not None:
                # It would keep every header (typeshed leaves `members` out).
                archive.members.clear()  # type: ignore[attr-defined]
                if member.isdir() or is_litter(member.name):
                    continue
                if sample and _key(sample[0].name) != _key(member.name):
                    yield from _images(path, archive, sample)
                    sample = []
                sample.append(member)
            yield from _images(path, archive, sample)
    except (tarfile.TarError, OSError, EOFError) as error:
        where = shown_path(path)
        failed = Failed("unreadable_file", f"The archive cannot be read on: {error}.")
        yield CorpusImage(where, where, None, lambda _limit: failed)


def _images(path: Path, archive: tarfile.TarFile, sample: list[tarfile.TarInfo]) -> Iterator[CorpusImage]:
    sidecars = [one for one in sample if one.isreg() and _suffix(one.name) in _SIDECARS]
    if len(sidecars) == len(sample):
        sidecars = []
    label = _label(archive, sidecars)
    for member in sample:
        if member not in sidecars:
            name = member_id(text_of(member.name.encode("utf-8", "surrogateescape")))
            first, slash, _ = name.lstrip("/").partition("/")
            yield CorpusImage(
                name,
                f"{shown_path(path)}/{name}",
                label if label is not None else first if slash else None,
                partial(_content, archive, member),
            )


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int) -> bytes | Failed:
    if not member.isreg():
        return Failed("unreadable_file", "This member is a link, a pipe or a device, and not a file.")
    if member.size > limit:
        return image_too_large(f"has more than {limit:,} bytes", limit)
    file = archive.extractfile(member)
    data = file.read() if file is not None else b""
    if len(data) < member.size:
        return Failed("unreadable_file", "The archive ends within this member.")
    return data


def _label(archive: tarfile.TarFile, sidecars: list[tarfile.TarInfo]) -> str | None:
    for member in sidecars:
        file = archive.extractfile(member) if member.size <= _MOST_SIDECAR_BYTES else None
        if file is None:
            continue
        text = file.read().decode("utf-8", "replace").strip()
        if _suffix(member.name) == ".cls":
            return text
        if _suffix(member.name) == ".json" and (label := _json_label(text)) is not None:
            return label
    return None


def _json_label(text: str) -> str | None:
    try:
        label = json.loads(text)["label"]
    except (ValueError, KeyError, TypeError):
        return None
    return None if label is None else str(label)


def _key(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return folder + slash + file.split(".", 1)[0]


def _suffix(name: str) -> str:
    dot = name.rpartition("/")[2].rpartition(".")
    return f".{dot[2].lower()}" if dot[1] else ""
