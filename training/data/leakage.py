"""Images that are held out must not be among those that were trained on."""

from training.data import ImageSet
from training.data.set_aside import pixel_digests
from training.errors import ExportError

# CIFAR-10's own test images repeat a few of its training images; a whole set named twice is another matter.
_LARGEST_OVERLAP = 0.05


def check_apart(training: ImageSet, held_out: ImageSet) -> None:
    """Refuse held-out images that were trained on, by their pixels.

    Raises:
        ExportError: more than a twentieth of them were.
    """
    known = set(pixel_digests(training.pixels))
    repeated = sum(image in known for image in pixel_digests(held_out.pixels))
    if repeated > _LARGEST_OVERLAP * len(held_out):
        raise ExportError(
            f"{repeated} of the {len(held_out)} held-out images are among the training images; figures "
            "measured on them would be too good, so name images that were kept apart."
        )
