"""`infomax index export` and `import`: everything arrives, and nothing of another model."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.card import ModelCard
from service.index.cells import CellGrid
from service.index.items import NewItem, StoredPicture
from service.index.originals import OriginalsFolder
from service.index.schema import migrate
from service.index.search import Query
from service.index_jobs import exporting, importing
from tests.service.index_jobs.conftest import Command, ended_well, refused
from tests.service.index_session import directions, opened
from tests.tiny_model import GRID, UNITS

COUNT = 60


def stored_items(card: ModelCard) -> list[NewItem]:
    """Items of every kind: bare vectors, images with and without an original."""
    items = []
    for number, vector in enumerate(directions(card, COUNT)):
        name = f"Grüße/{number:03}"
        if number % 3 == 0:
            items.append(NewItem(name, vector, {"n": number, "text": "\"'\\ 猫"}))
            continue
        original = number.to_bytes(2, "big") * 500 if number % 3 == 1 else None
        digest = None if original is None else hashlib.sha256(original).digest()
        code = np.full(12, number, np.float32)
        thumbnail = b"thumbnail %d" % number
        items.append(
            NewItem(name, vector, {}, code, 640, 480, "JPEG", thumbnail, original, digest),
        )
    return items


def put(url: str, card: ModelCard, items: list[NewItem], *, regions: bool = False) -> None:
    async def run() -> None:
        async with opened(url, card, regions=regions) as index:
            await index.put(items)

    asyncio.run(run())


def content(url: str, card: ModelCard) -> tuple[list[object], dict[str, StoredPicture]]:
    """Every item's vector, metadata, code and neighbours, and every picture."""
    names = [item.id for item in stored_items(card)]

    async def run() -> tuple[list[object], dict[str, StoredPicture]]:
        async with opened(url, card) as index:
            found: list[object] = []
            for name in names:
                item = await index.get(name)
                assert item is not None
                hits = await index.search(Query(item.vector, 10, with_codes=True))
                codes = [None if hit.code is None else hit.code.tolist() for hit in hits]
                found.append(
                    [item.vector.tolist(), item.metadata, item.width, item.height, item.format, item.updated]
                )
                found.append([[hit.id, hit.score, code] for hit, code in zip(hits, codes, strict=True)])
            return found, await index.pictures(names)

    return asyncio.run(run())


def test_an_imported_index_gives_the_same_neighbours_metadata_and_pictures(
    index_url: str, other_url: str, card: ModelCard, tiny_models: Path, command: Command, tmp_path: Path
) -> None:
    put(index_url, card, stored_items(card))
    out = tmp_path / "items.parquet"
    assert "60 items of tiny/1" in ended_well(command(index_url, "export", out))
    options = ("--models-dir", tiny_models, "--originals", "database")
    assert "60 items of tiny/1" in ended_well(command(other_url, "import", out, *options))
    expected = content(index_url, card)
    assert content(other_url, card) == expected
    # Once more: nothing is doubled.
    assert "20 with originals" in ended_well(command(other_url, "import", out, *options))
    assert content(other_url, card) == expected
    row = orjson.loads(ended_well(command(other_url, "stats", "--json")))
    assert (row["items"], row["thumbnails"], row["originals"], row["bare_vectors"]) == (60, 40, 20, 20)


