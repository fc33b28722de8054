"""Makes one planned call: one HTTP request, and what its answer says of each person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mktg_integration.exceptions import ServiceError
from mktg_integration.http import redact_message
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Answer, Call, Outcome, Result, normal_name
from mktg_integration.providers.kit import mirrored, occurrences, schemas, steps
from mktg_integration.providers.kit.client import KitClient, Written
from mktg_integration.providers.kit.client.base import MAX_PER_PAGE, checked
from mktg_integration.providers.kit.normal import (
    FIELD,
    contact_record,
    field_key,
    field_record,
    normal_tag,
    tag_record,
)
from mktg_integration.records import CustomFieldRecord, FormMemberRecord, TagRecord

JSON = Any

_NOT_RETURNED = Result(
    outcome=Outcome.RETRY, code="not_returned", reason="Kit answered without saying what became of this person"
)
_PENDING = Result(outcome=Outcome.PENDING)
_NOT_LISTED = Result(
    outcome=Outcome.RETRY, code="not_listed", reason="Kit has it but does not list it yet; it is looked up again later"
)
_GONE = Result(
    outcome=Outcome.RETRY,
    code="tag_or_subscriber_gone",
    reason="Kit does not know the tag or the subscriber any more; a pull brings both up to date",
)
_LOOK_UP = Result(barred=True)


def execute(call: Call, client: KitClient) -> Answer:
    """Make ``call``. Raises ``ServiceError`` where it fails as a whole."""
    return _OPERATIONS[call.operation](call, client)


def _one(call: Call) -> tuple[str, JSON]:
    [(key, item)] = call.items.items()
    return key, item


def _status(error: ServiceError, status: int, words: str = "") -> bool:
    said = " ".join(error.messages).casefold()
    return error.status == status and words in said


# One person


def _find(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    email = item["email_address"]
    page = client.list_subscribers(email_address=email, status="all").page()
    found = next((one for one in page.items if normal_email(one.email_address) == normal_email(email)), None)
    if found is None:
        return Answer(results={key: _NOT_LISTED if item["is_there"] else Result(outcome=Outcome.ABSENT)})
    # A linked contact is another one: what is known of the old one's tags does not hold for it.
    tags = frozenset[str]() if item["is_there"] else None
    return Answer(results={key: Result(record=contact_record(found), created=False, tags=tags)})


def _read(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    return _of_contact(key, lambda: Result(record=contact_record(client.get_subscriber(item["id"]))))


def _upsert(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    written = client.create_subscriber(
        item["email_address"], first_name=item["first_name"], state=item["state"], fields=item["fields"]
    )
    return _written(key, item, written, created=written.created)


def _update(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        written = client.update_subscriber(
            item["id"],
            item["email_address"],
            first_name=(item["first_name"] or "") if "first_name" in item else None,
            fields=item["fields"],
        )
    except ServiceError as error:
        if _status(error, 404):
            return Answer(results={key: Result(outcome=Outcome.ABSENT)})
        if item["moved"] and _status(error, 422, "already been taken"):
            return Answer(results={key: Result(outcome=Outcome.TAKEN)})
        raise
    return _written(key, item, written, created=False)


def _written(key: str, item: JSON, written: Written[schemas.Subscriber], *, created: bool | None) -> Answer:
    later = [FIELD + name for name in item["fields"]] if written.is_pending else []
    record = contact_record(written.value, without=later)
    reason = "Kit did not store all fields: " + "; ".join(written.warnings) if written.warnings else ""
    result = Result(record=record, created=created, code="fields_ignored" if reason else "", reason=reason)
    return Answer(results={key: result}, warnings=written.warnings)


def _unsubscribe(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)

    def unsubscribe() -> Result:
        client.unsubscribe(item["id"])
        return Result()

    return _of_contact(key, unsubscribe)


def _of_contact(key: str, request: Callable[[], Result]) -> Answer:
    try:
        return Answer(results={key: request()})
    except ServiceError as error:
        if _status(error, 404):
            return Answer(results={key: Result(outcome=Outcome.ABSENT)})
        raise


def _tag(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        written = client.tag_subscriber(item["tag_id"], item["id"])
    except ServiceError as error:
        if _status(error, 404):
            return Answer(results={key: _GONE})
        raise
    had = frozenset() if written.created else frozenset({item["name"]})
    return Answer(results={key: Result(record=contact_record(written.value), had_tags=had)})


def _untag(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        client.untag_subscriber(item["tag_id"], item["id"])
    except ServiceError as error:
        # No such tag, no such subscriber, or the one without the other: the tagging is not there.
        if not _status(error, 404):
            raise
    return Answer(results={key: Result()})


def _add_to_form(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    form = item["form"]
    try:
        written = client.add_to_form(form, item["id"])
    except ServiceError as error:
        if not _status(error, 404):
            raise
        reason = f"Kit has no form {form}, or the subscriber is gone: correct the form, then replay"
        return Answer(results={key: Result(outcome=Outcome.REJECTED, code="no_such_form", reason=reason)})
    member = FormMemberRecord(contact=item["id"], form=form, added_at=written.value.added_at)
    return Answer(results={key: Result(record=contact_record(written.value))}, records=(member,))


# Many people


def _bulk_upsert(call: Call, client: KitClient) -> Answer:
    body = [
        {"email_address": item["email_address"], "first_name": item.get("first_name") or ""}
        for item in call.items.values()
    ]
    answer = client.bulk_create_subscribers(body, **_address(call))
    return _unanswered(call) if answer is None else _upserted(call, answer)


def _address(call: Call) -> dict[str, str]:
    return {"callback_url": call.common["callback_url"]} if call.later else {}


def _unanswered(call: Call) -> Answer:
    return Answer(results=dict.fromkeys(call.items, _PENDING if call.later else _NOT_RETURNED))


def _upserted(call: Call, answer: schemas.BulkSubscribers) -> Answer:
    returned = {normal_email(one.email_address): one for one in answer.subscribers}
    failed = {
        normal_email(failure.subscriber.email_address): failure
        for failure in answer.failures
        if failure.subscriber.email_address
    }
    nameless = [failure for failure in answer.failures if not failure.subscriber.email_address]
    results: dict[str, Result] = {}
    missing: list[str] = []
    for key, item in call.items.items():
        email = normal_email(item["email_address"])
        if email in returned:
            results[key] = Result(record=contact_record(returned[email]))
        elif email in failed:
            results[key] = _refused(failed[email].errors)
        else:
            missing.append(key)
    for key in missing:
        results[key] = _unreturned(call.items[key], len(missing), nameless)
    return Answer(results=results)


def _unreturned(item: JSON, missing: int, failures: Sequence[schemas.SubscriberFailure]) -> Result:
    """Requested and not returned is failed; whose failure is whose is known only where all are alike."""
    errors = {failure.errors for failure in failures}
    if len(failures) == missing and len(errors) == 1:
        return _refused(errors.pop())
    # Taken for absent, a new person is asked for singly, and that answer leaves no doubt.
    return _NOT_RETURNED if "id" in item else Result(outcome=Outcome.ABSENT)


def _refused(errors: Iterable[str]) -> Result:
    messages = tuple(redact_message(error) for error in errors)
    text = "; ".join(messages) or "no reason given"
    code = "invalid_email" if "email" in text.casefold() else "refused"
    return Result(outcome=Outcome.REJECTED, code=code, reason=f"Kit refused the person: {text}")


def _bulk_tag(call: Call, client: KitClient) -> Answer:
    pairs = [(item["tag_id"], item["id"]) for items in call.items.values() for item in items]
    answer = client.bulk_tag_subscribers(pairs, **_address(call))
    return _unanswered(call) if answer is None else _tagged(call, answer)


def _tagged(call: Call, answer: schemas.BulkTaggings) -> Answer:
    # The answer names no tag: whoever came back as often as asked has them all.
    times = Counter(str(one.id) for one in answer.subscribers)
    results = {}
    for key, items in call.items.items():
        all_there = times[str(items[0]["id"])] >= len(items)
        results[key] = Result() if all_there else _NOT_RETURNED if not answer.failures else _GONE
    return Answer(results=results)


# Callbacks


def is_callback_of(call: Call, body: JSON) -> bool:
    """By who is in it: a callback names no request, and nobody is in two of them at a time."""
    rows = body.get("subscribers") if isinstance(body, Mapping) else None
    told = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    if call.operation == steps.BULK_TAG:
        ids = {str(item["id"]) for items in call.items.values() for item in items}
        return any(str(row.get("id")) in ids for row in told)
    emails = {normal_email(item["email_address"]) for item in call.items.values()}
    return any(normal_email(str(row.get("email_address") or "")) in emails for row in told)


def answered_later(call: Call, body: JSON) -> Answer:
    """The callback's body is that of the answer which fewer items would have had at once.

    Raises ``MalformedAnswerError`` where it is not.
    """
    if call.operation == steps.BULK_TAG:
        return _tagged(call, checked(schemas.BulkTaggings, body, "the callback of POST /v4/bulk/tags/subscribers"))
    return _upserted(call, checked(schemas.BulkSubscribers, body, "the callback of POST /v4/bulk/subscribers"))


# The account


def _create_tag(call: Call, client: KitClient) -> Answer:
    name = _names(call)[0]
    try:
        written = client.create_tag(name)
    except ServiceError as error:
        return _not_created(call, error, f"the tag {name!r}")
    return Answer(results=dict.fromkeys(call.items, Result()), tags=(tag_record(written.value),))


def _create_field(call: Call, client: KitClient) -> Answer:
    label = _names(call)[0]
    try:
        created = client.create_custom_field(label)
    except ServiceError as error:
        return _not_created(call, error, f"the custom field {label!r}")
    return Answer(results=dict.fromkeys(call.items, Result()), fields=(field_record(created),))


def _not_created(call: Call, error: ServiceError, what: str) -> Answer:
    if _status(error, 422, "already been taken"):
        return Answer(results=dict.fromkeys(call.items, _LOOK_UP))
    if error.status == 422:
        # All who wait for it meet the same refusal: no need to look for the one that is to blame.
        return Answer(results=dict.fromkeys(call.items, _refused_name(what, error.messages)))
    raise error


def _refused_name(what: str, errors: Iterable[str]) -> Result:
    text = "; ".join(redact_message(error) for error in errors) or "no reason given"
    return Result(
        outcome=Outcome.REJECTED, code="name_refused", reason=f"Kit refused {what}: {text}. Correct the mapping"
    )


def _bulk_create_tags(call: Call, client: KitClient) -> Answer:
    answer = client.bulk_create_tags(_names(call))
    if answer is None:
        return Answer(results=dict.fromkeys(call.items, _NOT_RETURNED))
    tags = [tag_record(tag) for tag in answer.tags]
    refused: dict[str, tuple[str, ...]] = {}
    for failure in answer.failures:
        one = failure.tag
        if one.id is not None and one.name:
            tags.append(TagRecord(remote_id=str(one.id), name=one.name, created_at=one.created_at))
        else:
            refused[normal_tag(one.name or "")] = failure.errors
    there = {normal_tag(tag.name) for tag in tags}
    return Answer(results=_by_name(call, normal_tag, there, refused, "the tag"), tags=tuple(tags))


def _bulk_create_fields(call: Call, client: KitClient) -> Answer:
    answer = client.bulk_create_custom_fields(_names(call))
    if answer is None:
        return Answer(results=dict.fromkeys(call.items, _NOT_RETURNED))
    fields = [field_record(one) for one in answer.custom_fields]
    refused: dict[str, tuple[str, ...]] = {}
    for failure in answer.failures:
        one = failure.custom_field
        if one.id is not None and one.key and one.label:
            fields.append(CustomFieldRecord(remote_id=str(one.id), key=one.key, label=one.label))
        else:
            refused[field_key(one.label or "")] = failure.errors
    there = {name for record in fields for name in (record.key.casefold(), field_key(record.label))}
    return Answer(results=_by_name(call, field_key, there, refused, "the custom field"), fields=tuple(fields))


def _by_name(
    call: Call, normal: Callable[[str], str], there: set[str], refused: Mapping[str, tuple[str, ...]], what: str
) -> dict[str, Result]:
    results = {}
    for key, names in call.items.items():
        lacking = [name for name in names if normal(name) not in there]
        told = next((name for name in lacking if normal(name) in refused), None)
        if told is not None:
            results[key] = _refused_name(f"{what} {told!r}", refused[normal(told)])
        else:
            results[key] = _NOT_RETURNED if lacking else Result()
    return results


def _list_tags(call: Call, client: KitClient) -> Answer:
    # The newest come first: what was made since the account was read is on the first page.
    tags = tuple(tag_record(tag) for tag in client.list_tags(per_page=MAX_PER_PAGE).page().items)
    there = {normal_tag(tag.name) for tag in tags}
    return Answer(results=_listed(call, normal_tag, there), tags=tags)


def _list_fields(call: Call, client: KitClient) -> Answer:
    page = client.list_custom_fields(per_page=MAX_PER_PAGE).page()
    fields = tuple(field_record(one) for one in page.items)
    there = {name for record in fields for name in (record.key.casefold(), field_key(record.label))}
    return Answer(results=_listed(call, field_key, there), fields=fields)


def _list_forms(call: Call, client: KitClient) -> Answer:
    page = client.list_forms(per_page=MAX_PER_PAGE).page()
    forms = tuple(mirrored.form(one) for one in page.items)
    there = {normal_name(form.name) for form in forms}
    results = {
        key: Result()
        if normal_name(name) in there
        else Result(
            outcome=Outcome.REJECTED,
            code="no_such_form",
            reason=f"Kit has no form named {name!r}: give its name as Kit shows it, or its id",
        )
        for key, name in call.items.items()
    }
    return Answer(results=results, records=forms)


def _listed(call: Call, normal: Callable[[str], str], there: set[str]) -> dict[str, Result]:
    return {
        key: Result() if all(normal(name) in there for name in names) else _NOT_LISTED
        for key, names in call.items.items()
    }


def _names(call: Call) -> list[str]:
    return list(dict.fromkeys(name for names in call.items.values() for name in names))


_OPERATIONS: Mapping[str, Callable[[Call, KitClient], Answer]] = {
    steps.FIND: _find,
    steps.READ: _read,
    steps.UPSERT: _upsert,
    steps.UPDATE: _update,
    steps.BULK_UPSERT: _bulk_upsert,
    steps.UNSUBSCRIBE: _unsubscribe,
    steps.TAG: _tag,
    steps.BULK_TAG: _bulk_tag,
    steps.UNTAG: _untag,
    steps.CREATE_TAG: _create_tag,
    steps.BULK_CREATE_TAGS: _bulk_create_tags,
    steps.LIST_TAGS: _list_tags,
    steps.CREATE_FIELD: _create_field,
    steps.BULK_CREATE_FIELDS: _bulk_create_fields,
    steps.LIST_FIELDS: _list_fields,
    steps.ADD_TO_FORM: _add_to_form,
    steps.LIST_FORMS: _list_forms,
    **occurrences.OPERATIONS,
}
