"""What marks a person, and what does not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import DatabaseError, models, transaction
from django.db.models.signals import post_save, pre_delete

from mktg_integration.models import Connection, Kind, Lane, OutboxRow
from mktg_integration.profile import Profile
from mktg_integration.push import outbox, receivers
from tests.push.outbox.queue import asked
from tests.testapp.models import Preference

User = get_user_model()


def marked() -> set[str]:
    """The people who have been marked since the last look."""
    found = set(OutboxRow.objects.values_list("subject", flat=True))
    OutboxRow.objects.all().delete()
    return found


def subject(user: Any) -> str:
    return f"user:{user.pk}"


@pytest.fixture
def ann(sign_up: Callable[..., Any], kit: Connection) -> Any:
    user = sign_up("ann")
    marked()
    return user


@pytest.fixture
def bob(sign_up: Callable[..., Any], kit: Connection) -> Any:
    user = sign_up("bob")
    marked()
    return user


@pytest.fixture
def group(db: None) -> Group:
    return Group.objects.create(name="editors")


# Saves


def test_a_signup_marks_the_person_at_every_connection(three: list[Connection], sign_up: Any) -> None:
    user = sign_up("ann")
    keys = set(OutboxRow.objects.values_list("key", flat=True))
    assert keys == {f"{connection.pk}:profile:{subject(user)}" for connection in three}


def test_a_save_costs_one_more_statement_however_many_connections(
    three: list[Connection], ann: Any, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        ann.save()
    receivers.disconnect()
    try:
        with django_assert_num_queries(1):
            ann.save()
    finally:
        receivers.connect()


@pytest.mark.django_db(transaction=True)
def test_after_the_commit_a_burst_costs_one_look(
    queue: Any, three: list[Connection], ann: Any, django_assert_num_queries: Any
) -> None:
    assert len(queue) == 3, "of the signup"
    with django_assert_num_queries(20):
        for _ in range(10):
            ann.save()


@pytest.mark.parametrize("fields", [["last_login"], ["password"], ["last_login", "password"]])
def test_a_login_marks_nothing(ann: Any, fields: list[str]) -> None:
    ann.save(update_fields=fields)
    assert marked() == set()


def test_other_fields_mark(ann: Any) -> None:
    ann.save(update_fields=["last_login", "is_active"])
    assert marked() == {subject(ann)}


def shows_logins(user: Any, connection: Any) -> Profile | None:
    return Profile(email="ann@example.com", fields={"last_login": user.last_login})


shows_logins.ignores = frozenset({"is_staff"})  # type: ignore[attr-defined]


def test_a_mapping_says_what_it_ignores(ann: Any, marketing: Any) -> None:
    marketing(PROFILE="tests.push.outbox.test_receivers.shows_logins")
    ann.save(update_fields=["is_staff"])
    assert marked() == set()
    ann.save(update_fields=["last_login"])
    assert marked() == {subject(ann)}


def test_only_what_all_mappings_ignore_is_ignored(ann: Any, connect_to: Any, marketing: Any) -> None:
    connect_to("second", provider="kit", stored_options={"PROFILE": "tests.push.outbox.test_receivers.shows_logins"})
    receivers.connect()
    ann.save(update_fields=["last_login"])
    assert marked() == {subject(ann)}


def test_fixtures_mark_nothing(ann: Any, tmp_path: Any) -> None:
    fixture = tmp_path / "users.json"
    call_command("dumpdata", User._meta.label, output=str(fixture), verbosity=0)
    call_command("loaddata", str(fixture), verbosity=0)
    assert marked() == set()


def test_a_rolled_back_signup_leaves_nothing(kit: Connection, sign_up: Any) -> None:
    with transaction.atomic():
        sign_up("ann")
        transaction.set_rollback(True)
    assert marked() == set()


def test_a_proxy_of_the_user_model_counts(ann: Any) -> None:
    class Subscriber(User):  # type: ignore[valid-type, misc]
        class Meta:
            proxy = True
            app_label = "testapp"

    with forgotten_afterwards(Subscriber):
        receivers.connect()
        Subscriber.objects.get(pk=ann.pk).save()
        assert marked() == {subject(ann)}


def forgotten_afterwards(model: type[models.Model]) -> Any:
    from contextlib import contextmanager

    from django.apps import apps

    @contextmanager
    def manage() -> Iterator[None]:
        try:
            yield
        finally:
            del apps.all_models[model._meta.app_label][model._meta.model_name]
            apps.clear_cache()
            receivers.connect()

    return manage()


# Failures


def refuse(*_: Any, **__: Any) -> None:
    raise DatabaseError("for ann@example.com")


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_a_failing_mark_never_reaches_the_save(
    ann: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(outbox, "mark", refuse)
    with caplog.at_level(logging.ERROR):
        ann.save()
    assert "could not be marked (DatabaseError)" in caplog.text
    assert "example.com" not in caplog.text


def test_within_a_transaction_a_failing_mark_is_the_transactions_failure(
    ann: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "mark", refuse)
    with pytest.raises(DatabaseError):
        ann.save()


# Deletions


def test_a_deletion_marks_urgently(ann: Any) -> None:
    who = subject(ann)
    ann.delete()
    # With an address the row tells of the departure; without one there is only the person to look at.
    kind = Kind.ERASURE if hasattr(User, User.get_email_field_name()) else Kind.PROFILE
    assert list(OutboxRow.objects.values_list("subject", "kind", "lane")) == [(who, kind, Lane.URGENT)]


def test_users_deleted_by_a_queryset_are_marked(ann: Any, bob: Any) -> None:
    User._default_manager.all().delete()
    assert marked() == {subject(ann), subject(bob)}


@pytest.mark.skipif(not hasattr(User, User.get_email_field_name()), reason="a user model without addresses")
def test_forget_keeps_the_address_encrypted_for_the_erasure(ann: Any, marketing: Any) -> None:
    marketing(ON_USER_DELETE="forget")
    who = subject(ann)
    ann.delete()
    row = OutboxRow.objects.get()
    assert (row.subject, row.kind, row.lane, row.payload) == (
        who,
        Kind.ERASURE,
        Lane.URGENT,
        {"email": "ann@example.com", "leaves": False, "deleted": True},
    )


def test_forget_of_somebody_without_an_address_goes_by_what_was_sent(ann: Any, marketing: Any) -> None:
    marketing(ON_USER_DELETE="forget")
    setattr(ann, User.get_email_field_name(), "")
    ann.delete()
    assert list(OutboxRow.objects.values_list("kind", "lane")) == [(Kind.PROFILE, Lane.URGENT)]


def test_keep_marks_nothing(ann: Any, marketing: Any) -> None:
    marketing(ON_USER_DELETE="keep")
    ann.delete()
    assert marked() == set()


# Groups


def test_groups_mark_from_both_sides(ann: Any, bob: Any, group: Group) -> None:
    ann.groups.add(group)
    assert marked() == {subject(ann)}
    ann.groups.add(group)
    assert marked() == set(), "nothing changed"
    group.user_set.add(ann, bob)
    assert marked() == {subject(bob)}, "only who was added"
    group.user_set.remove(bob)
    assert marked() == {subject(bob)}
    ann.groups.set([])
    assert marked() == {subject(ann)}


def test_clearing_groups_marks_who_was_in_them(ann: Any, bob: Any, group: Group) -> None:
    ann.groups.add(group)
    marked()
    ann.groups.clear()
    assert marked() == {subject(ann)}
    group.user_set.set([ann, bob])
    marked()
    group.user_set.clear()
    assert marked() == {subject(ann), subject(bob)}


def test_deleting_a_group_marks_its_members(ann: Any, bob: Any, group: Group) -> None:
    group.user_set.add(ann)
    marked()
    group.delete()
    assert marked() == {subject(ann)}


def test_many_at_once_are_a_backfill(kit: Connection, group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAGE", 2)
    receivers._mark([1, 2, 3])
    assert set(OutboxRow.objects.values_list("lane", flat=True)) == {Lane.BACKFILL}


# Watched models


@pytest.mark.parametrize("path", ["user", "tests.testapp.models.user_of"])
def test_a_watched_model_marks_its_user(ann: Any, marketing: Any, path: str) -> None:
    marketing(WATCH={"testapp.Preference": path})
    preference = Preference.objects.create(user=ann)
    assert marked() == {subject(ann)}
    preference.plan = "pro"
    preference.save()
    assert marked() == {subject(ann)}
    preference.delete()
    assert marked() == {subject(ann)}


def test_a_watched_foreign_key_needs_no_query(ann: Any, marketing: Any, django_assert_num_queries: Any) -> None:
    Preference.objects.create(user=ann)
    marketing(WATCH={"testapp.Preference": "user"})
    preference = Preference.objects.get()
    with django_assert_num_queries(2):
        preference.save()


def test_an_unwatched_model_marks_nothing(ann: Any, marketing: Any) -> None:
    marketing(WATCH={"testapp.Preference": "user"})
    marketing(WATCH={})
    Preference.objects.create(user=ann)
    assert marked() == set()


def several(preference: Preference) -> Any:
    return User._default_manager.all()


def nobody(preference: Preference) -> Any:
    return None


def broken(preference: Preference) -> Any:
    raise RuntimeError("ann@example.com")


def test_a_function_may_name_several_users_or_none(ann: Any, bob: Any, marketing: Any) -> None:
    marketing(WATCH={"testapp.Preference": "tests.push.outbox.test_receivers.several"})
    preference = Preference.objects.create(user=ann)
    assert marked() == {subject(ann), subject(bob)}
    marketing(WATCH={"testapp.Preference": "tests.push.outbox.test_receivers.nobody"})
    preference.save()
    assert marked() == set()


def test_a_function_of_the_sites_own_that_fails_stops_no_save(ann: Any, marketing: Any, caplog: Any) -> None:
    marketing(WATCH={"testapp.Preference": "tests.push.outbox.test_receivers.broken"})
    Preference.objects.create(user=ann)
    assert marked() == set()
    assert 'WATCH"]["testapp.Preference"] failed (RuntimeError)' in caplog.text
    assert "example.com" not in caplog.text


@pytest.mark.parametrize(
    ("watch", "message"),
    [
        ({"testapp.Nothing": "user"}, "there is no such model"),
        ({"testapp.Preference": "tests.testapp.nothing"}, "cannot be imported"),
        ({"testapp.Preference": "tests.testapp.models.Kind"}, "cannot be imported"),
    ],
)
def test_what_is_wrong_in_watch_is_said(db: None, marketing: Any, caplog: Any, watch: Any, message: str) -> None:
    marketing(WATCH=watch)
    assert message in caplog.text


def test_a_many_to_many_link_can_be_watched(ann: Any, bob: Any, marketing: Any) -> None:
    """Here Django's own of permissions; on a real site, topics."""
    from django.contrib.auth.models import Permission

    through = User._meta.get_field("user_permissions").remote_field.through
    marketing(WATCH={through._meta.label: "user"})
    permission = Permission.objects.all()[0]
    ann.user_permissions.add(permission)
    assert marked() == {subject(ann)}
    permission.user_set.add(bob)
    assert marked() == {subject(bob)}


# What must not be slowed down


def test_no_receiver_listens_to_all_models() -> None:
    """One for all models would keep Django from deleting in one statement, anywhere on the site."""
    assert not pre_delete.has_listeners(Connection)
    assert not post_save.has_listeners(Connection)


def test_connecting_twice_marks_once(ann: Any, django_assert_num_queries: Any) -> None:
    receivers.connect()
    receivers.connect()
    with django_assert_num_queries(2):
        ann.save()


def test_the_wake_up_of_a_deletion_is_urgent(ann: Any, queue: Any, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        ann.delete()
    assert [delay for _, delay in asked] == [0.0]


@pytest.mark.parametrize("profile", ["nowhere.newsletter", "tests.testapp.mappings.nothing"])
def test_a_mapping_that_cannot_be_imported_stops_no_login(
    ann: Any, marketing: Any, profile: str, caplog: pytest.LogCaptureFixture
) -> None:
    marketing(PROFILE=profile)
    with caplog.at_level(logging.ERROR):
        ann.save(update_fields=["last_login"])
    assert marked() == {subject(ann)}
    assert profile in caplog.text
