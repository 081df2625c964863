"""Charts in two liveries, so that a page can show the one that fits its background."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_DPI = 150


@dataclass(frozen=True)
class Theme:
    """Colours of a chart on a transparent ground.

    Attributes:
        ink: of text and axes.
        grid: of the grid.
        lines: of series, told apart with every common colour blindness (Okabe and Ito 2008, the dark ones
            lightened).
    """

    ink: str
    grid: str
    lines: tuple[str, ...]


LIGHT = Theme(
    ink="#1f2733",
    grid="#d5dbe3",
    lines=("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#000000"),
)
DARK = Theme(
    ink="#e3e8ef",
    grid="#3a4350",
    lines=("#56b4e9", "#ff9b54", "#3ccfa4", "#e8a5c9", "#f0e442", "#9cc8f5", "#ffffff"),
)


@dataclass(frozen=True)
class Chart:
    """One chart as two data URIs, and a text for readers who cannot see it."""

    light: str
    dark: str
    alt: str


def chart(draw: Callable[[Axes, Theme], None], alt: str, size: tuple[float, float] = (4.4, 2.9)) -> Chart:
    """Draw a chart in both themes; `size` is in inches."""
    return Chart(_drawn(draw, LIGHT, size), _drawn(draw, DARK, size), alt)


def data_uri(content: bytes, media_type: str) -> str:
    """Encode bytes as a URI that holds them."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _drawn(draw: Callable[[Axes, Theme], None], theme: Theme, size: tuple[float, float]) -> str:
    figure = Figure(figsize=size, layout="constrained", facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor="none")
    draw(axes, theme)
    axes.grid(color=theme.grid, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=theme.ink, labelsize=8, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.grid)
    for text in (axes.xaxis.label, axes.yaxis.label):
        text.set_color(theme.ink)
        text.set_fontsize(9)
    legend = axes.get_legend()
    if legend is not None:
        for text in legend.get_texts():
            text.set_color(theme.ink)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
    return data_uri(file.getvalue(), "image/png")
