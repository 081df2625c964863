"""Measures of maps, written into the card of a finished model."""

from contract.artefact import Artefact, open_artefact
from contract.card import CARD_FILE
from contract.map_measures import Attribution, Reliability
from contract.precision import Precision
from training.export.model_folder import README_FILE
from training.export.model_readme import readme
from training.system.atomic_file import write_whole


def write_measures(
    artefact: Artefact, precision: Precision, attribution: Attribution, reliability: Reliability | None
) -> Artefact:
    """State measures of a model's maps in its `card.json` and README, in place of earlier ones.

    The graphs stay as they are, and so do their digests, golden outputs and the card that they carry.

    Args:
        artefact: the model folder.
        precision: of the encoder whose maps were measured.
        attribution, reliability: what was measured.

    Raises:
        LookupError: the model has no encoder of that precision.
        OSError: a file cannot be written.
    """
    card = artefact.card.measured(precision, attribution, reliability)
    write_whole(artefact.folder / CARD_FILE, card.to_json())
    write_whole(artefact.folder / README_FILE, readme(card))
    return open_artefact(artefact.folder)
