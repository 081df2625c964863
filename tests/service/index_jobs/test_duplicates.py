"""`infomax index duplicates`: planted groups are found, whole, by comparison and by the graph."""

import asyncio

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from contract.card import ModelCard
from service.index.items import NewItem
from service.index_jobs import duplicates
from service.index_jobs.duplicate_groups import DuplicateGroup, DuplicateGroups
from tests.service.index_jobs.conftest import Command, ended_well, refused
from tests.service.index_session import directions, opened

THRESHOLD = 0.9


def planted(card: ModelCard) -> list[NewItem]:
    """300 items far from each other, a triple, a chain whose ends are far apart, and 40 equal ones."""
    wide = directions(card, 300)
    items = [NewItem(f"single-{number:03}", vector) for number, vector in enumerate(wide)]
    first, second = np.linalg.qr(wide[:2].T)[0].T
    items += [NewItem(f"triple-{n}", wide[5]) for n in range(2)]
    for step in range(4):
        angle = 0.4 * step
        chain = np.cos(angle) * first + np.sin(angle) * second
        items.append(NewItem(f"chain-{step}", chain.astype(np.float32)))
    items += [NewItem(f"equal-{n:02}", wide[9]) for n in range(40)]
    return items


def expected(items: list[NewItem]) -> set[tuple[str, ...]]:
    """Groups of the items, by the matrix of all scores."""
    vectors = np.stack([item.vector for item in items])
    return components(vectors @ vectors.T >= THRESHOLD, [item.id for item in items])


def components(joined: NDArray[np.bool_], names: list[str]) -> set[tuple[str, ...]]:
    """Connected components of more than one item, by repeated squaring of the matrix of pairs [N, N]."""
    while True:
        further = (joined.astype(np.float32) @ joined.astype(np.float32)) > 0
        if (further == joined).all():
            break
        joined = further
    sets = {tuple(sorted(names[place] for place in np.flatnonzero(row))) for row in joined}
    return {ids for ids in sets if len(ids) > 1}


@pytest.mark.parametrize("way", ["--exact", "--graph"])
def test_planted_groups_are_found_whole(
    way: str, index_url: str, card: ModelCard, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK", 100)
    items = planted(card)

    async def fill() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.put(items)
            await index.maintain()

    asyncio.run(fill())
    result = command(index_url, "duplicates", way, "--threshold", THRESHOLD, "--json")
    found = [orjson.loads(line) for line in ended_well(result).splitlines()]
    assert {tuple(group["ids"]) for group in found} == expected(items)
    assert len(found[0]["ids"]) == 41
    assert found[0]["least_score"] == pytest.approx(1, abs=1e-5)
    (chain,) = [group for group in found if "chain-0" in group["ids"]]
    assert set(chain["ids"]) >= {f"chain-{step}" for step in range(4)}
    assert THRESHOLD <= chain["least_score"] <= np.cos(0.4) + 1e-5
    assert "groups of" in result.stderr


def test_groups_are_blocks_of_text_by_default(index_url: str, card: ModelCard, command: Command) -> None:
    one, other = directions(card, 2)

    async def fill() -> None:
        async with opened(index_url, card) as index:
            await index.put([NewItem("b", one), NewItem("a", one), NewItem("c", other)])

    asyncio.run(fill())
    assert ended_well(command(index_url, "duplicates")) == "1.0000\n  a\n  b\n\n"
    assert refused(command(index_url, "duplicates", "--graph")) == (
        "The neighbour graph of space 1 (tiny/1, 3 items) is not built yet. "
        "Let the service build it, or pass --exact to compare all pairs."
    )


def test_pairs_join_to_groups_in_any_order() -> None:
    pairs = [(0, 1, 0.9), (2, 3, 0.95), (4, 5, 1.0), (1, 2, 0.91), (3, 0, 0.97)]
    for order in (pairs, pairs[::-1], pairs[2:] + pairs[:2]):
        one_by_one, at_once = DuplicateGroups("abcdefg"), DuplicateGroups("abcdefg")
        for one, other, score in order:
            one_by_one.join([one], [other], [score])
        at_once.join(*zip(*order, strict=True))
        for groups in (one_by_one, at_once):
            assert list(groups) == [
                DuplicateGroup(("a", "b", "c", "d"), 0.9),
                DuplicateGroup(("e", "f"), 1.0),
            ]
    assert list(DuplicateGroups([])) == []


@pytest.mark.parametrize("seed", range(5))
def test_random_pairs_make_the_components_of_their_graph(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [str(number) for number in range(60)]
    pairs = rng.integers(0, 60, (35, 2))
    joined = np.eye(60, dtype=bool)
    joined[pairs[:, 0], pairs[:, 1]] = joined[pairs[:, 1], pairs[:, 0]] = True
    groups = DuplicateGroups(names)
    for part in np.split(pairs, [10, 25]):
        groups.join(part[:, 0], part[:, 1], np.ones(len(part)))
    assert {group.ids for group in groups} == components(joined, names)
