"""What is news in an answer, and the public signals that tell of it once it is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from django.db import router, transaction
from django.dispatch import Signal

from mktg_integration.mirror.known import Before
from mktg_integration.models import Connection, Contact, Purchase, Tagging
from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.signals import contact_subscribed, contact_unsubscribed, contact_updated, purchase_created

Source = Literal["", "push", "pull", "inbound"]

PAGE = 500
"""Rows that are loaded at once for the receivers."""


def opted_out(before: Before | None, record: ContactRecord) -> bool:
    """Whether the record tells of an opt-out that was not known."""
    return record.status.opted_out and (before is None or not ContactStatus(before.status).opted_out)


def contacts_changed(
    connection: Connection, changed: Mapping[str, ContactRecord], before: Mapping[str, Before], source: Source
) -> None:
    """Tell of these contacts, by key, once they are committed. Of a push only opt-outs are news: the rest we said."""
    sent: list[tuple[Signal, str, dict[str, Any]]] = []
    for key, record in changed.items():
        was = before.get(key)
        if opted_out(was, record):
            sent.append((contact_unsubscribed, key, {"status": record.status}))
        if source == "push":
            continue
        if record.status is ContactStatus.ACTIVE and (was is None or was.status != ContactStatus.ACTIVE):
            sent.append((contact_subscribed, key, {}))
        if was is not None:
            sent.append((contact_updated, key, {}))
    heard = [(signal, key, more) for signal, key, more in sent if signal.has_listeners(Connection)]
    if heard:
        transaction.on_commit(lambda: _tell_of_contacts(connection, heard, source), using=router.db_for_write(Contact))


def _tell_of_contacts(
    connection: Connection, heard: Sequence[tuple[Signal, str, dict[str, Any]]], source: Source
) -> None:
    for page in _pages(heard):
        keys = {key for _, key, _ in page}
        contacts = Contact.objects.using(router.db_for_write(Contact)).select_related("user").in_bulk(keys)
        for signal, key, more in page:
            contact = contacts.get(key)
            if contact is not None:
                signal.send_robust(
                    sender=Connection,
                    connection=connection,
                    contact=contact,
                    user=contact.user,
                    source=source,
                    **more,
                )


def tags_changed(connection: Connection, keys: Sequence[str], source: Source, signal: Signal) -> None:
    """Tell of these taggings by ``signal`` (``tag_added``, ``tag_removed``) once they are committed.

    Of a tagging whose contact or tag the mirror does not have yet nothing is told.
    """
    if keys and signal.has_listeners(Connection):
        transaction.on_commit(
            lambda: _tell_of_tags(connection, keys, source, signal), using=router.db_for_write(Tagging)
        )


def _tell_of_tags(connection: Connection, keys: Sequence[str], source: Source, signal: Signal) -> None:
    for page in _pages(keys):
        rows = Tagging.objects.using(router.db_for_write(Tagging)).select_related("contact__user", "tag")
        for tagging in rows.filter(pk__in=page):
            signal.send_robust(
                sender=Connection,
                connection=connection,
                contact=tagging.contact,
                tag=tagging.tag,
                user=tagging.contact.user,
                source=source,
            )


def purchases_created(connection: Connection, keys: Sequence[str], source: Source) -> None:
    """Tell of these purchases by ``purchase_created`` once they are committed."""
    if keys and purchase_created.has_listeners(Connection):
        transaction.on_commit(lambda: _tell_of_purchases(connection, keys, source), using=router.db_for_write(Purchase))


def _tell_of_purchases(connection: Connection, keys: Sequence[str], source: Source) -> None:
    for page in _pages(keys):
        purchases = list(Purchase.objects.using(router.db_for_write(Purchase)).filter(pk__in=page))
        contacts = Contact.objects.using(router.db_for_write(Contact)).select_related("user")
        by_email = {
            contact.email_key: contact
            for contact in contacts.filter(
                connection=connection, email_key__in=[purchase.email_key for purchase in purchases], deleted_at=None
            )
        }
        for purchase in purchases:
            contact = by_email.get(purchase.email_key)
            purchase_created.send_robust(
                sender=Connection,
                connection=connection,
                contact=contact,
                user=contact.user if contact is not None else None,
                source=source,
                purchase=purchase.raw,
            )


def _pages(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + PAGE] for start in range(0, len(items), PAGE))
