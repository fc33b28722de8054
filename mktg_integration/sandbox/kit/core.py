"""One Kit account at work: the rules that more than one endpoint obeys, and what follows from a change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..values import is_email, same_address
from .errors import invalid, not_found
from .objects import OPTED_OUT, CustomField, Job, Subscriber, SubscriberState
from .stats import Stats
from .tables import Members, Table
from .times import iso
from .world import World

T = TypeVar("T")

_STATE_EVENTS: dict[SubscriberState, str] = {
    "active": "subscriber_activate",
    "cancelled": "subscriber_unsubscribe",
    "bounced": "subscriber_bounce",
    "complained": "subscriber_complain",
}
MAX_FIELDS = 140
ASYNC_FIELDS = 10
"""More custom fields than this in one request are written later (202)."""


@dataclass(frozen=True)
class Event:
    """Something that webhooks tell of: the older kind's name without prefix, and the id or link concerned."""

    name: str
    data: dict[str, Any]
    parameter: int | str | None = None


@dataclass
class Kit:
    """The account that an endpoint's function works on."""

    world: World
    clock: Callable[[], float]
    clients: Mapping[str, str]
    """OAuth clients: secrets by client id."""
    stats: Stats = field(default_factory=Stats)
    operation: str = ""
    """The endpoint being answered, or the job or person's act being carried out."""
    events: list[Event] = field(default_factory=list)
    """Raised by this request; the service turns them into deliveries."""
    new_jobs: list[int] = field(default_factory=list)
    """Ids of the jobs that this request queued; the service schedules them."""

    @property
    def now(self) -> str:
        return iso(self.clock())

    # -- looking up

    def found(self, table: Table[T], key: int) -> T:
        """A row by id, or 404."""
        row = table.get(key)
        if row is None:
            raise not_found()
        return row

    def subscriber_by_email(self, email: str) -> Subscriber | None:
        key = self.world.ids_by_email.get(same_address(email))
        return None if key is None else self.world.subscribers.get(key)

    def subscriber_found_by_email(self, email: str) -> Subscriber:
        """A subscriber by address, or 404."""
        row = self.subscriber_by_email(email)
        if row is None:
            raise not_found()
        return row

    # -- showing

    def fields_of(self, row: Subscriber) -> dict[str, str | None]:
        """Every custom field of the account by key, null where the subscriber has none."""
        return {field.key: row.fields.get(field.key) for field in self.world.custom_fields}

    def shown(self, row: Subscriber, **times: str) -> dict[str, Any]:
        """A subscriber as single answers and lists show it; ``times``: ``tagged_at`` or ``added_at``."""
        return {
            "id": row.id,
            "first_name": row.first_name,
            "email_address": row.email_address,
            "state": row.state,
            "created_at": row.created_at,
            **times,
            "fields": self.fields_of(row),
        }

    # -- subscribers

    def checked_email(self, email: str | None) -> str:
        """The address without white space around it, or 422."""
        text = (email or "").strip()
        if not is_email(text):
            raise invalid("Email address is invalid")
        return text

    def create_subscriber(self, email: str, first_name: str | None, state: SubscriberState = "active") -> Subscriber:
        now = self.now
        row = Subscriber(
            id=self.world.next_id("subscribers"),
            email_address=email,
            created_at=now,
            updated_at=now,
            first_name=first_name,
            state=state,
            cancelled_at=now if state == "cancelled" else None,
        )
        self.world.subscribers.put(row.id, row)
        self.world.ids_by_email[same_address(email)] = row.id
        self.stats.created[self.operation] += 1
        self.raise_event("subscriber_created", row)
        if state == "active":
            self.raise_event("subscriber_activate", row)
        return row

    def upsert_subscriber(self, email: str, changes: Mapping[str, Any]) -> tuple[Subscriber, bool]:
        """Create a subscriber, or set an existing one's first name; never the state of an existing one.

        ``changes`` may hold ``first_name`` and, for a new one, ``state``. Answers whether it was created.
        """
        row = self.subscriber_by_email(email)
        if row is None:
            state: SubscriberState = changes.get("state") or "active"
            return self.create_subscriber(email, changes.get("first_name"), state), True
        self.stats.updated[self.operation] += 1
        if "first_name" in changes:
            row = self.change(row, first_name=changes["first_name"])
        return row, False

    def change(self, row: Subscriber, **changes: Any) -> Subscriber:
        """Write a subscriber's changed values; nothing is written where nothing differs."""
        changed = replace(row, **changes)
        if changed == row:
            return row
        changed = replace(changed, updated_at=self.now)
        self.world.subscribers.put(row.id, changed)
        if same_address(changed.email_address) != same_address(row.email_address):
            del self.world.ids_by_email[same_address(row.email_address)]
            self.world.ids_by_email[same_address(changed.email_address)] = row.id
        return changed

    def change_state(self, row: Subscriber, state: SubscriberState) -> Subscriber:
        """Move a subscriber to another state and tell the webhooks; counts returns from an opt-out."""
        if row.state == state:
            return row
        returns = state == "active" and (row.state in OPTED_OUT or row.cancelled_at is not None)
        if returns:
            self.stats.resubscribed[self.operation] += 1
        cancelled_at = {"cancelled": self.now, "active": None}.get(state, row.cancelled_at)
        row = self.change(row, state=state, cancelled_at=cancelled_at)
        if state in _STATE_EVENTS:
            self.raise_event(_STATE_EVENTS[state], row)
        return row

    # -- custom fields of a subscriber

    def split_fields(self, given: Mapping[str, str | None]) -> tuple[dict[str, str | None], list[str]]:
        """Values by key, and a warning for each name that is no custom field's label or key.

        Raises ``Refused`` (422) for more than 140.
        """
        if len(given) > MAX_FIELDS:
            raise invalid(f"Fields: at most {MAX_FIELDS} custom fields can be set at a time")
        known: dict[str, CustomField] = {}
        for row in self.world.custom_fields:
            known[row.key] = row
        for row in self.world.custom_fields:
            known[row.label] = row
        values = {known[name].key: value for name, value in given.items() if name in known}
        warnings = [f"Custom field '{name}' does not exist and was ignored" for name in given if name not in known]
        return values, warnings

    def write_fields(self, row: Subscriber, values: Mapping[str, str | None]) -> Subscriber:
        """Set values by key; those of fields deleted meanwhile are dropped."""
        keys = {field.key for field in self.world.custom_fields}
        merged = {**row.fields, **{key: value for key, value in values.items() if key in keys}}
        return self.change(row, fields=merged)

    # -- tags, forms, sequences

    def join(self, members: Members, container: int, row: Subscriber) -> tuple[str, bool]:
        """Put a subscriber into a tag, form or sequence: since when, and whether that is new."""
        since = members.since(container, row.id)
        if since is not None:
            return since, False
        now = self.now
        members.within(container).put(row.id, now)
        return now, True

    def tag(self, tag_id: int, row: Subscriber) -> tuple[str, bool]:
        """Tag a subscriber, telling the webhooks where that is new."""
        since, new = self.join(self.world.taggings, tag_id, row)
        if new:
            self.raise_event("tag_add", row, tag_id)
        return since, new

    def untag(self, tag_id: int, row: Subscriber) -> None:
        """Take a tag off a subscriber, who need not have it."""
        if self.world.taggings.since(tag_id, row.id) is not None:
            self.world.taggings.within(tag_id).remove(row.id)
            self.raise_event("tag_remove", row, tag_id)

    # -- what follows

    def raise_event(self, name: str, row: Subscriber, parameter: int | str | None = None) -> None:
        """Something happened to a subscriber; ``name`` as webhooks of the older kind spell it."""
        if len(self.world.webhooks) or len(self.world.webhook_endpoints):
            self.events.append(Event(name, {"subscriber": self.shown(row)}, parameter))

    def later(self, kind: str, items: list[dict[str, Any]], *, size: int = 0, callback_url: str | None = None) -> None:
        """Queue work that has been answered 202."""
        job = Job(
            id=self.world.next_id("jobs"),
            kind=kind,
            items=items,
            due=self.clock() + self.world.settings.async_delay,
            size=size,
            callback_url=callback_url,
            operation=self.operation,
        )
        self.world.jobs.put(job.id, job)
        self.new_jobs.append(job.id)
