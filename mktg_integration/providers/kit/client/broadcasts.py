"""Kit v4, "Broadcasts"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, moment

_ALL = "/v4/broadcasts"
_ONE = "/v4/broadcasts/{id}"


@dataclass(frozen=True, kw_only=True, slots=True)
class BroadcastBody:
    """What a broadcast is created and updated with. Kit requires every key, so all are sent: None means its default.

    A draft: ``send_at`` None on creation, ``public`` False on update. To schedule: ``public`` True and ``send_at``
    (aware). ``subscriber_filter`` uses one of the groups ``all``, ``any`` and ``none``; None means everybody.
    """

    subject: str | None = None
    content: str | None = None
    description: str | None = None
    preview_text: str | None = None
    public: bool | None = False
    published_at: datetime | str | None = None
    send_at: datetime | str | None = None
    email_template_id: int | None = None
    email_address: str | None = None
    thumbnail_alt: str | None = None
    thumbnail_url: str | None = None
    subscriber_filter: Sequence[Mapping[str, Any]] | None = None

    def as_json(self) -> dict[str, Any]:
        body = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**body, "published_at": moment(self.published_at), "send_at": moment(self.send_at)}


class Broadcasts(KitBase):
    def list_broadcasts(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.Broadcast]:
        """ "List broadcasts": drafts, scheduled and sent ones."""
        return self._list(
            _ALL,
            schemas.BroadcastPage,
            lambda page: page.broadcasts,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def create_broadcast(self, body: BroadcastBody) -> schemas.Broadcast:
        """ "Create a broadcast". Raises ``ValueError`` for a time without a zone."""
        return self._send("POST", _ALL, schemas.BroadcastAnswer, json=body.as_json(), expect=(201,))[0].broadcast

    def get_broadcast(self, broadcast_id: int | str) -> schemas.Broadcast:
        """ "Get a broadcast"."""
        return self._get(_ONE, schemas.BroadcastAnswer, path={"id": broadcast_id}).broadcast

    def update_broadcast(self, broadcast_id: int | str, body: BroadcastBody) -> schemas.Broadcast:
        """ "Update a broadcast": the whole of it, unless it is already being sent."""
        path = {"id": broadcast_id}
        answer, _ = self._send("PUT", _ONE, schemas.BroadcastAnswer, path=path, json=body.as_json(), expect=(200,))
        return answer.broadcast

    def delete_broadcast(self, broadcast_id: int | str) -> None:
        """ "Delete a broadcast", unless it is already being sent."""
        self._drop(_ONE, path={"id": broadcast_id})

    def get_broadcast_stats(self, broadcast_id: int | str) -> schemas.BroadcastStats:
        """ "Get stats" of a broadcast."""
        path = {"id": broadcast_id}
        return self._get(_ONE + "/stats", schemas.BroadcastStatsAnswer, path=path).broadcast.stats
