"""Links from contacts to the site's users, by address. Whose pushes a contact takes is the push engine's matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from mktg_integration import sql
from mktg_integration.mirror import upsert
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection, Contact
from mktg_integration.profile import normal_email

PAGE = 1000
WRITE = 500
"""Contacts that are linked in one transaction, so that it is a short one even where the database locks as a whole."""

Around = AbstractContextManager[Any]
"""Entered for each write: what keeps other writers of the database from being starved."""
NOTHING: Around = nullcontext()


def link_users(users: Iterable[Any], *, connection: Connection | None = None, around: Around = NOTHING) -> int:
    """Link the contacts of these users' addresses that have no user yet. The number of contacts linked.

    Three statements for every ``PAGE`` users. Of several users with one address the first one given counts.
    """
    linked = 0
    page: list[Any] = []
    for user in users:
        page.append(user)
        if len(page) == PAGE:
            linked += _link(page, connection, around)
            page = []
    return linked + (_link(page, connection, around) if page else 0)


def link_all(connection: Connection | None = None, *, around: Around = NOTHING) -> int:
    """Link the contacts of all users, the earliest accounts first. Four statements for every ``PAGE`` users."""
    model = get_user_model()
    linked = 0
    last: Any = None
    if not hasattr(model, model.get_email_field_name()):
        return 0
    while True:
        users = model._default_manager.order_by("pk").only("pk", model.get_email_field_name())
        page = list((users if last is None else users.filter(pk__gt=last))[:PAGE])
        linked += _link(page, connection, around)
        if len(page) < PAGE:
            return linked
        last = page[-1].pk


def own(connection: Connection, owners: Mapping[str, str]) -> None:
    """These contacts (by remote id) belong to these people (subjects; empty: nobody). One statement a ``PAGE``."""
    theirs = {
        remote_key(connection.pk, remote_id): (subject, user_pk(subject)) for remote_id, subject in owners.items()
    }
    upsert.amend(Contact, ("subject", "user"), theirs)


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


def _link(users: list[Any], connection: Connection | None, around: Around) -> int:
    by_email: dict[str, Any] = {}
    for user in users:
        email = normal_email(getattr(user, user.get_email_field_name(), "") or "")
        if email:
            by_email.setdefault(email, user.pk)
    contacts = Contact.objects.filter(email_key__in=list(by_email), user=None, subject="", deleted_at=None)
    if connection is not None:
        contacts = contacts.filter(connection=connection)
    found = [(key, (by_email[email],)) for key, email in contacts.values_list("key", "email_key")]
    linked = 0
    for start in range(0, len(found), WRITE):
        with around:
            linked += upsert.amend(Contact, ("user",), dict(found[start : start + WRITE]), unset="user")
    return linked
