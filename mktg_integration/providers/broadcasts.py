"""An email to many, as a site writes one: plain values, for every provider that takes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Match(StrEnum):
    """Who of an audience is meant: who is in all of its tags and segments, in any, or in none of them."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """Tags and segments by remote id."""

    tags: Collection[str] = ()
    segments: Collection[str] = ()
    match: Match = Match.ANY


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastDraft:
    """The whole of a broadcast. ``content`` is HTML; ``template`` a remote id, ``sender`` an address, both empty for
    the account's own. ``audience`` None: everybody. ``send_at`` (aware) schedules it; None: a draft. ``on_web`` also
    publishes it as a page, under ``published_at``. ``description`` and the thumbnail are the page's."""

    subject: str = ""
    content: str = ""
    preview_text: str = ""
    description: str = ""
    template: str = ""
    sender: str = ""
    audience: Audience | None = None
    send_at: datetime | None = None
    on_web: bool = False
    published_at: datetime | None = None
    thumbnail_url: str = ""
    thumbnail_alt: str = ""
