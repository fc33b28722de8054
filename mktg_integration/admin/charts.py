"""The geometry of the charts: numbers of days become points of an inline SVG. No colours, no words of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WIDTH = 720
HEIGHT = 220
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
_MARKS = 4
_STEPS = (1, 2, 5)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: a number for each day, None where it is not known."""

    label: str
    values: Sequence[int | None]


@dataclass(frozen=True, kw_only=True)
class Line:
    """``lines`` are ``points`` of polylines, one for each stretch of known days; ``dots`` are single days."""

    label: str
    number: int
    lines: Sequence[str]
    dots: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A line across, or a day below."""

    at: str
    value: int | date


@dataclass(frozen=True, kw_only=True)
class Chart:
    name: str
    title: str
    description: str
    lines: Sequence[Line]
    across: Sequence[Mark]
    below: Sequence[Mark]
    rows: Sequence[tuple[date, Sequence[int | None]]]
    """The table beside it, the newest day first."""
    empty: str = ""
    """Why there is nothing to draw."""

    width = WIDTH
    height = HEIGHT
    left = LEFT
    right = WIDTH - RIGHT
    bottom = HEIGHT - BOTTOM


def draw(
    name: str, title: str, description: str, days: Sequence[date], series: Sequence[Series], *, empty: str
) -> Chart:
    """The chart of these series over these days, which follow each other without a gap. ``empty`` is said where no
    day has a number other than zero."""
    most = max((value or 0 for one in series for value in one.values), default=0)
    marks = _marks(most)
    top = marks[-1]
    xs = [_x(n, len(days)) for n in range(len(days))]
    lines = [
        _line(number, one, xs, [None if value is None else _y(value, top) for value in one.values])
        for number, one in enumerate(series, 1)
    ]
    known = [n for n in range(len(days)) if any(one.values[n] is not None for one in series)]
    return Chart(
        name=name,
        title=title,
        description=description,
        lines=lines,
        across=[Mark(at=_text(_y(value, top)), value=value) for value in marks],
        below=[Mark(at=_text(xs[n]), value=days[n]) for n in _some(len(days))],
        rows=[(days[n], [one.values[n] for one in series]) for n in reversed(known)],
        empty="" if most else empty,
    )


def days_until(last: date, count: int) -> list[date]:
    """``count`` days that end with ``last``."""
    return [last - timedelta(days=n) for n in reversed(range(count))]


def _line(number: int, series: Series, xs: Sequence[float], ys: Sequence[float | None]) -> Line:
    stretches: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(xs, ys, strict=True):
        if y is not None:
            stretches[-1].append((x, y))
        elif stretches[-1]:
            stretches.append([])
    return Line(
        label=series.label,
        number=number,
        lines=[" ".join(f"{_text(x)},{_text(y)}" for x, y in points) for points in stretches if len(points) > 1],
        dots=[(_text(points[0][0]), _text(points[0][1])) for points in stretches if len(points) == 1],
    )


def _marks(most: int) -> list[int]:
    """From zero to at least ``most``, in steps that people count by."""
    step = 1
    power = 0
    while step * _MARKS < most:
        power += 1
        step = _STEPS[power % 3] * 10 ** (power // 3)
    return [step * n for n in range(_MARKS + 1) if step * (n - 1) < max(most, 1)]


def _some(count: int) -> list[int]:
    """The first day, the last, and a few between."""
    if count < 2:
        return list(range(count))
    return sorted({round(n * (count - 1) / 4) for n in range(5)})


def _x(position: int, count: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (position / (count - 1) if count > 1 else 0.5)


def _y(value: int, top: int) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top


def _text(number: float) -> str:
    """As SVG wants it, whatever the visitor's language writes."""
    return f"{number:.1f}"
