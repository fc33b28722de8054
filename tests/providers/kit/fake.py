"""A Kit that always works, behind the methods of ``KitClient`` that pushes use; and the engine's rounds over it.

It holds to the document where a plan could go wrong: POST never changes a state, bulk needs OAuth, unknown fields are
not stored, an address belongs to one subscriber.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.base import Answer, Call, Catalogue, Outcome, Patch, Person, Result, Verdict
from mktg_integration.providers.kit import KitProvider, schemas
from mktg_integration.providers.kit.client import KitPage, Listing, Written
from mktg_integration.providers.kit.normal import contact_record, field_key, field_record, normal_tag, tag_record
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.records import ContactRecord

LAST_PAGE = schemas.Pagination(has_previous_page=False, has_next_page=False)
T = TypeVar("T")
PROVIDER = KitProvider()
MAX_ROUNDS = 8


def refused(status: int, *messages: str) -> ServiceError:
    action = {401: Action.RECONNECT}.get(status, Action.REJECT)
    return ServiceError(service="kit", endpoint="X /y", action=action, status=status, messages=messages)


@dataclass
class Stored:
    id: int
    email: str
    state: str = "active"
    first_name: str | None = None
    fields: dict[str, str | None] = field(default_factory=dict)
    tags: set[int] = field(default_factory=set)


@dataclass
class FakeKit:
    is_oauth: bool = True
    subscribers: dict[int, Stored] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    created: set[int] = field(default_factory=set)
    tags_exist_as_422: bool = False

    # What tests prepare and look at

    def add(self, email: str, **values: Any) -> Stored:
        stored = Stored(id=100 + len(self.subscribers), email=email, **values)
        stored.fields = {**dict.fromkeys(self.fields), **stored.fields}
        self.subscribers[stored.id] = stored
        return stored

    def by_email(self, email: str) -> Stored | None:
        return next((one for one in self.subscribers.values() if one.email.casefold() == email.casefold()), None)

    def tag_id(self, name: str) -> int:
        for tag_id, known in self.tags.items():
            if normal_tag(known) == normal_tag(name):
                return tag_id
        tag_id = len(self.tags) + 1
        self.tags[tag_id] = name
        return tag_id

    def tag_names(self, stored: Stored) -> set[str]:
        return {normal_tag(self.tags[tag]) for tag in stored.tags}

    def record(self, stored: Stored) -> ContactRecord:
        return contact_record(self._shown(stored))

    def catalogue(self) -> Catalogue:
        tags = [tag_record(schemas.Tag(id=tag_id, name=name)) for tag_id, name in self.tags.items()]
        fields = [field_record(self._field(key)) for key in self.fields]
        return Catalogue(
            tags={normal_tag(tag.name): tag for tag in tags}, fields={record.key: record for record in fields}
        )

    # What a client does

    def list_subscribers(self, *, email_address: str, status: str) -> Listing[schemas.Subscriber]:
        assert status == "all"
        found = self.by_email(email_address)
        return self._listing("find", (self._shown(found),) if found else ())

    def get_subscriber(self, subscriber_id: str) -> schemas.Subscriber:
        self.log.append("read")
        return self._shown(self._at(subscriber_id))

    def create_subscriber(
        self, email: str, *, first_name: str | None, state: str, fields: Mapping[str, str]
    ) -> Written[schemas.Subscriber]:
        self.log.append("upsert")
        stored = self.by_email(email)
        status = 200 if stored else 201
        if stored is None:
            stored = self.add(email, state=state)
            self.created.add(stored.id)
        return self._store(stored, status, first_name, fields)

    def update_subscriber(
        self, subscriber_id: str, email: str, *, first_name: str | None, fields: Mapping[str, str]
    ) -> Written[schemas.Subscriber]:
        self.log.append("update")
        stored = self._at(subscriber_id)
        holder = self.by_email(email)
        if holder is not None and holder.id != stored.id:
            raise refused(422, "Email address has already been taken")
        stored.email = email
        return self._store(stored, 200, first_name, fields)

    def unsubscribe(self, subscriber_id: str) -> None:
        self.log.append("unsubscribe")
        self._at(subscriber_id).state = "cancelled"

    def bulk_create_subscribers(self, people: Iterable[Mapping[str, str]]) -> schemas.BulkSubscribers:
        self._bulk("bulk_upsert", people := list(people))
        shown = []
        for one in people:
            stored = self.by_email(one["email_address"])
            if stored is None:
                stored = self.add(one["email_address"])
                self.created.add(stored.id)
            stored.first_name = one["first_name"] or None
            shown.append(schemas.Subscriber.model_validate(self._shown(stored).model_dump() | {"fields": {}}))
        return schemas.BulkSubscribers(subscribers=tuple(reversed(shown)))

    def create_tag(self, name: str) -> Written[schemas.Tag]:
        self.log.append("create_tag")
        is_there = normal_tag(name) in map(normal_tag, self.tags.values())
        if is_there and self.tags_exist_as_422:
            raise refused(422, "Name has already been taken")
        tag_id = self.tag_id(name)
        return Written(schemas.Tag(id=tag_id, name=self.tags[tag_id]), 200 if is_there else 201)

    def bulk_create_tags(self, names: Iterable[str]) -> schemas.BulkTags:
        self._bulk("bulk_create_tags", names := list(names))
        return schemas.BulkTags(tags=tuple(schemas.Tag(id=self.tag_id(name), name=name) for name in names))

    def list_tags(self, *, per_page: int) -> Listing[schemas.Tag]:
        return self._listing("list_tags", tuple(schemas.Tag(id=one, name=name) for one, name in self.tags.items()))

    def tag_subscriber(self, tag_id: str, subscriber_id: str) -> Written[schemas.TaggedSubscriber]:
        self.log.append("tag")
        stored = self._at(subscriber_id)
        if int(tag_id) not in self.tags:
            raise refused(404, "Not Found")
        status = 200 if int(tag_id) in stored.tags else 201
        stored.tags.add(int(tag_id))
        return Written(schemas.TaggedSubscriber.model_validate(self._shown(stored).model_dump()), status)

    def bulk_tag_subscribers(self, pairs: Iterable[tuple[str, str]]) -> schemas.BulkTaggings:
        self._bulk("bulk_tag", pairs := list(pairs))
        shown = []
        for tag_id, subscriber_id in pairs:
            stored = self._at(subscriber_id)
            stored.tags.add(int(tag_id))
            shown.append(schemas.BulkTagged(id=stored.id, email_address=stored.email))
        return schemas.BulkTaggings(subscribers=tuple(shown))

    def untag_subscriber(self, tag_id: str, subscriber_id: str) -> None:
        self.log.append("untag")
        self._at(subscriber_id).tags.discard(int(tag_id))

    def create_custom_field(self, label: str) -> schemas.CustomField:
        self.log.append("create_field")
        if field_key(label) in self.fields:
            raise refused(422, "Label has already been taken")
        return self._new_field(label)

    def bulk_create_custom_fields(self, labels: Iterable[str]) -> schemas.BulkCustomFields:
        self._bulk("bulk_create_fields", labels := list(labels))
        return schemas.BulkCustomFields(custom_fields=tuple(self._new_field(label) for label in labels))

    def list_custom_fields(self, *, per_page: int) -> Listing[schemas.CustomField]:
        return self._listing("list_fields", tuple(self._field(key) for key in self.fields))

    # Inside

    def _bulk(self, name: str, items: Sequence[object]) -> None:
        self.log.append(name)
        if not self.is_oauth:
            raise refused(401, "The access token is invalid")
        assert 1 <= len(items) <= 100

    def _at(self, subscriber_id: str) -> Stored:
        try:
            return self.subscribers[int(subscriber_id)]
        except KeyError:
            raise refused(404, "Not Found") from None

    def _store(
        self, stored: Stored, status: int, first_name: str | None, fields: Mapping[str, str]
    ) -> Written[schemas.Subscriber]:
        if first_name is not None:
            stored.first_name = first_name or None
        stored.fields |= {key: value or None for key, value in fields.items() if key in self.fields}
        warnings = tuple(f"Unknown field {key}" for key in fields if key not in self.fields)
        return Written(self._shown(stored), status, warnings)

    def _shown(self, stored: Stored) -> schemas.Subscriber:
        return schemas.Subscriber(
            id=stored.id,
            first_name=stored.first_name,
            email_address=stored.email,
            state=stored.state,
            fields={**dict.fromkeys(self.fields), **stored.fields},
        )

    def _field(self, key: str) -> schemas.CustomField:
        return schemas.CustomField(id=1, name=f"ck_{key}", key=key, label=self.fields[key])

    def _new_field(self, label: str) -> schemas.CustomField:
        self.fields[field_key(label)] = label
        return self._field(field_key(label))

    def _listing(self, name: str, items: tuple[T, ...]) -> Listing[T]:
        def fetch(after: str | None, before: str | None) -> KitPage[T]:
            self.log.append(name)
            return KitPage(items, LAST_PAGE)

        return Listing(fetch, name)


@dataclass
class Settled:
    people: dict[str, Person]
    catalogue: Catalogue
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    rejected: dict[str, Result] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    notes: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    rounds: int = 0


def settle(
    people: Iterable[Person],
    kit: FakeKit,
    *,
    catalogue: Catalogue | None = None,
    options: KitOptions | None = None,
    execute: Callable[[Call], Answer] | None = None,
) -> Settled:
    """Plan, call, fold, plan again, as the push engine does, until nothing is left."""
    options = options or KitOptions(is_oauth=kit.is_oauth)
    execute = execute or (lambda call: PROVIDER.execute(call, kit))  # type: ignore[arg-type]
    out = Settled({person.key: person for person in people}, catalogue or kit.catalogue())
    active = set(out.people)
    for out.rounds in range(MAX_ROUNDS + 1):
        plan = PROVIDER.plan([out.people[key] for key in sorted(active)], out.catalogue, options)
        out.verdicts.update(plan.verdicts)
        out.notes.update(plan.notes)
        if not plan.calls:
            return out
        active = {key for call in plan.calls for key in call.items}
        for call in sorted(plan.calls, key=lambda call: (not call.urgent, bool(call.items))):
            out.calls.append(call)
            _fold(call, execute(call), out)
        active -= out.failed | set(out.rejected)
    raise AssertionError(f"not settled after {MAX_ROUNDS} rounds")


def _fold(call: Call, answer: Answer, out: Settled) -> None:
    assert set(answer.results) == set(call.items)
    tags = {normal_tag(tag.name): tag for tag in answer.tags}
    fields = {record.key: record for record in answer.fields}
    out.catalogue = Catalogue(tags={**out.catalogue.tags, **tags}, fields={**out.catalogue.fields, **fields})
    for key, result in answer.results.items():
        person = out.people[key]
        if result.outcome is Outcome.DONE:
            out.people[key] = person.told(call.patches.get(key, Patch()), result)
        elif result.outcome is Outcome.ABSENT:
            out.people[key] = replace(person, known=None, known_tags=None, absent=True)
        elif result.outcome is Outcome.TAKEN:
            out.people[key] = replace(person, taken=True)
        elif result.outcome is Outcome.REJECTED:
            out.rejected[key] = result
        else:
            out.failed.add(key)
