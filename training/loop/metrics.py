"""What a run writes about itself: JSON lines, TensorBoard events and a picture of the curves."""

import json
from pathlib import Path
from types import TracebackType

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from training.system.atomic_file import write_whole

JSONL = "metrics.jsonl"
CURVES = "curves.png"
_FEW_POINTS = 12
# Of the picture, in inches: a panel with its numbers, and what is free around and between the axes.
_COLUMNS = 3
_PANEL_WIDTH, _PANEL_HEIGHT = 4.2, 2.8
_LEFT, _BOTTOM, _RIGHT, _TOP = 0.75, 0.55, 0.15, 0.3
_BESIDE, _BETWEEN = 0.75, 0.6


class MetricsLog:
    """Appends points {"step", name: value, ...} to `metrics.jsonl` and TensorBoard.

    Args:
        folder: the run's folder.
        resume_step: points after this step are dropped first: a run killed between a checkpoint and its
            end has logged steps that the resumed run will take again.
    """

    def __init__(self, folder: Path, resume_step: int) -> None:
        self._path = folder / JSONL
        self._points = [p for p in read_points(folder) if p["step"] <= resume_step]
        write_whole(self._path, "".join(json.dumps(point) + "\n" for point in self._points))
        self._file = self._path.open("a")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=resume_step + 1)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._board.close()

    def write(self, step: int, values: dict[str, float]) -> None:
        """Record values at a step; they are on disk when this returns."""
        point = {"step": step, **values}
        self._points.append(point)
        self._file.write(json.dumps(point) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def draw(self) -> None:
        """Write `curves.png` into the folder: one panel a metric, over steps."""
        draw_curves(self._points, self._path.with_name(CURVES))


def read_points(folder: Path) -> list[dict[str, float]]:
    """Read `metrics.jsonl`; a last line cut short by a crash is left out."""
    path = folder / JSONL
    if not path.is_file():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def draw_curves(points: list[dict[str, float]], path: Path) -> None:
    """Plot every metric of `points` but the bookkeeping ones."""
    names = [
        n for n in dict.fromkeys(name for point in points for name in point) if n not in ("step", "epoch")
    ]
    if not names:
        return
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(_PANEL_WIDTH * _COLUMNS, _PANEL_HEIGHT * rows))
    FigureCanvasAgg(figure)
    _leave_margins(figure, rows)
    for panel, name in enumerate(names):
        axes = figure.add_subplot(rows, _COLUMNS, panel + 1)
        series = [(point["step"], point[name]) for point in points if name in point]
        # A few points are marked: one alone makes no line.
        style = "o-" if len(series) <= _FEW_POINTS else "-"
        axes.plot(*zip(*series, strict=True), style, linewidth=1, markersize=3)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.3)
    figure.supxlabel("step", fontsize=8, y=0, verticalalignment="bottom")
    figure.savefig(path, dpi=110)


def _leave_margins(figure: Figure, rows: int) -> None:
    """Place the axes by numbers: a layout that measures every label takes as long as drawing them does."""
    width, height = figure.get_size_inches()
    across = (width - _LEFT - _RIGHT - (_COLUMNS - 1) * _BESIDE) / _COLUMNS
    down = (height - _TOP - _BOTTOM - (rows - 1) * _BETWEEN) / rows
    figure.subplots_adjust(
        left=_LEFT / width,
        right=1 - _RIGHT / width,
        bottom=_BOTTOM / height,
        top=1 - _TOP / height,
        wspace=_BESIDE / across,
        hspace=_BETWEEN / down,
    )
