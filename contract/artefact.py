"""A model folder on disk: `<name>/<version>/{encoder.onnx, critic.onnx, card.json}`.

Beside `encoder.onnx` lies `encoder.int8.onnx` where the card lists one.

Opening one checks everything that can be checked without running it; running the golden input is the
service's part.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx.external_data_helper import uses_external_data
from pydantic import ValidationError

from contract.card import CARD_FILE, CRITIC_FILE, ENCODER_FILE, ENCODER_FILES, METADATA_KEY, ModelCard
from contract.errors import ArtefactError
from contract.precision import Precision


@dataclass(frozen=True)
class Artefact:
    """A checked model folder."""

    folder: Path
    card: ModelCard

    @property
    def encoder(self) -> Path:
        return self.encoder_of("fp32")

    def encoder_of(self, precision: Precision) -> Path:
        """The graph of one precision; whether the folder holds it is for the card to say."""
        return self.folder / ENCODER_FILES[precision]

    @property
    def critic(self) -> Path:
        return self.folder / CRITIC_FILE


def open_artefact(folder: Path) -> Artefact:
    """Read and check a model folder.

    Raises:
        ArtefactError: a file is missing, the card is invalid, the folder's name is not the card's
            `name/version`, a graph carries another card, or a graph's weights have another hash.
    """
    for name in (CARD_FILE, ENCODER_FILE, CRITIC_FILE):
        if not (folder / name).is_file():
            raise ArtefactError(f"{folder} has no {name}; a model folder is written by `infomax export`.")
    card = read_card((folder / CARD_FILE).read_text(), source=str(folder / CARD_FILE))
    if folder.resolve().parts[-2:] != (card.name, str(card.version)):
        raise ArtefactError(f"{folder} holds the model {card.id}; name the folder .../{card.id}.")
    for digest in card.digests:
        if not (folder / digest.file).is_file():
            raise ArtefactError(f"{folder} has no {digest.file}, which its card lists; export it again.")
        _check_graph(folder / digest.file, card, digest.sha256)
    return Artefact(folder=folder, card=card)


def read_card(text: str, source: str) -> ModelCard:
    """Parse a card.

    Raises:
        ArtefactError: naming `source` and the first rule that the text breaks.
    """
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the card"
        raise ArtefactError(f"{source} is no valid model card: {place}: {first['msg']}.") from error


def weights_sha256(model: onnx.ModelProto) -> str:
    """Digest of a graph's structure and weights, without its metadata (which holds this very digest)."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()


def _check_graph(path: Path, card: ModelCard, expected: str) -> None:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise ArtefactError(f"{path} is no readable ONNX file ({error}); export the model again.") from error
    if any(uses_external_data(tensor) for tensor in model.graph.initializer):
        # The digest would not cover what is in that other file.
        raise ArtefactError(f"{path} keeps weights outside of itself; export it with its weights inside.")
    actual = weights_sha256(model)
    if actual != expected:
        raise ArtefactError(
            f"{path} has the digest {actual[:12]}..., its card says {expected[:12]}...: "
            "the file was changed after export; export or download it again."
        )
    carried = {item.key: item.value for item in model.metadata_props}.get(METADATA_KEY)
    if carried != card.as_exported.to_json():
        raise ArtefactError(f"{path} carries another card than {CARD_FILE} beside it; export it again.")
