"""Small pictures for the page, as SVG without text: what they show is beside them in words and numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

_SVG = Markup(
    '<svg class="{}" viewBox="0 0 100 {}" preserveAspectRatio="none" aria-hidden="true" focusable="false">{}</svg>'
)
_RECT = Markup('<rect class="{}" x="{:.2f}" y="{}" width="{:.2f}" height="{}"/>')
_LEAST = 1.5
"""The width of something that is there, however little it is in proportion."""


def shares(counts: Mapping[str, int]) -> Markup:
    """One bar, divided in proportion; the names are those of its tones."""
    total = sum(counts.values()) or 1
    widths = {tone: max(100 * count / total, _LEAST) for tone, count in counts.items() if count}
    scale = 100 / (sum(widths.values()) or 1)
    return _SVG.format("bar", 10, _rects([(tone, width * scale, 10) for tone, width in widths.items()]))


def length(value: float, most: float, tone: str = "other") -> Markup:
    """One bar, as long as the value in proportion to the largest."""
    return _SVG.format("bar thin", 6, _RECT.format(f"p-{tone}", 0, 0, _width(value, most), 6))


def before_and_after(before: float, after: float, most: float, tone: str) -> Markup:
    """Two bars, one below the other."""
    first = _RECT.format("p-before", 0, 0, _width(before, most), 5)
    second = _RECT.format(f"p-{tone}", 0, 7, _width(after, most), 5)
    return _SVG.format("bar double", 12, first + second)


def _width(value: float, most: float) -> float:
    return max(100 * value / most, _LEAST) if value and most else 0


def _rects(parts: Sequence[tuple[str, float, int]]) -> Markup:
    return Markup("").join(_placed(parts))


def _placed(parts: Sequence[tuple[str, float, int]]) -> Iterator[Markup]:
    start = 0.0
    for tone, width, height in parts:
        yield _RECT.format(f"p-{tone}", start, 0, max(width - 0.4, 0.4), height)
        start += width


_SIGN = Markup(
    '<svg class="sign" viewBox="0 0 24 24" aria-hidden="true" focusable="false">'
    '<circle cx="12" cy="12" r="11"/>{}</svg>'
)
_YES = Markup('<path d="M7 12.5l3.4 3.4L17 8.8"/>')
_SIGNS = {
    "yes": _YES,
    "yes, as far as selected": _YES,
    "with care": Markup('<path d="M12 6.5v7"/><circle class="dot" cx="12" cy="17.2" r="1.5"/>'),
    "no": Markup('<path d="M8 8l8 8M16 8l-8 8"/>'),
    "not asked": Markup('<path d="M7 12h10"/>'),
    "not known": Markup(
        '<path d="M9 9.2a3 3 0 1 1 4.4 2.7c-.9.5-1.4 1-1.4 2"/><circle class="dot" cx="12" cy="17.4" r="1.4"/>'
    ),
}


def sign(word: str) -> Markup:
    """A sign beside the answer."""
    return _SIGN.format(_SIGNS[word])
