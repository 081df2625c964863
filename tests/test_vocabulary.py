"""Vocabulary of the code: the field's words, one class for a name, no persons where there are machines."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("contract", "infomax", "service", "training")

# Words that once were private names, each with the field's word for it.
PRIVATE_WORDS = {
    "asker": "requester",
    "bury": "reap",
    "colleague": "peer",
    "company": "efficient batch",
    "crew": "thread pool",
    "deaf": "paused",
    "desk": "load requests",
    "fate": "status",
    "follower": "rollout worker",
    "gossip": "status update",
    "hear": "handle",
    "hopeless": "refused",
    "lane": "priority",
    "ledger": "usage file",
    "news": "status update",
    "obey": "handle",
    "patience": "timeout",
    "shortcut": "fast route",
    "stillborn": "early death",
    "surroundings": "middleware",
    "wish": "request",
}
# Terms of the field, and what is public, by file.
EXCEPTIONS = {
    # Early stopping.
    ("training/evaluation/probes/penalised.py", "patience"),
    # What lies around a planted picture.
    ("training/evaluation/maps/planted.py", "surroundings"),
    ("training/evaluation/maps/validation.py", "surroundings"),
    # Residual connections.
    ("training/model/critics/projection.py", "shortcut"),
    ("training/model/encoders/resnet.py", "shortcut"),
}
# The label of a metric, a file name on the disk, and the user of Unix systems are public.
PUBLIC_TEXTS = {"crew", "api-keys.ledger", "nobody"}
PERSONS = re.compile(r"\b(somebody|someone|nobody|no one|anybody|anyone|whoever|said so)\b", re.IGNORECASE)


@cache
def trees() -> dict[str, ast.Module]:
    """Parse every file of the packages, by its path."""
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in files}


def words(name: str) -> list[str]:
    """Split an identifier into its words, in the singular."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return [word for part in parts for word in {part.lower(), part.lower().removesuffix("s")}]


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Find every name that a file gives or uses, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                yield node.id, node.lineno
            case ast.Attribute():
                yield node.attr, node.lineno
            case ast.arg() | ast.keyword() if node.arg is not None:
                yield node.arg, node.lineno
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.alias():
                yield node.asname or node.name, node.lineno


def texts(path: str, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Find every string and comment of a file, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in PUBLIC_TEXTS:
            yield node.value, node.lineno
    for token in tokenize.generate_tokens(io.StringIO((ROOT / path).read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.string, token.start[0]


def private_words(path: str, tree: ast.Module) -> list[str]:
    """Name the private words among a file's identifiers, and in its own name."""
    names = [*identifiers(tree), (Path(path).stem, 0)]
    return [
        f"{path}:{line}: {name} says {word}, the word is {PRIVATE_WORDS[word]}"
        for name, line in names
        for word in words(name)
        if word in PRIVATE_WORDS and (path, word) not in EXCEPTIONS
    ]


def persons(path: str, tree: ast.Module) -> list[str]:
    """Name the sentences of a file that speak of persons."""
    found = []
    for text, line in texts(path, tree):
        # The Unix user is quoted.
        match = PERSONS.search(text.replace("`nobody`", ""))
        if match:
            found.append(f"{path}:{line}: {match[0]}")
    return found


def test_identifiers_say_the_words_of_the_field() -> None:
    assert [line for path, tree in trees().items() for line in private_words(path, tree)] == []


def test_a_class_name_exists_once() -> None:
    places = defaultdict(list)
    for path, tree in trees().items():
        if path.startswith("infomax/"):
            continue  # the client is a package of its own, with names for those who import it
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(f"{path}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_prose_speaks_of_machines_and_not_of_persons() -> None:
    assert [line for path, tree in trees().items() for line in persons(path, tree)] == []


@pytest.mark.parametrize(
    "text",
    ["crew = 1", "self.lanes", "def obey(): ...", "class LoadDesk: ...", "f(patience=1)", "import news"],
)
def test_a_private_word_is_found(text: str) -> None:
    assert len(private_words("service/example.py", ast.parse(text))) == 1


def test_other_words_are_not_found() -> None:
    code = "for plane in planes.ordered(airlines, deskew): ..."
    assert private_words("service/example.py", ast.parse(code)) == []
