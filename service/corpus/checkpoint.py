"""Work of a run that is on the disk: pieces of rows, each whole or not there, and what they belong to."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from contract.errors import InfomaxError
from service.corpus.image import CorpusImage
from service.corpus.rows import CorpusRow, batch_of
from service.inputs.names import shown_path

_IDENTITY, _LOCK, _DIGEST = "run.json", "lock", b"infomax.ids_sha256"


class CheckpointError(InfomaxError):
    """The work of another run lies where this one would put its own."""


class Checkpoint:
    """Folder `OUT.partial`, of one run at a time.

    Attributes:
        folder: the folder.
        images: images whose rows are on the disk.
    """

    def __init__(self, out: Path, identity: Mapping[str, object], *, restart: bool) -> None:
        """Go on with the run that began the output, or begin it.

        Args:
            out: the output.
            identity: what decides the bytes of the output; another run with the same goes on.
            restart: throw away what an earlier run did.

        Raises:
            CheckpointError: another run is writing the output, or began it with another identity.
        """
        self.folder = out.with_name(f"{out.name}.partial")
        self.images = 0
        self._digest = hashlib.sha256()
        self._stored_digest = self._digest.hexdigest()
        self._pieces = 0
        self.folder.mkdir(exist_ok=True)
        self._lock = (self.folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise CheckpointError(
                f"Another run is writing {shown_path(out)}. Wait for its end, or choose another --out."
            ) from None
        if restart:
            self._clear()
        self._check_identity(out, identity)
        while (piece := self._piece(self._pieces)).exists():
            with piece.open("rb") as opened, pa.ipc.open_file(opened) as file:
                self.images += sum(file.get_batch(place).num_rows for place in range(file.num_record_batches))
                self._stored_digest = (file.schema.metadata or {})[_DIGEST].decode()
            self._pieces += 1

    def skip(self, images: Iterator[CorpusImage]) -> None:
        """Pass over the images whose rows are on the disk.

        Raises:
            CheckpointError: they are not the images that the rows were made of.
        """
        for _ in range(self.images):
            image = next(images, None)
            if image is None:
                break
            self._add(image.id)
        if self._digest.hexdigest() != self._stored_digest:
            raise CheckpointError(
                f"The images have changed since {shown_path(self.folder)} was begun. "
                "Pass --restart to begin anew."
            )

    def commit(self, rows: list[CorpusRow], schema: pa.Schema) -> None:
        """Put further rows on the disk."""
        for row in rows:
            self._add(row.id)
        stamped = schema.with_metadata(
            {**(schema.metadata or {}), _DIGEST: self._digest.hexdigest().encode()}
        )
        piece = self._piece(self._pieces)
        part = piece.with_suffix(".part")
        with part.open("wb") as file:
            with pa.ipc.new_file(file, stamped) as writer:
                writer.write_batch(batch_of(rows, stamped))
            file.flush()
            os.fsync(file.fileno())
        part.replace(piece)
        self._pieces += 1
        self.images += len(rows)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Read all rows again, piece by piece."""
        for place in range(self._pieces):
            with self._piece(place).open("rb") as opened, pa.ipc.open_file(opened) as file:
                for number in range(file.num_record_batches):
                    yield file.get_batch(number)

    def close(self, *, remove: bool = False) -> None:
        """Let other runs in; `remove` the folder where nothing in it is needed any more."""
        with self._lock:
            if remove:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _check_identity(self, out: Path, identity: Mapping[str, object]) -> None:
        path = self.folder / _IDENTITY
        text = json.dumps(identity, sort_keys=True, indent=2)
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_text(text)
            part.replace(path)
            return
        stored = json.loads(path.read_text())
        differing = sorted(
            key for key in {*stored, *identity} if stored.get(key) != json.loads(text).get(key)
        )
        if differing:
            self._lock.close()
            raise CheckpointError(
                f"{shown_path(self.folder)} is of a run with another {', '.join(differing)}. "
                f"Go on with the same, pass --restart to begin {shown_path(out)} anew, or choose another."
            )

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name == _LOCK:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _add(self, name: str) -> None:
        data = name.encode()
        self._digest.update(b"%d:%s" % (len(data), data))

    def _piece(self, place: int) -> Path:
        return self.folder / f"piece-{place:07d}.arrow"
