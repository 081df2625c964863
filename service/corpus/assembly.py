"""The output of a finished run: one file, or a folder of shards, that appears whole under its name."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa

from contract.errors import InfomaxError
from service.corpus.checkpoint import Checkpoint
from service.inputs.names import shown_path
from service.outputs.vector_files import VECTOR_FILES

SHARD_IMAGES = 100_000
_DEFAULT = ".parquet"
_LISTED = ("id", "path", "error_code", "error_message")


class OutputError(InfomaxError):
    """The output cannot be written where the command says."""


class NothingEmbeddedError(InfomaxError):
    """No image of a run could be read."""


@dataclass(frozen=True)
class Summary:
    """Rows of an output, by outcome.

    Attributes:
        ok: images that were embedded.
        failures: images that failed, by code.
    """

    ok: int
    failures: Counter[str]


@dataclass(frozen=True)
class Output:
    """Where the rows go.

    Attributes:
        path: a file, or a folder of shards.
        suffix: of its files, a key of `VECTOR_FILES`.
        shard_images: images of one shard; None for one file.
        rejects: a file of NDJSON for the images that failed.
        overwrite: whether what is there is replaced.
    """

    path: Path
    suffix: str
    shard_images: int | None
    rejects: Path | None = None
    overwrite: bool = False

    @classmethod
    def of(
        cls, out: Path, form: str | None, shard_images: int | None, rejects: Path | None, *, overwrite: bool
    ) -> "Output":
        """Understand the options of a command.

        Raises:
            OutputError: they contradict each other, something is there already, or there is no folder for it.
        """
        out, endings = out.absolute(), ", ".join(VECTOR_FILES)
        # So that an output keeps its name whichever link led to it.
        out = out.parent.resolve() / out.name
        suffix = out.suffix if form is None else f".{form}"
        if out.suffix and form is None and shard_images is None:
            shards = None
        elif out.suffix in VECTOR_FILES:
            raise OutputError(
                f"{shown_path(out)} is one file. "
                "Leave out --format and --shard-images, or name a folder for shards."
            )
        else:
            suffix = _DEFAULT if form is None else suffix
            shards = shard_images or SHARD_IMAGES
        if suffix not in VECTOR_FILES:
            raise OutputError(f"{shown_path(out)} has no known ending. End it in one of {endings}.")
        made = cls(out, suffix, shards, None if rejects is None else rejects.resolve(), overwrite)
        for path in made.files():
            if not path.parent.is_dir():
                raise OutputError(
                    f"{shown_path(path)} cannot be written: there is no folder {shown_path(path.parent)}. "
                    "Make it first."
                )
            if path.exists() and not overwrite:
                raise OutputError(
                    f"{shown_path(path)} exists. Choose another name, or pass --overwrite to replace it."
                )
        return made

    def files(self) -> tuple[Path, ...]:
        """List what appears: the output, the files beside it, and the rejects."""
        companions = () if self.shard_images else VECTOR_FILES[self.suffix].companions(self.path)
        return (self.path, *companions, *(() if self.rejects is None else (self.rejects,)))

    def foreign(self) -> Callable[[Path], bool]:
        """Return a test of paths: whether a run with this output does not write them itself."""
        own = [str(one) for one in (*self.files(), self.path.with_name(f"{self.path.name}.partial"))]
        folders = tuple(f"{one}/" for one in own)
        return lambda path: str(path) not in own and not str(path).startswith(folders)


def assemble(checkpoint: Checkpoint, output: Output, schema: pa.Schema) -> Summary:
    """Write the output from the rows on the disk, and put it under its name.

    The same rows give the same bytes. A run that is killed meanwhile assembles again.

    Raises:
        NothingEmbeddedError: all images failed; nothing is put anywhere.
    """
    folder = checkpoint.folder / "output"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rejects = folder.with_name("rejects.ndjson")
    failures: Counter[str] = Counter()
    images = 0
    kind = VECTOR_FILES[output.suffix]
    with rejects.open("wb") as file:
        for number, shard in enumerate(_shards(checkpoint.batches(), output.shard_images)):
            name = output.path.name if output.shard_images is None else f"part-{number:05d}{output.suffix}"
            with kind(folder / name, schema) as shard_file:
                for batch in shard:
                    shard_file.write(batch)
                    images += batch.num_rows
                    for row in _failed(batch):
                        failures[str(row["code"])] += 1
                        file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
    if images == failures.total():
        raise NothingEmbeddedError(
            f"None of the {images:,} files is an image that can be read. The reasons stand above."
        )
    _put_in_place(folder, rejects, output)
    return Summary(images - failures.total(), failures)


def _shards(batches: Iterable[pa.RecordBatch], images: int | None) -> Iterator[Iterator[pa.RecordBatch]]:
    """Cut batches where shards end. Each shard is taken whole before the next one."""
    rest = iter(batches)
    held = next(rest, None)

    def shard() -> Iterator[pa.RecordBatch]:
        nonlocal held
        left = images
        while held is not None and left != 0:
            taken = held if left is None else held.slice(0, left)
            held = held.slice(taken.num_rows) if taken.num_rows < held.num_rows else next(rest, None)
            left = None if left is None else left - taken.num_rows
            yield taken

    while held is not None:
        yield shard()


def _failed(batch: pa.RecordBatch) -> list[dict[str, object]]:
    found = batch.select(_LISTED).filter(batch["error_code"].is_valid()).to_pylist()
    return [
        {"id": one["id"], "path": one["path"], "code": one["error_code"], "message": one["error_message"]}
        for one in found
    ]


def _put_in_place(folder: Path, rejects: Path, output: Output) -> None:
    if output.rejects is not None:
        shutil.move(rejects, output.rejects)
    if output.shard_images is None:
        # The file itself last: where it exists, what belongs to it does.
        for path in reversed([output.path, *VECTOR_FILES[output.suffix].companions(output.path)]):
            (folder / path.name).replace(path)
        return
    old = folder.with_name("replaced")
    if output.path.exists():
        output.path.rename(old)
    folder.rename(output.path)
