"""The demo's words for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from example_project.demo.arrivals import SETUP_CALLS, Arrivals

LABELS = {"kit": "Kit", "conversion": "Conversion", "convertloop": "ConvertLoop"}
HEADER = ("", "people", "all right", "tags", "calls", "least possible")


class Screen:
    """Lines that stay, and lines that change: on a terminal in place, elsewhere told once, as they were at the end."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._changing: tuple[str, ...] = ()

    def say(self, *lines: str) -> None:
        """Write lines that stay, after the changing ones as they are now."""
        if not self._out.isatty():
            self._write(*self._changing)
        self._changing = ()
        self._write(*lines)

    def update(self, *lines: str) -> None:
        """Put these lines in the place of those of the last ``update``."""
        if self._out.isatty() and lines != self._changing:
            if self._changing:
                self._out.write(f"\x1b[{len(self._changing)}F\x1b[J")
            self._write(*lines)
        self._changing = lines

    def _write(self, *lines: str) -> None:
        self._out.writelines(f"{line}\n" for line in lines)
        self._out.flush()


def table(arrivals: Sequence[Arrivals]) -> list[str]:
    """A line for each service, under a header, in columns."""
    rows = [HEADER, *(_row(one) for one in arrivals)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return ["  ".join(_cell(row, column, widths[column]) for column in range(len(HEADER))).rstrip() for row in rows]


def _row(one: Arrivals) -> tuple[str, ...]:
    of_all = f"/{one.expected}"
    return (
        LABELS[one.service],
        f"{one.people}{of_all}",
        f"{one.right}{of_all}",
        str(one.tags) if one.service != "conversion" else "–",
        str(one.calls),
        f"{one.least} (+{SETUP_CALLS} to set up)",
    )


def _cell(row: Sequence[str], column: int, width: int) -> str:
    return row[column].ljust(width) if column in (0, len(HEADER) - 1) else row[column].rjust(width)


def in_words(one: Arrivals) -> str:
    """One sentence on what a service received."""
    label = LABELS[one.service]
    if one.service == "kit":
        text = f"{label} has {one.mailable} active subscribers and {one.people - one.mailable} inactive ones"
        text += f", with {one.tags} tags given."
    elif one.service == "conversion":
        text = f"{label} has {one.mailable} subscribed contacts and {one.people - one.mailable} without a status."
    else:
        text = f"{label} has {one.people} people, {one.mailable} of them in segments."
    return text if one.complete else f"{text} Not right: {', '.join(one.wrong) or 'people are missing'}."
