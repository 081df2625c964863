"""What the paper reports, to stand beside what is measured.

Quoted from memory of Hjelm et al. 2019, table 1 (CIFAR-10), and not checked against it: accuracy in per cent
of its classifiers on conv, fc and Y after up to 1,000 epochs. A None was not remembered.
"""

NOTE = (
    "Figures of the paper are quoted from memory of Hjelm et al. 2019, table 1, and were not checked against "
    "it; they were reached with up to 1,000 epochs on 50,000 images."
)

PAPER: dict[str, tuple[float | None, float | None, float | None]] = {
    "supervised": (75.39, None, None),
    "ae": (62.2, 55.8, 54.5),
    "vae": (60.7, 60.5, 54.6),
    "nat": (56.2, 51.3, 31.2),
    "dim-g": (52.2, 52.8, 43.2),
    "dim-l-dv": (72.7, 70.6, 64.7),
    "dim-l-jsd": (73.3, 73.6, 67.0),
    "dim-l-infonce": (75.2, 75.6, 69.1),
}
