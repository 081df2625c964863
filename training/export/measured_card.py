"""Measures of maps and neighbours, written into the card of a finished model."""

from contract.artefact import Artefact, open_artefact
from contract.card import CARD_FILE, ModelCard
from contract.map_measures import Attribution, Reliability
from contract.neighbour_measure import NeighbourMeasure
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
    return _write(artefact, artefact.card.measured(precision, attribution, reliability))


def write_neighbours(artefact: Artefact, measure: NeighbourMeasure) -> Artefact:
    """State how often a model's neighbours are right, as `write_measures` does for its maps.

    Raises:
        OSError: a file cannot be written.
    """
    return _write(artefact, artefact.card.model_copy(update={"neighbours": measure}))


def _write(artefact: Artefact, card: ModelCard) -> Artefact:
    write_whole(artefact.folder / CARD_FILE, card.to_json())
    write_whole(artefact.folder / README_FILE, readme(card))
    return open_artefact(artefact.folder)
