"""Kit's part in what happens once: purchases, entries into sequences, changes of tags. Plans, and how they are made.

Of a purchase whose answer was lost Kit's document says no more than that ``transaction_id`` is unique; so the newest
purchases are looked through for it, ``MAX_PAGES`` pages of ``MAX_PER_PAGE`` at most, before it is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mktg_integration.exceptions import ServiceError, UnsupportedError
from mktg_integration.http import redact_message
from mktg_integration.providers.base import (
    Answer,
    Call,
    Catalogue,
    Outcome,
    Person,
    Result,
    Verdict,
    VerdictKind,
    normal_name,
)
from mktg_integration.providers.consent import may_be_mailed
from mktg_integration.providers.kit import mirrored
from mktg_integration.providers.kit.client import KitClient, ProductBody, PurchaseBody
from mktg_integration.providers.kit.client.base import MAX_PER_PAGE
from mktg_integration.providers.kit.normal import FIRST_NAME, contact_record, tag_record
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.providers.occurrences import Occurrence, Progress, Purchase, SequenceEntry, TagChange
from mktg_integration.records import SequenceMemberRecord

JSON = Any
MAX_PAGES = 5

CREATE_PURCHASE = "create_purchase"
FIND_PURCHASE = "find_purchase"
ADD_TO_SEQUENCE = "add_to_sequence"
LIST_SEQUENCES = "list_sequences"
MAKE_TAG = "make_tag"
RENAME_TAG = "rename_tag"

IN_DOUBT = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="purchase_in_doubt",
    reason="no answer came when this purchase was sent, and it is not among Kit's newest: look for its transaction in "
    "Kit; replay the row where Kit does not have it, delete the row where it does",
)
_NOT_MAILED = Verdict(
    kind=VerdictKind.REJECTED,
    code="may_not_be_mailed",
    reason="not added to the sequence: the person has not granted consent, or opted out. subscribe() with a form, and "
    "the person's confirmation, is the way back",
)


def plan(
    person: Person, occurrence: Occurrence, catalogue: Catalogue, options: KitOptions, progress: Progress
) -> Call | Verdict | None:
    """The next call for ``occurrence``. Raises ``UnsupportedError`` for a purchase without OAuth."""
    if isinstance(occurrence, Purchase):
        if not options.is_oauth:
            raise UnsupportedError("Kit takes purchases by OAuth alone, not by API key: connect the account by OAuth")
        return _plan_purchase(person, occurrence, progress)
    if isinstance(occurrence, SequenceEntry):
        return _plan_entry(person, occurrence, catalogue)
    return _plan_tag(person, occurrence)


def _plan_purchase(person: Person, purchase: Purchase, progress: Progress) -> Call | Verdict | None:
    if person.known is None:
        # Kit would make an active subscriber of a buyer who has not granted that.
        return None
    if progress.step.get("lost"):
        return IN_DOUBT
    if progress.in_doubt and not progress.step.get("absent"):
        item = {
            "transaction_id": purchase.transaction_id,
            "is_listed": progress.is_listed,
            "known_before": progress.known_before,
            "cursor": progress.step.get("cursor"),
            "pages": progress.step.get("pages", 0),
        }
        return Call(operation=FIND_PURCHASE, items={person.key: item})
    first_name = person.known.values.get(FIRST_NAME)
    item = {"email_address": person.known.email, "first_name": first_name, "purchase": purchase}
    return Call(operation=CREATE_PURCHASE, items={person.key: item}, repeatable=False)


def _plan_entry(person: Person, entry: SequenceEntry, catalogue: Catalogue) -> Call | Verdict | None:
    if person.known is None or not may_be_mailed(person):
        return _NOT_MAILED
    name = entry.sequence.strip()
    sequence = name if name.isdigit() else catalogue.sequences.get(normal_name(name))
    if sequence is None:
        return Call(operation=LIST_SEQUENCES, items={person.key: name})
    item = {"id": person.known.remote_id, "sequence": sequence}
    return Call(operation=ADD_TO_SEQUENCE, items={person.key: item})


def _plan_tag(person: Person, change: TagChange) -> Call:
    item = {"name": change.name, "id": change.remote_id}
    return Call(operation=RENAME_TAG if change.remote_id else MAKE_TAG, items={person.key: item})


# Calls


def _one(call: Call) -> tuple[str, JSON]:
    [(key, item)] = call.items.items()
    return key, item


def _says(error: ServiceError, status: int, words: str = "") -> bool:
    return error.status == status and words in " ".join(error.messages).casefold()


def _create_purchase(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        made = client.create_purchase(_body(item["email_address"], item["first_name"], item["purchase"]))
    except ServiceError as error:
        if _says(error, 422, "transaction has already been taken"):
            return Answer(results={key: Result()})
        raise
    return Answer(results={key: Result()}, records=tuple(mirrored.purchase(made)))


def _body(email: str, first_name: str | None, purchase: Purchase) -> PurchaseBody:
    """Kit takes whole shipping only; a fraction is left to ``total``."""
    shipping = int(purchase.shipping) if purchase.shipping == purchase.shipping.to_integral_value() else None
    return PurchaseBody(
        email_address=email,
        first_name=first_name,
        transaction_id=purchase.transaction_id,
        status=purchase.status,
        currency=purchase.currency,
        subtotal=purchase.subtotal,
        tax=purchase.tax,
        shipping=shipping,
        discount=purchase.discount,
        total=purchase.total,
        transaction_time=purchase.occurred_at,
        products=[
            ProductBody(
                name=line.name,
                pid=line.product_id,
                lid=line.line_id,
                quantity=line.quantity,
                sku=line.sku or None,
                unit_price=line.unit_price,
            )
            for line in purchase.products
        ],
    )


def _find_purchase(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    page = client.list_purchases(per_page=MAX_PER_PAGE).page(after=item["cursor"])
    found = next((one for one in page.items if one.transaction_id == item["transaction_id"]), None)
    if found is not None:
        return Answer(results={key: Result()}, records=tuple(mirrored.purchase(found)))
    known = item["known_before"]
    is_through = page.next_cursor is None or (
        known.isdigit() and any(one.id <= int(known) for one in page.items)  # the newest come first
    )
    pages = item["pages"] + 1
    if not is_through and pages < MAX_PAGES:
        return Answer(results={key: Result(step={"cursor": page.next_cursor, "pages": pages})})
    if not item["is_listed"]:
        why = "Kit may have the purchase and not list it yet; it is looked for again later"
        return Answer(results={key: Result(outcome=Outcome.RETRY, code="not_listed", reason=why)})
    return Answer(results={key: Result(step={"absent" if is_through else "lost": True})})


def _add_to_sequence(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    sequence = item["sequence"]
    try:
        written = client.add_to_sequence(sequence, item["id"])
    except ServiceError as error:
        if error.status == 404:
            return _refused(key, "no_such_sequence", f"Kit has no sequence {sequence}, or the subscriber is gone")
        raise
    member = SequenceMemberRecord(contact=item["id"], sequence=sequence, added_at=written.value.added_at)
    return Answer(results={key: Result(record=contact_record(written.value))}, records=(member,))


def _list_sequences(call: Call, client: KitClient) -> Answer:
    records = [mirrored.sequence(one) for one in client.list_sequences(per_page=MAX_PER_PAGE).page().items]
    there = {normal_name(record.name) for record in records}
    results = {
        key: Result(step={})
        if normal_name(name) in there
        else Result(
            outcome=Outcome.REJECTED,
            code="no_such_sequence",
            reason=f"Kit has no sequence named {name!r}: give its name as Kit shows it, or its id",
        )
        for key, name in call.items.items()
    }
    return Answer(results=results, records=tuple(records))


def _make_tag(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        written = client.create_tag(item["name"])
    except ServiceError as error:
        if _says(error, 422, "already been taken"):
            return Answer(results={key: Result()})
        return _refused_tag(key, error)
    return Answer(results={key: Result()}, tags=(tag_record(written.value),))


def _rename_tag(call: Call, client: KitClient) -> Answer:
    key, item = _one(call)
    try:
        tag = client.update_tag_name(item["id"], item["name"])
    except ServiceError as error:
        if error.status == 404:
            return _refused(key, "no_such_tag", "Kit does not have the tag any more: make a new one")
        return _refused_tag(key, error)
    return Answer(results={key: Result()}, tags=(tag_record(tag),))


def _refused_tag(key: str, error: ServiceError) -> Answer:
    if error.status != 422:
        raise error
    text = "; ".join(redact_message(message) for message in error.messages) or "no reason given"
    return _refused(key, "name_refused", f"Kit refused the tag: {text}. Give it another name")


def _refused(key: str, code: str, reason: str) -> Answer:
    return Answer(results={key: Result(outcome=Outcome.REJECTED, code=code, reason=reason)})


OPERATIONS: Mapping[str, Callable[[Call, KitClient], Answer]] = {
    CREATE_PURCHASE: _create_purchase,
    FIND_PURCHASE: _find_purchase,
    ADD_TO_SEQUENCE: _add_to_sequence,
    LIST_SEQUENCES: _list_sequences,
    MAKE_TAG: _make_tag,
    RENAME_TAG: _rename_tag,
}
