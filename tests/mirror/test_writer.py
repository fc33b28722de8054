"""What providers tell, as the mirror keeps it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections

from mktg_integration.mirror import reader, upsert, writer
from mktg_integration.mirror.keys import KEY_LENGTH, tagging_key
from mktg_integration.mirror.rows import Context, Made, make_rows
from mktg_integration.models import (
    Company,
    Connection,
    ConnectionState,
    Contact,
    CustomField,
    OptOut,
    Tag,
    Tagging,
)
from mktg_integration.records import (
    CompanyRecord,
    ContactRecord,
    ContactStatus,
    CustomFieldRecord,
    TaggingRecord,
    TagRecord,
)
from tests.mirror.conftest import NOON

Told = Callable[..., ContactRecord]
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True, params=[1, 50], ids=["columns shared", "columns of few rows"])
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From so many rows on, what all rows have alike is sent once: another statement, for the same."""
    monkeypatch.setattr(upsert, "_MANY", request.param)


def counts(written: writer.Written) -> tuple[int, int, int]:
    return written.added, written.changed, written.unchanged


# A page


def test_every_kind_is_written(kit: Connection) -> None:
    created = datetime(2025, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
    raw = {"id": 1, "nested": {"list": [1, 2.5, None, True, "ü😀"]}}
    records = [
        ContactRecord(
            remote_id="1",
            email="Ann@Example.com",
            status=ContactStatus.ACTIVE,
            values={"first_name": "Ann", "fields.plan": None},
            company={"name": "Acme"},
            created_at=created,
            raw=raw,
        ),
        TagRecord(remote_id="7", name="VIP", created_at=created),
        TaggingRecord(contact="1", tag="7", tagged_at=created),
        CustomFieldRecord(remote_id="5", key="plan", label="Plan"),
        CompanyRecord(external_id="acme", name="Acme", domain="acme.example", values={"size": 3}),
    ]
    assert counts(writer.write(kit, records, as_of=NOON)) == (5, 0, 0)

    contact = Contact.objects.get()
    assert (contact.pk, contact.email, contact.email_key) == (f"{kit.pk}:1", "Ann@Example.com", "ann@example.com")
    assert (contact.status, contact.first_name, contact.seen_at) == ("active", "Ann", NOON)
    assert (contact.user, contact.subject, contact.last_pushed_at, contact.deleted_at) == (None, "", None, None)
    assert reader.to_record(contact) == records[0]
    tagging = Tagging.objects.select_related("contact", "tag").get()
    assert (tagging.contact, tagging.tag.name, tagging.tagged_at) == (contact, "VIP", created)
    assert list(contact.tags.all()) == [tagging.tag]
    assert not tagging.tag.ours
    assert CustomField.objects.get().field_key == "plan"
    assert Company.objects.get().values == {"size": 3}


def test_what_did_not_change_is_skipped(kit: Connection, told: Told) -> None:
    writer.write(kit, [told("1"), told("2")], as_of=NOON)
    page = [told("1"), told("2", email="new@example.com"), told("3")]
    assert counts(writer.write(kit, page, as_of=NOON + HOUR)) == (1, 1, 1)
    assert Contact.objects.get(remote_id="1").seen_at == NOON
    assert Contact.objects.get(remote_id="2").email_key == "new@example.com"


@pytest.mark.parametrize("pushed", [False, True])
def test_an_older_answer_never_overwrites_a_newer_one(kit: Connection, told: Told, pushed: bool) -> None:
    writer.write(kit, [told(email="new@example.com")], as_of=NOON)
    written = writer.write(kit, [told(email="old@example.com")], as_of=NOON - HOUR, pushed=pushed)
    if not pushed:
        assert counts(written) == (0, 0, 1)
    contact = Contact.objects.get()
    assert (contact.email, contact.email_key, contact.seen_at) == ("new@example.com", "new@example.com", NOON)
    assert contact.last_pushed_at is None


def test_answers_of_the_same_moment_count_in_their_order(kit: Connection, told: Told) -> None:
    """As two rounds of one drain."""
    for email in ("first@example.com", "second@example.com"):
        writer.write(kit, [told(email=email)], as_of=NOON, pushed=True)
    assert Contact.objects.get().email == "second@example.com"


def test_of_two_records_with_one_id_the_last_counts(kit: Connection, told: Told) -> None:
    page = [told(email="first@example.com"), told(email="last@example.com")]
    assert counts(writer.write(kit, page, as_of=NOON)) == (1, 0, 0)
    assert Contact.objects.get().email == "last@example.com"


def test_two_connections_do_not_share_contacts(kit: Connection, told: Told) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    for connection in (kit, other):
        writer.write(connection, [told()], as_of=NOON)
    assert Contact.objects.count() == 2


def test_a_contact_that_is_seen_again_is_back(kit: Connection, told: Told) -> None:
    writer.write(kit, [told("1"), told("2")], as_of=NOON)
    assert writer.mark_gone(kit, ["1"], as_of=NOON + HOUR) == 1
    assert Contact.objects.get(remote_id="1").deleted_at == NOON + HOUR

    assert counts(writer.write(kit, [told("1")], as_of=NOON)) == (0, 0, 1), "seen before it was gone"
    assert counts(writer.write(kit, [told("1")], as_of=NOON + 2 * HOUR)) == (0, 1, 0)
    assert Contact.objects.get(remote_id="1").deleted_at is None


def test_a_contact_seen_later_is_not_gone(kit: Connection, told: Told) -> None:
    writer.write(kit, [told()], as_of=NOON)
    assert writer.mark_gone(kit, ["1"], as_of=NOON - HOUR) == 0


# A push


def test_a_push_says_whose_a_contact_is(kit: Connection, told: Told) -> None:
    user = get_user_model()._default_manager.create(**{get_user_model().USERNAME_FIELD: "ann"})
    owners = {"1": f"user:{user.pk}", "2": "lead:5"}
    writer.write(kit, [told("1"), told("2"), told("3")], as_of=NOON, pushed=True, owners=owners)
    found = {contact.remote_id: contact for contact in Contact.objects.select_related("user")}
    assert (found["1"].subject, found["1"].user) == (f"user:{user.pk}", user)
    assert (found["2"].subject, found["2"].user_id) == ("lead:5", None)
    assert (found["3"].subject, found["3"].user_id) == ("", None)
    assert {contact.last_pushed_at for contact in found.values()} == {NOON}


def test_a_pull_takes_away_neither_owner_nor_time_of_sending(kit: Connection, told: Told) -> None:
    user = get_user_model()._default_manager.create(**{get_user_model().USERNAME_FIELD: "ann"})
    writer.write(kit, [told()], as_of=NOON, pushed=True, owners={"1": f"user:{user.pk}"})
    writer.write(kit, [told(email="new@example.com")], as_of=NOON + HOUR)
    contact = Contact.objects.get()
    assert contact.email == "new@example.com"
    assert (contact.subject, contact.user, contact.last_pushed_at) == (f"user:{user.pk}", user, NOON)


def test_an_answer_without_status_leaves_the_status_that_is_known(kit: Connection, told: Told) -> None:
    writer.write(kit, [told(status=ContactStatus.UNREAD)], as_of=NOON, pushed=True)
    assert Contact.objects.get().status == "unread"
    writer.write(kit, [told(status=ContactStatus.BOUNCED)], as_of=NOON)
    writer.write(kit, [told(status=ContactStatus.UNREAD)], as_of=NOON + HOUR, pushed=True)
    assert Contact.objects.get().status == "bounced"


def test_a_push_is_one_statement_for_each_kind(kit: Connection, told: Told, django_assert_num_queries: Any) -> None:
    contacts = [told(str(n)) for n in range(1000)]
    taggings = [TaggingRecord(contact=str(n), tag="7") for n in range(1000)]
    with django_assert_num_queries(2):
        writer.write(kit, [*contacts, *taggings], as_of=NOON, pushed=True)
    with django_assert_num_queries(1):
        writer.untag(kit, [(str(n), "7") for n in range(1000)])


def test_a_page_is_two_statements_for_each_kind(kit: Connection, told: Told, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        writer.write(kit, [told(str(n)) for n in range(1000)], as_of=NOON)
    with django_assert_num_queries(1):
        writer.write(kit, [told(str(n)) for n in range(1000)], as_of=NOON + HOUR)
    with django_assert_num_queries(2):
        writer.write(kit, [told(str(n), email="x@example.com") for n in range(1000)], as_of=NOON + HOUR)


# Tags


def test_a_tagging_may_come_before_its_contact(kit: Connection, told: Told) -> None:
    writer.write(kit, [TaggingRecord(contact="1", tag="7")], as_of=NOON)
    writer.write(kit, [told(), TagRecord(remote_id="7", name="VIP")], as_of=NOON)
    assert [tag.name for tag in Contact.objects.get().tags.all()] == ["VIP"]


def test_an_untagged_contact_stays_untagged_for_older_answers(kit: Connection, told: Told) -> None:
    page = [told(), TagRecord(remote_id="7", name="VIP"), TaggingRecord(contact="1", tag="7")]
    key = f"{kit.pk}:1"
    writer.write(kit, page, as_of=NOON)
    assert reader.tag_names([key]) == {key: frozenset({"vip"})}

    writer.untag(kit, [("1", "7")], as_of=NOON + HOUR)
    assert reader.tag_names([key]) == {key: frozenset()}
    writer.write(kit, page, as_of=NOON)
    assert reader.tag_names([key]) == {key: frozenset()}
    writer.write(kit, page, as_of=NOON + 2 * HOUR)
    assert reader.tag_names([key]) == {key: frozenset({"vip"})}


def test_a_tag_that_we_had_not_seen_on_the_contact_can_be_taken_away(kit: Connection) -> None:
    """A list that was asked before tells of it later."""
    writer.untag(kit, [("1", "7")], as_of=NOON)
    writer.write(kit, [TaggingRecord(contact="1", tag="7")], as_of=NOON - HOUR)
    assert Tagging.objects.get().deleted_at == NOON


def test_what_the_site_says_of_a_tag_survives_a_pull(kit: Connection) -> None:
    writer.write(kit, [TagRecord(remote_id="7", name="VIP")], as_of=NOON)
    Tag.objects.update(ours=True, members_read_at=NOON)
    writer.write(kit, [TagRecord(remote_id="7", name="Very important")], as_of=NOON + HOUR)
    tag = Tag.objects.get()
    assert (tag.name, tag.ours, tag.members_read_at) == ("Very important", True, NOON)


# What a column cannot hold


def test_what_is_equal_in_python_and_not_in_json_is_kept_apart(kit: Connection, told: Told) -> None:
    flags = {"1": 1, "2": True, "3": 1.0}
    records = [told(remote_id, values={"flag": flag}, raw={"flag": flag}) for remote_id, flag in flags.items()]
    writer.write(kit, records, as_of=NOON)

    kept = {contact.remote_id: contact for contact in Contact.objects.all()}
    assert {key: repr(contact.values["flag"]) for key, contact in kept.items()} == {
        k: repr(f) for k, f in flags.items()
    }
    assert all(contact.raw == contact.values for contact in kept.values())


@pytest.mark.parametrize("pushed", [False, True])
def test_a_page_of_many_is_written_as_each_one_alone(kit: Connection, told: Told, pushed: bool) -> None:
    """Two pages: the second changes half of the first."""
    other = Connection.objects.create(name="other", provider="kit")
    ConnectionState.objects.get_or_create(connection=other)
    first = [told(str(n), values={"first_name": f"Name {n}"}, raw={"id": n}) for n in range(60)]
    second = [told(str(n), values={"first_name": "New"}, status=ContactStatus.BOUNCED) for n in range(30, 60)]
    for as_of, page in ((NOON, first), (NOON + HOUR, second)):
        writer.write(kit, page, as_of=as_of, pushed=pushed, owners={"7": "lead:7"})
        for record in page:
            writer.write(other, [record], as_of=as_of, pushed=pushed, owners={"7": "lead:7"})

    def rows(connection: Connection) -> list[dict[str, Any]]:
        kept = Contact.objects.filter(connection=connection).order_by("remote_id").values()
        return [row | {"key": "", "connection_id": 0} for row in kept]

    assert rows(kit) == rows(other)
    assert len(rows(kit)) == 60


def made(connection: Connection, records: list[Any], as_of: datetime = NOON) -> Made:
    return make_rows(Context(connection, as_of, False, {}, ""), records)


def test_statements_made_beforehand_are_for_a_page_that_is_new_as_a_whole(kit: Connection, told: Told) -> None:
    page = [told(str(n)) for n in range(10)]

    ready = writer.encode(made(kit, page), size=4, using="default")
    assert [statement.rows for statement in writer.prepare(ready).statements] == [4, 4, 2]

    writer.write(kit, page[:3], as_of=NOON + HOUR)
    assert [statement.rows for statement in writer.prepare(ready, size=4).statements] == [4, 3]


def test_statements_made_beforehand_are_run_where_they_belong(kit: Connection, told: Told, settings: Any) -> None:
    class OfOneThread:
        """As of a site that routes by what its thread, or request, is at work for."""

        def db_for_write(self, model: Any, **hints: Any) -> str:
            raise AssertionError("asked in another thread")

    settings.DATABASE_ROUTERS = [OfOneThread()]

    ready = writer.encode(made(kit, [told("1")]), size=4, using="default")
    assert [one.using for statements in ready.ready.values() for one in statements] == ["default"]


def test_making_statements_beforehand_asks_no_database(kit: Connection, told: Told) -> None:
    def encode() -> bool:
        writer.encode(made(kit, [told("1")]), size=4, using="default")
        return any(one.connection is not None for one in connections.all(initialized_only=True))

    if connections["default"].vendor == "mysql":
        pytest.skip("the server's version is asked for once in each thread")
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(encode).result() is False


def test_text_that_no_database_stores_is_replaced(kit: Connection, told: Told) -> None:
    raw = {"nul\x00key": "a\x00b", "surrogate": "\ud800x", "nan": float("nan"), "escaped": "\\u0000", "fine": "😀"}
    record = told(email="a\x00b@example.com", values={"first_name": "A\x00\udfff"}, raw=raw)
    others = told("2"), told("3", email=record.email, values=record.values)
    for page in ([record, *others], [record, others[1]]):  # what only some have, and what all have
        Contact.objects.all().delete()
        writer.write(kit, page, as_of=NOON)
    contact = Contact.objects.get(remote_id="1")
    assert contact.email == "a\ufffdb@example.com"
    assert contact.first_name == "A\ufffd?"
    assert contact.raw == {
        "nul\ufffdkey": "a\ufffdb",
        "surrogate": "?x",
        "nan": None,
        "escaped": "\\u0000",
        "fine": "😀",
    }
    assert counts(writer.write(kit, [record], as_of=NOON + HOUR)) == (0, 0, 1)


def test_names_are_cut_to_their_column(kit: Connection, told: Told) -> None:
    long = "😀" * 300
    writer.write(kit, [told(values={"first_name": long}), TagRecord(remote_id="7", name=long)], as_of=NOON)
    assert Contact.objects.get().first_name == long[:255]
    assert Contact.objects.get().values == {"first_name": long}
    assert Tag.objects.get().name == long[:255]


def test_ids_and_addresses_that_do_not_fit_are_refused_and_counted(kit: Connection, told: Told, caplog: Any) -> None:
    page = [
        told("x" * 151),
        told(""),
        told("2", email="a" * 250 + "@example.com"),
        TaggingRecord(contact="1", tag="y" * 151),
        told("3"),
    ]
    written = writer.write(kit, page, as_of=NOON)
    assert (written.added, written.refused) == (1, 4)
    assert "kit: 4 records were refused" in caplog.text
    assert "example.com" not in caplog.text


def test_long_ids_still_make_a_tagging_key_of_their_own(kit: Connection) -> None:
    pairs = [("c" * 150, "t" * 150), ("c" * 150, "t" * 149 + "u")]
    writer.write(kit, [TaggingRecord(contact=contact, tag=tag) for contact, tag in pairs], as_of=NOON)
    assert Tagging.objects.count() == 2
    assert all(len(tagging_key(10**12, *pair)) <= KEY_LENGTH for pair in pairs)
    writer.untag(kit, pairs, as_of=NOON + HOUR)
    assert not Tagging.objects.filter(deleted_at=None).exists()


# Opt-outs that an answer tells of


def test_an_opt_out_is_recorded_once_it_is_news(kit: Connection, told: Told) -> None:
    for status in (ContactStatus.ACTIVE, ContactStatus.INACTIVE, ContactStatus.UNREAD):
        writer.write(kit, [told(status=status)], as_of=NOON, pushed=True)
    assert not OptOut.objects.exists()
    writer.write(kit, [told(status=ContactStatus.COMPLAINED)], as_of=NOON, pushed=True)
    assert OptOut.objects.get().kind == "complained"


def test_our_own_unsubscribe_is_no_word_of_the_persons(kit: Connection, told: Told) -> None:
    out = told(status=ContactStatus.UNSUBSCRIBED)
    writer.write(kit, [out], as_of=NOON, pushed=True, unsubscribed_by_us={"1"})
    writer.write(kit, [out], as_of=NOON + HOUR, pushed=True)
    writer.write(kit, [told(status=ContactStatus.UNSUBSCRIBED, raw={"id": 1})], as_of=NOON + 2 * HOUR)
    assert not OptOut.objects.exists()
