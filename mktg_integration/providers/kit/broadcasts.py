"""Kit's broadcasts from drafts and back ("Create a broadcast", "Update a broadcast": every key is sent each time)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.providers.broadcasts import Audience, BroadcastDraft, Match
from mktg_integration.providers.kit import mirrored, schemas
from mktg_integration.providers.kit.client import BroadcastBody, KitClient
from mktg_integration.records import BroadcastRecord

JSON = Any


def read(remote_id: str, client: KitClient) -> BroadcastDraft:
    """The broadcast as Kit has it."""
    return _draft(client.get_broadcast(remote_id))


def write(remote_id: str, draft: BroadcastDraft, client: KitClient) -> BroadcastRecord:
    """Make it (without ``remote_id``) or change the whole of it. Raises ``ValueError`` for a time without a zone."""
    if remote_id:
        return mirrored.broadcast(client.update_broadcast(remote_id, _body(draft)))
    return mirrored.broadcast(client.create_broadcast(_body(draft)))


def delete(remote_id: str, client: KitClient) -> None:
    client.delete_broadcast(remote_id)


def _body(draft: BroadcastDraft) -> BroadcastBody:
    return BroadcastBody(
        subject=draft.subject or None,
        content=draft.content or None,
        description=draft.description or None,
        preview_text=draft.preview_text or None,
        # An update schedules only what is public.
        public=draft.on_web or draft.send_at is not None,
        published_at=draft.published_at,
        send_at=draft.send_at,
        email_template_id=_number("template", draft.template) if draft.template else None,
        email_address=draft.sender or None,
        thumbnail_alt=draft.thumbnail_alt or None,
        thumbnail_url=draft.thumbnail_url or None,
        subscriber_filter=_filter(draft.audience),
    )


def _filter(audience: Audience | None) -> list[dict[str, JSON]] | None:
    if audience is None:
        return None
    kinds = {"tag": audience.tags, "segment": audience.segments}
    group = [
        {"type": kind, "ids": sorted(_number(f"audience: {kind}s", one) for one in ids)}
        for kind, ids in kinds.items()
        if ids
    ]
    if not group:
        # Kit would take it for everybody.
        raise ValueError("audience: names no tag and no segment; leave it out (None) to mean everybody")
    return [{Match(audience.match).value: group}]


def _number(where: str, given: str) -> int:
    try:
        return int(given)
    except ValueError:
        raise ValueError(f"{where}: {given!r} is no id at Kit; give the remote_id of a row of the mirror") from None


def _draft(told: schemas.Broadcast) -> BroadcastDraft:
    return BroadcastDraft(
        subject=told.subject or "",
        content=told.content or "",
        preview_text=told.preview_text or "",
        description=told.description or "",
        template=str(told.email_template.id) if told.email_template else "",
        sender=told.email_address or "",
        audience=_audience(told.subscriber_filter),
        send_at=told.send_at,
        on_web=told.public,
        published_at=told.published_at,
        thumbnail_url=told.thumbnail_url or "",
        thumbnail_alt=told.thumbnail_alt or "",
    )


def _audience(told: JSON) -> Audience | None:
    """Kit's API writes one group of one kind; what it tells as empty, or as all subscribers, means everybody.

    Raises ``UnsupportedError`` for more than that: written back in part it would mail others than were chosen.
    """
    parts = [part for part in told if isinstance(part, Mapping)] if isinstance(told, list) else []
    chosen = [(match, groups) for part in parts for match in Match if (groups := part.get(match.value))]
    kinds = {str(group.get("type")) for _, groups in chosen for group in groups}
    if not chosen or (kinds == {"all_subscribers"} and Match.NONE not in {match for match, _ in chosen}):
        return None
    if len(chosen) > 1 or not kinds <= {"tag", "segment"}:
        raise UnsupportedError("its audience was chosen in Kit by more than the API can write: change it there")
    match, groups = chosen[0]
    ids = {kind: [str(one) for group in groups if group.get("type") == kind for one in group.get("ids") or ()]
           for kind in ("tag", "segment")}  # fmt: skip
    return Audience(tags=ids["tag"], segments=ids["segment"], match=match)
