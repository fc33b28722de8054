"""The public Python API: what a site's own code says of a person. Every function takes a user or an email address.

Each writes to the site's database only, within the caller's transaction; the services hear of it a moment later.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.conf import settings as django_settings
from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration import preference_links
from mktg_integration.exceptions import ProfileError, UnsupportedError
from mktg_integration.mirror import optouts
from mktg_integration.mirror.upsert import upsert
from mktg_integration.models import (
    Connection,
    Contact,
    DeadRow,
    ExplicitActs,
    Kind,
    Lane,
    Lead,
    OptOutKind,
    OutboxRow,
    SyncState,
    Tag,
)
from mktg_integration.people import ALL, address_of, lead_for, lead_subject, user_by_email, user_subject
from mktg_integration.profile import Consent, ConsentStatus
from mktg_integration.providers.base import Verb
from mktg_integration.providers.occurrences import Product, Purchase
from mktg_integration.providers.registry import get_provider
from mktg_integration.push import outbox, wake

__all__ = [
    "Product",
    "add_tag",
    "add_to_sequence",
    "create_tag",
    "forget",
    "preference_url",
    "record_purchase",
    "remember_visitor",
    "remove_tag",
    "rename_tag",
    "subscribe",
    "sync_user",
    "track",
    "unsubscribe",
    "unsubscribe_headers",
]

logger = logging.getLogger("mktg_integration.shortcuts")

MOST_PID = ExplicitActs._meta.get_field("pid").max_length or 0

Someone = models.Model | str
"""A user, a ``Lead``, a ``Contact`` of the mirror (whoever's it is, or by its address), or an email address."""


def sync_user(person: Someone, *, connection: str | None = None) -> None:
    """Bring the services to what the mapping wants of this person, as a save of the user does."""
    outbox.mark([_subject(person)], connections=_ids(connection, None))
    wake.wake_on_commit()


def subscribe(
    person: Someone,
    *,
    who: str,
    how: str,
    when: datetime | None = None,
    form: str | int = "",
    connection: str | None = None,
    **profile: Any,
) -> None:
    """The person asks to be mailed: the one act that lifts an earlier opt-out.

    ``who`` said it (``"the person"``, a staff name), ``how`` (``"newsletter form"``), ``when`` (default now) are the
    evidence. An address without an account becomes a lead, ``profile`` (``first_name``, ``last_name``, ``fields``,
    ``tags``, ``pid``) its stored profile. Where a service cannot reactivate a contact the person's note says so.

    ``form`` (name or id at the service; default: the connection's option ``FORM``) asks for a confirmation: the person
    is inactive until it comes. It is also how somebody who opted out comes back where the service knows no other way.
    Only connections that have forms are told then; ids differ between accounts, so name the ``connection`` with one.

    Raises ``ProfileError`` for a malformed address, ``UnsupportedError`` for a connection that cannot subscribe, or,
    with a form, where no connection has forms.
    """
    form = str(form).strip()
    said = Consent.granted(who=who, when=when or timezone.now(), how=how)
    ids = _ids(connection, Verb.FORM if form else Verb.SUBSCRIBE)
    if form and ids == []:
        raise UnsupportedError(gettext("no connection has forms: subscribe without one, or connect Kit"))
    with transaction.atomic():
        subject = _subject(person, **profile)
        for address in _addresses(person, subject):
            optouts.lift(address, scope=ids[0] if ids else None)
        # An erasure that still waits would take away again what is asked for now.
        for rows in (OutboxRow.objects, DeadRow.objects):
            rows.filter(subject=subject, kind=Kind.ERASURE).delete()
        _say_consent(subject, said, ids, form=form[:255])
        outbox.mark([subject], connections=ids)
        wake.wake_on_commit()


def unsubscribe(
    person: Someone,
    *,
    who: str,
    how: str,
    when: datetime | None = None,
    connection: str | None = None,
) -> None:
    """The person is not to be mailed any more, by any connection (or by the one named).

    It holds until ``subscribe()``. It goes before all other work, and where a service documents no way to unsubscribe
    the row waits as "needs a person".
    """
    said = Consent.refused(who=who, when=when or timezone.now(), how=how)
    ids = _ids(connection, None)
    with transaction.atomic():
        subject = _subject(person)
        addresses = _addresses(person, subject)
        for address in addresses:
            optouts.opt_out(address, kind=OptOutKind.UNSUBSCRIBED, source="site", scope=ids[0] if ids else None)
        _say_consent(subject, said, ids)
        outbox.mark([subject, *_sharing(addresses)], lane=Lane.URGENT, connections=ids)
        wake.wake_on_commit(urgent=True)


def add_tag(person: Someone, name: str, *, connection: str | None = None) -> None:
    """Give the person a tag beside those of the mapping (ConvertLoop: a segment)."""
    with transaction.atomic():
        say_tag([_subject(person)], name, wanted=True, connection=connection)


def remove_tag(person: Someone, name: str, *, connection: str | None = None) -> None:
    """Take a tag from the person, whoever added it."""
    with transaction.atomic():
        say_tag([_subject(person)], name, wanted=False, connection=connection)


def say_tag(subjects: Sequence[str], name: str, *, wanted: bool, connection: str | None = None) -> None:
    """``add_tag`` or ``remove_tag`` of many people at once, by their subjects (``user:<pk>``, ``lead:<id>``).

    A fixed number of statements however many there are; give at most a thousand. Raises ``ValueError`` for an empty
    name, ``UnsupportedError`` for a connection that has no tags.
    """
    ids = _ids(connection, Verb.TAG if wanted else Verb.UNTAG)
    name = name.strip()
    if not name:
        raise ValueError("a tag needs a name")
    rows: dict[str, dict[str, Any]] = {
        f"{scope}:{subject}": {"key": f"{scope}:{subject}", "subject": subject, "scope": scope}
        for scope in _scopes(ids)
        for subject in sorted(set(subjects))
    }
    with transaction.atomic():
        upsert(ExplicitActs, list(rows.values()), keep=True)
        for acts in ExplicitActs.objects.select_for_update().filter(pk__in=list(rows)).order_by("pk"):
            # The last word counts, however the name is written: some services take both for one tag.
            others = {other: said for other, said in acts.tags.items() if other.casefold() != name.casefold()}
            rows[acts.pk]["tags"] = {**others, name: wanted}
        upsert(ExplicitActs, list(rows.values()))
        outbox.mark(subjects, connections=ids)
        wake.wake_on_commit()


def track(
    person: Someone,
    name: str,
    data: Mapping[str, Any] | None = None,
    *,
    occurred_at: datetime | None = None,
    key: str | None = None,
    connection: str | None = None,
) -> None:
    """Tell the services that the person did something. Sent once for each ``key`` (default: a new one)."""
    ids = _ids(connection, Verb.TRACK)
    if ids == []:
        return
    now = time.time_ns()
    payload = {
        "name": name,
        "occurred_at": _moment(occurred_at).isoformat(),
        "data": dict(data or {}),
        # The database's clock may be too coarse to tell the order of two in a row.
        "queued": now,
    }
    with transaction.atomic():
        subject = _subject(person)
        outbox.add_occurrence(
            Kind.EVENT, subject, key or f"{now:016x}-{uuid.uuid4().hex[:12]}", payload, connections=ids
        )
        wake.wake_on_commit()


def record_purchase(
    person: Someone,
    *,
    transaction_id: str,
    currency: str,
    products: Sequence[Product],
    subtotal: Decimal | None = None,
    tax: Decimal = Decimal(0),
    shipping: Decimal = Decimal(0),
    discount: Decimal = Decimal(0),
    total: Decimal | None = None,
    occurred_at: datetime | None = None,
    connection: str | None = None,
) -> None:
    """Tell the services that the person bought something. Sent once for each ``transaction_id`` (the site's own id).

    Money is ``Decimal`` in ``currency`` (ISO 4217). ``subtotal`` is otherwise the sum of ``products``, ``total`` that
    with ``tax`` and ``shipping`` and without ``discount``; ``occurred_at`` (aware) is otherwise now. Connections that
    take no purchases are left out, which the log says of those that could with other credentials (Kit: OAuth). It is
    not told of somebody whom a service does not know, because recording it would subscribe the person. Where nobody can
    say whether a purchase arrived, its row waits as "needs a person".

    Raises ``ValueError`` naming what is wrong with the purchase, ``TypeError`` for money that is no ``Decimal``,
    ``ProfileError`` for a malformed address, ``UnsupportedError`` where the connection named takes none.
    """
    now = time.time_ns()
    purchase = Purchase.made(
        transaction_id=transaction_id,
        currency=currency,
        products=products,
        subtotal=subtotal,
        tax=tax,
        shipping=shipping,
        discount=discount,
        total=total,
        occurred_at=_moment(occurred_at),
    )
    ids = _able_ids(connection, Verb.PURCHASE)
    if not ids:
        return
    with transaction.atomic():
        subject = _subject(person)
        payload = {**purchase.as_json(), "queued": now}
        outbox.add_occurrence(Kind.PURCHASE, subject, purchase.transaction_id, payload, connections=ids)
        wake.wake_on_commit()


def add_to_sequence(person: Someone, sequence: str | int, *, connection: str | None = None) -> None:
    """Have the person enter a sequence of emails, by its name or id at the service; ids need the ``connection`` named.

    It is no word on consent: somebody who has not granted it, or who opted out, is not added, and the row says so
    among the rejected ones. Raises ``ValueError`` without a sequence, ``UnsupportedError`` for a connection that has
    none.
    """
    name = str(sequence).strip()
    if not name:
        raise ValueError("sequence: give its name or id")
    ids = _ids(connection, Verb.SEQUENCE)
    if ids == []:
        return
    now = time.time_ns()
    with transaction.atomic():
        subject = _subject(person)
        key = f"{now:016x}-{uuid.uuid4().hex[:12]}"
        outbox.add_occurrence(Kind.SEQUENCE, subject, key, {"sequence": name, "queued": now}, connections=ids)
        wake.wake_on_commit()


def create_tag(name: str, *, connection: str | None = None) -> None:
    """Make a tag at the services that have tags of their own, before anybody has it; harmless where it is there.

    Raises ``ValueError`` for an empty name or one too long, ``UnsupportedError`` for a connection that makes no tags.
    """
    _change_tag(outbox.tag_subject(name=_tag_name(name)), {"name": _tag_name(name)}, _ids(connection, Verb.CREATE_TAG))


def rename_tag(tag: Tag, name: str) -> None:
    """Give a tag of the mirror another name at its service. The mirror shows it once the service has it.

    What a mapping names has to be renamed there too: else the next push makes the old name anew. Raises ``ValueError``
    for an empty name or one too long, ``UnsupportedError`` where the service cannot rename.
    """
    ids = _ids(tag.connection.name, Verb.RENAME_TAG)
    _change_tag(outbox.tag_subject(tag.remote_id), {"name": _tag_name(name), "remote_id": tag.remote_id}, ids)


def remember_visitor(person: Someone, pid: str) -> None:
    """The person is the visitor whom ConvertLoop knows by this ``pid`` (its cookie ``dp_pid``): what the visitor did
    before joins the person's history there. The first one that is told of a person stays.

    For whoever agreed to it: ``middleware.VisitorMiddleware`` asks ``VISITOR_CONSENT``, this asks nobody.
    Raises ``ValueError`` for a ``pid`` that is empty or longer than 255 characters.
    """
    if not pid.strip() or len(pid) > MOST_PID:
        raise ValueError(f"pid: give the value of the cookie, of 1 to {MOST_PID} characters")
    with transaction.atomic():
        subject = _subject(person)
        acts, _ = ExplicitActs.objects.get_or_create(
            key=f"{ALL}:{subject}", defaults={"subject": subject, "scope": ALL, "pid": ""}
        )
        if acts.pid or not ExplicitActs.objects.filter(pk=acts.pk, pid="").update(pid=pid.strip()):
            return
        outbox.mark([subject])
        wake.wake_on_commit()


def forget(person: Someone) -> None:
    """Erase the person at every service and in the mirror.

    A keyed hash of the address stays, so that nothing brings the person back but an explicit ``subscribe()``. Where a
    service documents no way to erase, the row waits as "needs a person". The user's own row is the site's to delete.
    """
    with transaction.atomic():
        subject = _subject(person)
        addresses = _addresses(person, subject)
        for address in addresses:
            optouts.opt_out(address, kind=OptOutKind.FORGOTTEN, source="site", scope=None)
            outbox.add_occurrence(
                Kind.ERASURE, subject, uuid.uuid4().hex, {"email": address}, lane=Lane.URGENT, connections=None
            )
        ExplicitActs.objects.filter(subject=subject).delete()
        Lead.objects.filter(email_key__in=[optouts.email_key(address) for address in addresses]).delete()
        wake.wake_on_commit(urgent=True)


def preference_url(person: Someone) -> str:
    """The person's own link to what they are mailed, for the end of a mail: it needs no login and holds no address.

    An address without an account becomes a lead. Whoever holds the link may read and change what the person is mailed,
    for ``PREFERENCE_LINK_DAYS`` and as long as the address stays the person's; unsubscribe, always.
    Raises ``ConfigurationError`` without ``PUBLIC_URL``, ``ProfileError`` for a person without an address.
    """
    address = address_of(person) if isinstance(person, models.Model) else _address(person)
    if not address:
        raise ProfileError(gettext("email is empty: who has no address has no preferences"))
    return preference_links.url(_subject(person), address)


def unsubscribe_headers(person: Someone) -> dict[str, str]:
    """``List-Unsubscribe`` and ``List-Unsubscribe-Post`` (RFC 8058) for a mail to this person. Raises as
    ``preference_url``."""
    return preference_links.headers(preference_url(person))


# Who, where, what


def _moment(given: datetime | None) -> datetime:
    """``given``, or now, with its zone: a site with ``USE_TZ = False`` has moments of its own zone."""
    moment = given or timezone.now()
    if timezone.is_naive(moment) and not django_settings.USE_TZ:
        return timezone.make_aware(moment, timezone.get_default_timezone())
    return moment


def _subject(person: Someone, **profile: Any) -> str:
    if isinstance(person, Lead):
        return lead_subject(person.pk)
    if isinstance(person, Contact):
        return person.subject or _subject(person.user or person.email, first_name=person.first_name, **profile)
    if isinstance(person, models.Model):
        return user_subject(person)
    address = _address(person)
    user = user_by_email(address)
    if user is not None:
        return user_subject(user)
    return lead_subject(lead_for(address, **profile).pk)


def _address(given: Any) -> str:
    """The address to look up: a user may have one that is malformed, but none that a database cannot hold.

    Raises ``ProfileError``, which never has the address in it.
    """
    if not isinstance(given, str):
        raise ProfileError(
            gettext("a person must be a user, a lead, a contact or an email address, not {kind}").format(
                kind=type(given).__name__
            )
        )
    address = given.strip()
    if not address:
        raise ProfileError(gettext("email is empty: nobody is meant"))
    if "\x00" in address or any("\ud800" <= letter <= "\udfff" for letter in address):
        raise ProfileError(gettext("email has letters that no address can have: correct it"))
    return address


def _addresses(person: Someone, subject: str) -> list[str]:
    """The person's address now, and those under which services know the person."""
    addresses = {address_of(person)} | {
        str(sent.get("email", "")) for sent in SyncState.objects.filter(subject=subject).values_list("sent", flat=True)
    }
    return sorted(addresses - {""})


def _sharing(addresses: list[str]) -> set[str]:
    """Who else is known by these addresses: one of them may own the contact."""
    keys = [optouts.email_key(address) for address in addresses]
    owners = Contact.objects.filter(email_key__in=keys).exclude(subject="").values_list("subject", flat=True)
    states = SyncState.objects.filter(email_key__in=keys).values_list("subject", flat=True)
    leads = Lead.objects.filter(email_key__in=keys, user=None).values_list("pk", flat=True)
    return {*owners, *states, *(lead_subject(pk) for pk in leads)}


def _ids(name: str | None, verb: Verb | None) -> list[int] | None:
    """The connections meant: None for all. Raises ``UnsupportedError`` where the one named cannot do it."""
    if name is None:
        if verb is None:
            return None
        rows = Connection.objects.filter(push_enabled=True).values_list("pk", "provider")
        able = [pk for pk, provider in rows if verb in get_provider(provider).verbs]
        return None if len(able) == len(rows) else able
    connection = Connection.objects.filter(name=name).only("pk", "provider").first()
    if connection is None:
        names = ", ".join(Connection.objects.values_list("name", flat=True)) or gettext("none")
        raise UnsupportedError(
            gettext("there is no connection {name!r}; there are: {names}").format(name=name, names=names)
        )
    provider = get_provider(connection.provider)
    if verb is not None and verb not in provider.verbs:
        raise UnsupportedError(
            gettext("{service} cannot {verb}: leave the connection {name!r} out").format(
                service=provider.label, verb=verb, name=name
            )
        )
    return [connection.pk]


def _able_ids(name: str | None, verb: Verb) -> list[int]:
    """As ``_ids``, where what a connection can depends on its credentials; the log says which are left out for them."""
    ids = _ids(name, verb)
    rows = Connection.objects.filter(push_enabled=True) if ids is None else Connection.objects.filter(pk__in=ids)
    able = []
    for row in rows:
        if row.driver.can(verb, row.account()):
            able.append(row.pk)
            continue
        note = next((one.note for one in row.driver.capabilities() if one.name == verb), "")
        if name is not None:
            raise UnsupportedError(
                gettext("the connection {name!r} cannot {verb} with its credentials ({note})").format(
                    name=name, verb=verb, note=note
                )
            )
        logger.warning("%s cannot %s with its credentials, and is left out (%s)", row.name, verb, note)
    return able


def _tag_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 255:
        raise ValueError("a tag needs a name, of at most 255 characters")
    return name


def _change_tag(subject: str, payload: dict[str, Any], ids: list[int] | None) -> None:
    now = time.time_ns()
    with transaction.atomic():
        key = f"{now:016x}-{uuid.uuid4().hex[:12]}"
        outbox.add_occurrence(Kind.TAG, subject, key, {**payload, "queued": now}, connections=ids)
        wake.wake_on_commit()


def _scopes(ids: list[int] | None) -> list[str]:
    return [ALL] if ids is None else [str(pk) for pk in ids]


def _say_consent(subject: str, said: Consent, ids: list[int] | None, *, form: str = "") -> None:
    for scope in _scopes(ids):
        ExplicitActs.objects.update_or_create(
            key=f"{scope}:{subject}",
            defaults={
                "subject": subject,
                "scope": scope,
                "consent": ConsentStatus(said.status).value,
                "consent_who": said.who[:255],
                "consent_when": said.when,
                "consent_how": said.how[:255],
                "form": form,
            },
        )
