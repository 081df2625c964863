"""Packages of the wheel; pyproject.toml cannot express that the shipped model lies outside of them all."""

from pathlib import Path

from setuptools import find_packages, setup

DEFAULT_MODEL = "photos"


def newest_version(model: Path) -> Path | None:
    """The folder of a model's newest version; None in a build without models, as that of the image."""
    return max(model.glob("[0-9]*"), key=lambda folder: int(folder.name), default=None)


packages = find_packages(include=["contract*", "infomax*", "service*", "training*"])
folders = {}
data = {
    "": ["py.typed"],
    "service": ["page/*"],
    "training": ["recipes/*.toml", "report/*.html"],
}
shipped = newest_version(Path("models", DEFAULT_MODEL))
if shipped is not None:
    packages.append("infomax.models")
    folders["infomax.models"] = "models"
    data["infomax.models"] = [f"{DEFAULT_MODEL}/{shipped.name}/*"]

setup(packages=packages, package_dir=folders, package_data=data)
