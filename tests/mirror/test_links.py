"""Contacts and the users that they belong to, written in few and short transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection as database

from mktg_integration.mirror import links, upsert, writer
from mktg_integration.models import Connection, Contact
from mktg_integration.records import ContactRecord
from tests.mirror.conftest import NOON

Told = Callable[..., ContactRecord]
User = get_user_model()
EMAIL = User.get_email_field_name()

pytestmark = pytest.mark.skipif(not hasattr(User, EMAIL), reason="a user model without addresses")


def user(name: str) -> Any:
    return User(**{User.USERNAME_FIELD: name, EMAIL: f"{name}@example.com"})


def sign_up(name: str) -> Any:
    made = user(name)
    made.save()
    return made


@pytest.fixture
def everybody(kit: Connection, told: Told) -> int:
    """Of 1100 people each is a user and a contact, and none is linked yet."""
    count = 1100
    User._default_manager.bulk_create(user(f"Person{n}") for n in range(count))
    writer.write(kit, [told(str(n)) for n in range(count)], as_of=NOON)
    Contact.objects.update(user=None)
    return count


@pytest.mark.usefixtures("everybody")
def test_each_contact_gets_the_user_of_its_address(everybody: int) -> None:
    assert links.link_all() == everybody
    pairs = Contact.objects.values_list("email_key", f"user__{EMAIL}")
    assert all(address == email.lower() for address, email in pairs)


@pytest.mark.usefixtures("everybody")
def test_no_write_takes_more_than_some_hundred_and_each_is_followed_by_a_breath() -> None:
    written: list[int] = []

    @contextmanager
    def around() -> Iterator[None]:
        before = Contact.objects.exclude(user=None).count()
        yield
        written.append(Contact.objects.exclude(user=None).count() - before)

    class Breath:
        def __enter__(self) -> None:
            self.now = around()
            self.now.__enter__()

        def __exit__(self, *error: Any) -> None:
            self.now.__exit__(*error)

    links.link_all(around=Breath())

    assert sum(written) == 1100
    assert max(written) <= links.WRITE


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("everybody")
def test_nothing_is_made_ready_while_the_lock_is_held() -> None:
    """SQLite locks the whole database: between the transaction's begin and end there is one statement."""
    statements: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith("SELECT"):
            statements.append(sql.split()[0])
        return execute(sql, params, many, context)

    with database.execute_wrapper(note):
        links.link_all()

    begun = [statement for statement in statements if statement not in ("BEGIN", "COMMIT")]
    assert begun == ["UPDATE"] * 3, "for 1000 and for 100 of the 1100"


def test_who_was_linked_meanwhile_stays_so(kit: Connection, told: Told) -> None:
    ann, bob = sign_up("ann"), sign_up("bob")
    writer.write(kit, [told("1"), told("2")], as_of=NOON)
    Contact.objects.filter(remote_id="1").update(user=bob)
    keys = list(Contact.objects.order_by("remote_id").values_list("key", flat=True))

    changed = upsert.amend(Contact, ("user",), dict.fromkeys(keys, (ann.pk,)), unset="user")

    assert changed == 1
    assert list(Contact.objects.order_by("remote_id").values_list("user", flat=True)) == [bob.pk, ann.pk]


def test_an_owner_is_written_with_both_columns(kit: Connection, told: Told) -> None:
    ann = sign_up("ann")
    writer.write(kit, [told("1"), told("2"), told("3")], as_of=NOON)

    links.own(kit, {"1": f"user:{ann.pk}", "2": "lead:7"})
    links.own(kit, {})

    found = list(Contact.objects.order_by("remote_id").values_list("subject", "user"))
    assert found == [(f"user:{ann.pk}", ann.pk), ("lead:7", None), ("", None)]
