"""Model folders of a folder of models, found by their names alone."""

from pathlib import Path


def model_folders(models_dir: Path) -> list[Path]:
    """Find the folders `<name>/<version>` of a models folder, by name and then from the oldest version."""
    return sorted(
        (folder for folder in models_dir.glob("*/*") if folder.is_dir() and folder.name.isdecimal()),
        key=lambda folder: (folder.parent.name, int(folder.name)),
    )
