"""The whole of a Kit account in memory, and its form as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from ..errors import WorldError
from ..values import place, same_address
from .objects import (
    STRICT,
    Account,
    Broadcast,
    Code,
    CustomField,
    EmailTemplate,
    Form,
    Job,
    Product,
    Profile,
    Purchase,
    Segment,
    Sequence,
    Settings,
    Subscriber,
    Tag,
    Token,
    Webhook,
    WebhookEndpoint,
    field_key,
)
from .tables import Members, Past, Table
from .times import iso


class _Row(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Row)

TABLES = (
    "subscribers",
    "custom_fields",
    "tags",
    "segments",
    "email_templates",
    "forms",
    "sequences",
    "broadcasts",
    "purchases",
    "products",
    "webhooks",
    "webhook_endpoints",
    "jobs",
)
DATED = ("subscribers", "custom_fields", "tags", "segments", "forms", "sequences", "broadcasts", "webhook_endpoints")


@dataclass(frozen=True, slots=True)
class Tagging:
    __pydantic_config__ = STRICT
    tag_id: int
    subscriber_id: int
    tagged_at: str


@dataclass(frozen=True, slots=True)
class FormMember:
    __pydantic_config__ = STRICT
    form_id: int
    subscriber_id: int
    added_at: str


@dataclass(frozen=True, slots=True)
class SequenceMember:
    __pydantic_config__ = STRICT
    sequence_id: int
    subscriber_id: int
    added_at: str


def _templates() -> list[EmailTemplate]:
    return [EmailTemplate(1, "Classic"), EmailTemplate(2, "Text Only", is_default=True)]


@dataclass
class WorldFile:
    """A world as JSON-ready values; every list may be left out, and of a row all but id and its name or address."""

    __pydantic_config__ = STRICT
    settings: Settings = field(default_factory=Settings)
    account: Account = field(default_factory=Account)
    creator_profile: Profile | None = None
    subscribers: list[Subscriber] = field(default_factory=list)
    custom_fields: list[CustomField] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    taggings: list[Tagging] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    email_templates: list[EmailTemplate] = field(default_factory=_templates)
    forms: list[Form] = field(default_factory=list)
    form_members: list[FormMember] = field(default_factory=list)
    sequences: list[Sequence] = field(default_factory=list)
    sequence_members: list[SequenceMember] = field(default_factory=list)
    broadcasts: list[Broadcast] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    webhook_endpoints: list[WebhookEndpoint] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    codes: list[Code] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)
    last_ids: dict[str, int] = field(default_factory=dict)
    """By table, so that the id of something deleted is not given again."""


_FILE = TypeAdapter(WorldFile)


class World:
    """The account's tables; writes that touch more than one of them live in ``core``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.settings = Settings()
        self.account = Account()
        self.creator_profile: Profile | None = None
        past = Past(clock, lambda: self.settings.list_lag)
        self.subscribers: Table[Subscriber] = Table(past)
        self.custom_fields: Table[CustomField] = Table(past)
        self.tags: Table[Tag] = Table(past)
        self.segments: Table[Segment] = Table(past)
        self.email_templates: Table[EmailTemplate] = Table(past)
        self.forms: Table[Form] = Table(past)
        self.sequences: Table[Sequence] = Table(past)
        self.broadcasts: Table[Broadcast] = Table(past)
        self.purchases: Table[Purchase] = Table(past)
        self.products: Table[Product] = Table(past)
        self.webhooks: Table[Webhook] = Table(past)
        self.webhook_endpoints: Table[WebhookEndpoint] = Table(past)
        self.jobs: Table[Job] = Table(past)
        self.taggings = Members(past)
        self.form_members = Members(past)
        self.sequence_members = Members(past)
        self.codes: dict[str, Code] = {}
        self.tokens: list[Token] = []
        self.last_ids: dict[str, int] = {}
        self.ids_by_email: dict[str, int] = {}
        self._clock = clock
        self._fill(WorldFile())

    def next_id(self, table: str) -> int:
        """A new id; ids count by table and never come back."""
        self.last_ids[table] = self.last_ids.get(table, 0) + 1
        return self.last_ids[table]

    @classmethod
    def loaded(cls, data: Mapping[str, Any], clock: Callable[[], float]) -> World:
        """A world from a file's values; times that are left out are now.

        Raises ``WorldError`` that names the row and the key.
        """
        now = iso(clock())
        data = {key: _dated(key, value, now) for key, value in data.items()}
        try:
            file = _FILE.validate_python(data)
        except ValidationError as error:
            raise WorldError(f"kit: {_first(error)}") from None
        world = cls(clock)
        world._fill(file)
        return world

    def dumped(self) -> dict[str, Any]:
        """The same as JSON-ready values."""
        file = WorldFile(
            settings=self.settings,
            account=self.account,
            creator_profile=self.creator_profile,
            taggings=[Tagging(*row) for row in self.taggings.rows()],
            form_members=[FormMember(*row) for row in self.form_members.rows()],
            sequence_members=[SequenceMember(*row) for row in self.sequence_members.rows()],
            codes=list(self.codes.values()),
            tokens=self.tokens,
            last_ids=dict(sorted(self.last_ids.items())),
            **{name: list(getattr(self, name)) for name in TABLES},
        )
        dumped: dict[str, Any] = _FILE.dump_python(file, mode="json")
        return dumped

    def _fill(self, file: WorldFile) -> None:
        self.settings, self.account, self.creator_profile = file.settings, file.account, file.creator_profile
        for name in TABLES:
            rows = _by_id(name, getattr(file, name))
            getattr(self, name).fill(rows)
            self.last_ids[name] = max([file.last_ids.get(name, 0), *rows])
        self._index_emails()
        self._check_fields()
        self._join(
            "taggings", self.taggings, self.tags, [(t.tag_id, t.subscriber_id, t.tagged_at) for t in file.taggings]
        )
        self._join(
            "form_members",
            self.form_members,
            self.forms,
            [(m.form_id, m.subscriber_id, m.added_at) for m in file.form_members],
        )
        self._join(
            "sequence_members",
            self.sequence_members,
            self.sequences,
            [(m.sequence_id, m.subscriber_id, m.added_at) for m in file.sequence_members],
        )
        self.codes = {code.code: code for code in file.codes}
        self.tokens = list(file.tokens)

    def _index_emails(self) -> None:
        self.ids_by_email.clear()
        for row in self.subscribers:
            other = self.ids_by_email.setdefault(same_address(row.email_address), row.id)
            if other != row.id:
                raise WorldError(f"kit: subscribers {other} and {row.id} have the same email_address")

    def _check_fields(self) -> None:
        keys = {row.key for row in self.custom_fields}
        for row in self.subscribers:
            if not keys.issuperset(row.fields):
                unknown = sorted(set(row.fields) - keys)
                raise WorldError(f"kit: subscriber {row.id}: fields {unknown} are no custom field's key")

    def _join(self, name: str, members: Members, containers: Table[Any], rows: list[tuple[int, int, str]]) -> None:
        joined: dict[int, dict[int, str]] = {}
        for index, (container, subscriber, at) in enumerate(rows):
            if containers.get(container) is None or self.subscribers.get(subscriber) is None:
                raise WorldError(f"kit: {name}[{index}] names an id that is not in the file")
            joined.setdefault(container, {})[subscriber] = at
        for container, since in joined.items():
            members.within(container).fill(since)


