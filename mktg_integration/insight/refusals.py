"""Whether what was last sent was taken, told from the runs of the last pushes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final

from mktg_integration.models import Run

PUSHES: Final = 5
"""The newest of a connection that are looked at."""
FEW: Final = 3
"""Rejections with nothing taken between them that are more than one person's bad data."""
RECENT: Final = timedelta(days=1)
MANY: Final = 20
"""Rejections for one reason; fewer may well be the fault of the people's own data."""
SHARE: Final = 0.1
"""Of all that was gone through: below it, a large first push with some bad addresses is no trouble of the service."""


@dataclass(frozen=True, slots=True)
class Refused:
    """``count`` were rejected; ``code`` is the most frequent reason, empty where it is not known. ``nothing_taken``:
    since then nobody arrived."""

    count: int
    code: str
    nothing_taken: bool


def refused(pushes: Sequence[Run], now: datetime) -> Refused | None:
    """What is wrong with these pushes of one connection, the newest first; None where nothing is."""
    if not pushes:
        return None
    in_vain = list(takewhile(lambda push: not _taken(push), pushes))
    rejected = sum(_number(push, "rejected") for push in in_vain)
    if rejected >= FEW:
        codes = sum((_codes(push) for push in in_vain), Counter()).most_common(1)
        return Refused(rejected, codes[0][0] if codes else "", nothing_taken=True)
    recent = [push for push in pushes if push.started_at >= now - RECENT]
    codes = sum((_codes(push) for push in recent), Counter()).most_common(1)
    gone_through = sum(_taken(push) + _number(push, "rejected") for push in recent)
    if codes and codes[0][1] >= max(MANY, SHARE * gone_through):
        return Refused(codes[0][1], codes[0][0], nothing_taken=False)
    return None


def _taken(push: Run) -> int:
    return _number(push, "done") + _number(push, "sent")


def _number(push: Run, name: str) -> int:
    return int(push.counts.get(name) or 0)


def _codes(push: Run) -> Counter[str]:
    """How many were rejected for each reason. A push that staff asked for keeps its first rejections only."""
    told = push.counts.get("reasons")
    if told:
        return Counter({code: int(count) for code, count in told.items()})
    codes = {str(error.get("code", "")) for error in push.errors} - {""}
    return Counter({code: _number(push, "rejected") for code in codes if len(codes) == 1})
