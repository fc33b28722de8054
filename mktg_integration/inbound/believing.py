"""What is told, in the mirror: written as of the time that it is told of, and never over anything newer.

Signed facts are written as they are; of what is unsigned an opt-out is believed at once, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.db.models.functions import Lower
from django.utils import timezone

from mktg_integration.inbound.reading import Lesson, Told, by_time, fact
from mktg_integration.mirror import links, reader, writer
from mktg_integration.mirror.keys import remote_key, tagging_key
from mktg_integration.mirror.seen import confirm
from mktg_integration.models import Connection, Contact, Tag, Tagging
from mktg_integration.profile import normal_email
from mktg_integration.providers.webhooks import Notice
from mktg_integration.records import ContactRecord, TaggingRecord, TagRecord

OnOptOut = Callable[[Sequence[str]], None]
"""Told of people (subjects) who opted out and were not known to have, in the transaction that notes it."""


class Believer:
    """Writes what one connection's service has told."""

    def __init__(self, connection: Connection, on_opt_out: OnOptOut) -> None:
        self.connection = connection
        self.on_opt_out = on_opt_out

    def believe(self, lesson: Lesson) -> None:
        known = self.known({*lesson.hints, *(record.remote_id for _, record in lesson.facts)})
        facts = list(lesson.facts)
        for contact, one in lesson.opt_outs.items():
            record = self._opted_out(known.get(contact), one)
            if record is not None:
                facts.append((one.at, record))
        for at, record in facts:
            before = known.get(record.remote_id)
            if before is not None and before.seen_at == at and before.status != record.status:
                # Told of the same second before, in another batch: nobody knows which came first.
                lesson.hints.setdefault(record.remote_id, Told("", at, Notice(contact=record.remote_id), is_fact=True))
                for row in lesson.rows.get(record.remote_id, ()):
                    lesson.need(f"contact:{record.remote_id}", row)
        for at, records in by_time(facts).items():
            self.write(records, at, known)
        self._write_taggings(lesson)

    def known(self, contacts: Iterable[str]) -> dict[str, Contact]:
        keys = [remote_key(self.connection.pk, contact) for contact in contacts]
        return {contact.remote_id: contact for contact in Contact.objects.filter(pk__in=keys)}

    @staticmethod
    def _opted_out(contact: Contact | None, one: Told) -> ContactRecord | None:
        status = one.notice.opt_out
        if status is None:
            return None
        if contact is not None:
            # Of an unsigned body nothing but the opt-out itself is believed.
            record = reader.to_record(contact)
            return None if record.status.opted_out else replace(record, status=status)
        return fact(one) if one.notice.record is not None else None

    def write(self, records: Sequence[ContactRecord], at: datetime, known: Mapping[str, Contact]) -> None:
        with transaction.atomic(using=router.db_for_write(Contact)):
            writer.write(self.connection, records, as_of=at, source="inbound")
            confirm(Contact, [remote_key(self.connection.pk, record.remote_id) for record in records], as_of=at)
            self._link(records, known)
            opted_out = {
                subject
                for record in records
                if record.status.opted_out and not _had_opted_out(known.get(record.remote_id))
                for subject in self._subjects(record)
            }
            if opted_out:
                self.on_opt_out(sorted(opted_out))

    def _link(self, records: Sequence[ContactRecord], known: Mapping[str, Contact]) -> None:
        """Contacts that nobody has yet are linked to the users of their addresses, before the signals are sent."""
        new = {
            normal_email(record.email)
            for record in records
            if record.remote_id not in known or not (known[record.remote_id].user_id or known[record.remote_id].subject)
        }
        model = get_user_model()
        if new - {""} and hasattr(model, model.get_email_field_name()):
            email = Lower(model.get_email_field_name())
            users = model._default_manager.alias(email_key=email).filter(email_key__in=new).order_by("pk")
            links.link_users(users, connection=self.connection)

    def _subjects(self, record: ContactRecord) -> set[str]:
        key = remote_key(self.connection.pk, record.remote_id)
        contact = Contact.objects.filter(pk=key).only("subject", "user_id").first()
        if contact is None or not (contact.subject or contact.user_id):
            return set()
        return {contact.subject or f"user:{contact.user_id}"}

    def _write_taggings(self, lesson: Lesson) -> None:
        facts = {pair: one for pair, one in lesson.taggings.items() if one.is_fact and pair[0] not in lesson.reads_tags}
        if not facts:
            return
        names = {one.notice.tag: one.notice.tag_name for one in facts.values() if one.notice.tag_name}
        self.write_unknown_tags([TagRecord(remote_id=tag, name=name) for tag, name in names.items()])
        times = sorted({one.at for one in facts.values()})
        for at in times:
            now = {pair: one for pair, one in facts.items() if one.at == at}
            added = [
                TaggingRecord(contact=contact, tag=tag, tagged_at=at)
                for (contact, tag), one in now.items()
                if one.notice.has_tag
            ]
            self.tag(added, at)
            self.untag([pair for pair, one in now.items() if not one.notice.has_tag], at)

    def tag(self, records: Sequence[TaggingRecord], at: datetime) -> None:
        if records:
            writer.write(self.connection, records, as_of=at, source="inbound")
            keys = [tagging_key(self.connection.pk, record.contact, record.tag) for record in records]
            confirm(Tagging, keys, as_of=at)

    def untag(self, pairs: Sequence[tuple[str, str]], at: datetime) -> None:
        """What was not there is marked as gone too, so that an older word that comes later does not bring it back."""
        if not pairs:
            return
        keys = {tagging_key(self.connection.pk, *pair): pair for pair in pairs}
        live = Tagging.objects.filter(pk__in=list(keys), deleted_at=None, seen_at__lte=at)
        gone = {keys[key] for key in live.values_list("pk", flat=True)}
        writer.untag(self.connection, sorted(gone), as_of=at, source="inbound")
        writer.untag(self.connection, sorted(set(pairs) - gone), as_of=at)

    def write_unknown_tags(self, tags: Sequence[TagRecord]) -> None:
        """A webhook knows less of a tag than its list does, so what is known is left."""
        keys = {remote_key(self.connection.pk, tag.remote_id): tag for tag in tags}
        there = set(Tag.objects.filter(pk__in=list(keys), deleted_at=None).values_list("pk", flat=True))
        new = [tag for key, tag in keys.items() if key not in there]
        if new:
            writer.write(self.connection, new, as_of=timezone.now())


def _had_opted_out(contact: Contact | None) -> bool:
    return contact is not None and reader.to_record(contact).status.opted_out
