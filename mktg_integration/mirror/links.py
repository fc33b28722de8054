"""Links from contacts to the site's users, by address. Whose pushes a contact takes is the push engine's matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from mktg_integration import sql
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection, Contact
from mktg_integration.profile import normal_email

PAGE = 1000


def link_users(users: Iterable[Any], *, connection: Connection | None = None) -> int:
    """Link the contacts of these users' addresses that have no user yet. The number of contacts linked.

    Two statements for every ``PAGE`` users. Of several users with one address the first one given counts.
    """
    linked = 0
    page: list[Any] = []
    for user in users:
        page.append(user)
        if len(page) == PAGE:
            linked += _link(page, connection)
            page = []
    return linked + (_link(page, connection) if page else 0)


def link_all(connection: Connection | None = None) -> int:
    """Link the contacts of all users, the earliest accounts first. Three statements for every ``PAGE`` users."""
    model = get_user_model()
    linked = 0
    last: Any = None
    if not hasattr(model, model.get_email_field_name()):
        return 0
    while True:
        users = model._default_manager.order_by("pk").only("pk", model.get_email_field_name())
        page = list((users if last is None else users.filter(pk__gt=last))[:PAGE])
        linked += _link(page, connection)
        if len(page) < PAGE:
            return linked
        last = page[-1].pk


def own(connection: Connection, owners: Mapping[str, str]) -> None:
    """These contacts (by remote id) belong to these people (subjects; empty: nobody). One statement a ``PAGE``."""
    contacts = []
    for remote_id, subject in sorted(owners.items()):
        contact = Contact(key=remote_key(connection.pk, remote_id), subject=subject)
        contact.user_id = user_pk(subject)
        contacts.append(contact)
    if contacts:
        sql.retrying(
            lambda: Contact.objects.bulk_update(contacts, ["subject", "user"], batch_size=PAGE),
            using=Contact.objects.db,
        )


def disown(connection: Connection, remote_id: str, subject: str) -> None:
    """This contact is no longer this person's; nothing happens where it already is somebody else's."""
    theirs = Contact.objects.filter(key=remote_key(connection.pk, remote_id), subject=subject)
    sql.retrying(lambda: theirs.update(subject="", user=None), using=Contact.objects.db)


def user_pk(subject: str) -> Any:
    """The primary key in ``user:<pk>``, None for anybody else."""
    kind, _, pk = subject.partition(":")
    if kind != "user":
        return None
    try:
        return get_user_model()._meta.pk.to_python(pk)
    except ValidationError:
        return None


def _link(users: list[Any], connection: Connection | None) -> int:
    by_email: dict[str, Any] = {}
    for user in users:
        email = normal_email(getattr(user, user.get_email_field_name(), "") or "")
        if email:
            by_email.setdefault(email, user.pk)
    contacts = Contact.objects.filter(email_key__in=list(by_email), user=None, subject="", deleted_at=None)
    if connection is not None:
        contacts = contacts.filter(connection=connection)
    found = list(contacts.only("pk", "email_key", "user"))
    for contact in found:
        contact.user_id = by_email[contact.email_key]
    if not found:
        return 0
    return sql.retrying(lambda: Contact.objects.bulk_update(found, ["user"], batch_size=PAGE), using=Contact.objects.db)
