"""Formulas of a page as MathML."""

import html
import re

from latex2mathml.converter import convert

_FORMULA = re.compile(
    r'<(?P<tag>div|span) class="arithmatex">\\(?P<open>[\[(])(?P<tex>.*?)\\[\])]</(?P=tag)>', re.DOTALL
)


def rendered(page: str) -> str:
    """Replace what `pymdownx.arithmatex` marked."""
    return _FORMULA.sub(_converted, page)


def _converted(found: re.Match[str]) -> str:
    display = "block" if found["open"] == "[" else "inline"
    mathml: str = convert(html.unescape(found["tex"]), display=display)
    return mathml