def test_originals_of_a_folder_go_into_the_file_and_out_of_it(
    index_url: str, other_url: str, card: ModelCard, tiny_models: Path, command: Command, tmp_path: Path
) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    here = OriginalsFolder(folders[0])
    one, gone = directions(card, 2)
    digest = here.write(b"original")
    put(
        index_url,
        card,
        [
            NewItem("kept", one, {}, None, 1, 1, "PNG", b"small", None, digest),
            NewItem("lost", gone, {}, None, 1, 1, "PNG", b"small", None, bytes(32)),
        ],
    )
    out = tmp_path / "items.parquet"
    said = ended_well(command(index_url, "export", out, "--originals-dir", folders[0]))
    assert "1 with originals. 1 originals are gone from" in said

    models = ("--models-dir", tiny_models)
    left_out = ended_well(command(other_url, "import", out, *models))
    assert "1 original left out: set --originals." in left_out
    ended_well(
        command(other_url, "import", out, *models, "--originals", "folder", "--originals-dir", folders[1])
    )
    assert OriginalsFolder(folders[1]).read(digest) == b"original"

    async def pictures() -> dict[str, StoredPicture]:
        async with opened(other_url, card) as index:
            return await index.pictures(["kept", "lost"])

    found = asyncio.run(pictures())
    assert (found["kept"].original, found["kept"].original_sha256) == (None, digest)
    assert (found["lost"].thumbnail, found["lost"].original_sha256) == (b"small", None)


def test_an_import_over_the_same_images_takes_nothing_away(
    index_url: str, card: ModelCard, tiny_models: Path, command: Command, tmp_path: Path
) -> None:
    grid = CellGrid.of(card)
    rng = np.random.default_rng(0)
    cells = [grid.pool(rng.standard_normal((UNITS, GRID, GRID)).astype(np.float32)) for _ in range(COUNT)]
    items = [
        item if item.width is None else replace(item, cells=one)
        for item, one in zip(stored_items(card), cells, strict=True)
    ]
    full, bare = tmp_path / "full.parquet", tmp_path / "bare.parquet"
    options = ("--models-dir", tiny_models)

    put(index_url, card, items, regions=True)
    ended_well(command(index_url, "export", full))
    ended_well(command(index_url, "export", bare, "--no-pictures"))
    before = rows(index_url)
    for file in (full, bare):
        assert "regions" not in ended_well(command(index_url, "import", file, *options))
        # Not even written: that would add each to the graph once more.
        assert rows(index_url) == before
    # What has changed since: metadata are those of the file, and another vector is another image.
    changed = [replace(items[1], metadata={"since": 1}), replace(items[2], vector=-items[2].vector)]
    put(index_url, card, changed, regions=True)
    said = ended_well(command(index_url, "import", bare, *options))
    assert " 1 items have another vector than before, and so no regions: store their images again." in said
    now = rows(index_url)
    assert {name for name in before if now[name][1:] != before[name][1:]} == {items[2].id}
    assert now[items[2].id][1:] == (None, None, None)


def rows(url: str) -> dict[str, tuple[object, ...]]:
    """Version of each row, its pictures and its cells, by the id."""
    with psycopg.connect(url) as connection:
        return {
            row[0]: row[1:]
            for row in connection.execute(
                "SELECT id, xmin::text, thumbnail, original_sha256, "
                "(SELECT string_agg(cell || local::text, ' ' ORDER BY cell) "
                " FROM infomax.cells AS one WHERE one.id = item.id) FROM infomax.items AS item"
            )
        }


def test_no_pictures_are_written_where_none_are_wanted(
    index_url: str, card: ModelCard, command: Command, tmp_path: Path
) -> None:
    put(index_url, card, stored_items(card))
    out = tmp_path / "items.parquet"
    ended_well(command(index_url, "export", out, "--no-pictures"))
    table = pq.read_table(out)
    assert table.num_rows == COUNT
    for column in ("thumbnail", "original", "original_sha256"):
        assert table[column].null_count == COUNT


def test_a_file_is_written_and_read_in_groups_of_bounded_size(
    index_url: str,
    other_url: str,
    card: ModelCard,
    tiny_models: Path,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "_GROUP_BYTES", 3000)
    monkeypatch.setattr(exporting, "_ROWS_FETCHED", 7)
    monkeypatch.setattr(importing, "_ROWS_STORED", 5)
    put(index_url, card, stored_items(card))
    out = tmp_path / "items.parquet"
    ended_well(command(index_url, "export", out))
    file = pq.ParquetFile(out)
    originals = [file.read_row_group(number)["original"] for number in range(file.num_row_groups)]
    assert max(sum(len(one) for one in group.to_pylist() if one) for group in originals) <= 2 * 3000
    ended_well(command(other_url, "import", out, "--models-dir", tiny_models, "--originals", "database"))
    assert content(other_url, card) == content(index_url, card)


