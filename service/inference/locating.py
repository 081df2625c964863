"""The folder of the model that a setting or a request names."""

from pathlib import Path

from contract.errors import ArtefactError
from contract.model_folders import model_folders


def locate(models_dir: Path, model: str) -> Path:
    """Find the folder of `name/version`, or of the newest version of `name`.

    Raises:
        ArtefactError: the folder does not exist; the message lists those that do.
    """
    name, _, version = model.partition("/")
    present = model_folders(models_dir)
    matching = [
        folder
        for folder in present
        if folder.parent.name == name and (not version or int(folder.name) == int(version))
    ]
    if not matching:
        existing = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in present) or "no model"
        raise ArtefactError(
            f"{models_dir} holds no model {model}; it holds {existing}. Set INFOMAX_MODEL or "
            "INFOMAX_MODELS_DIR."
        )
    return matching[-1]