def _by_id(name: str, rows: list[R]) -> dict[int, R]:
    by_id = {row.id: row for row in rows}
    if len(by_id) != len(rows):
        raise WorldError(f"kit: {name} has an id twice")
    return by_id


def _dated(key: str, value: Any, now: str) -> Any:
    """Rows with their missing times filled in."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        return value
    if key == "taggings":
        return [{"tagged_at": now, **row} for row in value]
    if key in {"form_members", "sequence_members"}:
        return [{"added_at": now, **row} for row in value]
    if key == "subscribers":
        return [{"created_at": now, "updated_at": row.get("created_at", now), **row} for row in value]
    if key == "custom_fields":
        value = [_keyed(row) for row in value]
    if key in DATED:
        return [{"created_at": now, **row} for row in value]
    return value


def _keyed(row: dict[str, Any]) -> dict[str, Any]:
    """A custom field with the key and name that follow from its label."""
    key = row.get("key") or field_key(str(row.get("label", "")))
    return {"key": key, "name": f"ck_field_{row.get('id')}_{key}", **row}


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = place(fault["loc"])
    known = ", ".join(f.name for f in fields(WorldFile)) if len(fault["loc"]) == 1 else ""
    return f"{where}: {fault['msg']}" + (f" (known: {known})" if known else "")