def test_vectors_of_a_model_that_is_not_here_are_refused_by_name(
    index_url: str, other_url: str, card: ModelCard, tiny_models: Path, command: Command, tmp_path: Path
) -> None:
    retrained = card.model_copy(
        update={"weights": tuple(digest.model_copy(update={"sha256": "1" * 64}) for digest in card.weights)}
    )
    foreign = card.model_copy(update={"version": 7})
    for number, one in enumerate((retrained, foreign), start=1):
        put(index_url, one, [NewItem("a", directions(card, 1)[0])])
        out = tmp_path / f"{number}.parquet"
        ended_well(command(index_url, "export", out, "--space", number))
        sentence = refused(command(other_url, "import", out, "--models-dir", tiny_models))
        assert sentence.startswith(f"{out} holds vectors of {one.id} with encoder")
        assert ("the model there is tiny/1 with encoder" in sentence) == (one is retrained)
    migrate(other_url)
    assert ended_well(command(other_url, "stats", "--json")) == ""
    # The space that a service has made is enough: the model need not lie on this machine.
    asyncio.run(make_space(other_url, foreign))
    ended_well(command(other_url, "import", out, "--models-dir", tiny_models))


async def make_space(url: str, card: ModelCard) -> None:
    async with opened(url, card) as index:
        await index.statistics()


def test_a_file_that_is_no_export_or_has_a_bad_row_is_refused_with_the_row(
    index_url: str, other_url: str, card: ModelCard, tiny_models: Path, command: Command, tmp_path: Path
) -> None:
    models = ("--models-dir", tiny_models)
    put(index_url, card, stored_items(card))
    good = tmp_path / "good.parquet"
    ended_well(command(index_url, "export", good))
    table = pq.read_table(good)

    def sentence(changed: pa.Table) -> str:
        path = tmp_path / "bad.parquet"
        pq.write_table(changed, path)
        return refused(command(other_url, "import", path, *models))

    assert "does not say what made its vectors" in sentence(table.replace_schema_metadata({}))
    assert "has no column code" in sentence(table.drop_columns(["code"]))
    ids = table["id"].to_pylist()
    ids[41] = "a/../b"
    assert "Row 42 of" in sentence(table.set_column(0, table.schema.field("id"), pa.array(ids)))
    texts = table["metadata"].to_pylist()
    texts[2] = "[1]"
    assert "Row 3 of" in sentence(table.set_column(2, table.schema.field("metadata"), pa.array(texts)))
    longer = np.array(table["vector"].to_pylist(), np.float32)
    longer[5] *= 2
    column = pa.FixedSizeListArray.from_arrays(pa.array(longer.ravel()), longer.shape[1])
    assert "Row 6 of" in sentence(table.set_column(1, table.schema.field("vector"), column))
    (tmp_path / "text.parquet").write_text("not Parquet at all")
    assert "cannot be read" in refused(command(other_url, "import", tmp_path / "text.parquet", *models))
    assert "cannot be read" in refused(command(other_url, "import", tmp_path / "none.parquet", *models))


def test_an_export_replaces_no_file_unasked_and_leaves_none_half_written(
    index_url: str, card: ModelCard, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(index_url, card, stored_items(card))
    out = tmp_path / "items.parquet"
    out.write_text("mine")
    assert refused(command(index_url, "export", out)).endswith("pass --overwrite to replace it.")
    assert out.read_text() == "mine"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(exporting.ExportFile, "write", full)
        assert "No space left on device" in refused(command(index_url, "export", out, "--overwrite"))
    assert out.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]
    ended_well(command(index_url, "export", out, "--overwrite"))
    assert pq.read_table(out).num_rows == COUNT
