"""One thing that ``mktg_doctor`` looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` says what to type, or where to look, where something is to be done."""

    about: str
    level: Level
    text: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)
