"""Large imports: more than a hundred people in one request, answered by a callback, and what if none comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from mktg_integration import shortcuts, tasks
from mktg_integration.models import (
    BulkJob,
    BulkState,
    Connection,
    ConnectionState,
    Contact,
    DeadRow,
    Kind,
    Lane,
    OutboxRow,
    SyncState,
    WaitReason,
)
from mktg_integration.people import user_subject
from mktg_integration.push import bulk, outbox
from mktg_integration.push.drain import DrainReport, drain
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person
from tests.push.receiving import Receiver
from tests.testapp.models import Preference

PEOPLE = 250
UPSERT = "POST /v4/bulk/subscribers"
TAG = "POST /v4/bulk/tags/subscribers"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def kit(connect: Connect, mktg_sandbox: Sandbox) -> Connection:
    """A connection by OAuth of a site that services can reach; Kit carries out what is large when it is told to."""
    world = mktg_sandbox.dump()
    world["kit"]["settings"]["async_delay"] = 3600
    mktg_sandbox.load(world)
    return connect("kit", PUBLIC_URL="http://site.example", CLAIM_SIZE=1000)["kit"]


def users(number: int = PEOPLE, *, group: str = "", prefix: str = "user") -> list[Any]:
    """Users who came into the database without a signal, as an import makes them, and who are marked as a backfill."""
    model = get_user_model()
    made = model.objects.bulk_create(
        model(username=f"{prefix}{n}", email=f"{prefix}{n}@example.com", first_name=f"N{n}") for n in range(number)
    )
    now = timezone.now()
    Preference._default_manager.bulk_create(Preference(user=user, newsletter=True, asked_at=now) for user in made)
    if group:
        Group.objects.get_or_create(name=group)[0].user_set.through.objects.bulk_create(
            model.groups.through(user=user, group=Group.objects.get(name=group)) for user in made
        )
    outbox.mark([user_subject(user) for user in made], lane=Lane.BACKFILL)
    return made


def send(connection: Connection, receiver: Receiver) -> DrainReport:
    return drain(connection.pk, foreground=True, callback_url=lambda _: receiver.url)


def carry_out(connection: Connection, sandbox: Sandbox, receiver: Receiver) -> None:
    """Kit does what waits, and the site applies the callbacks that came."""
    sandbox.kit.deliver_pending()
    while receiver.bodies:
        bulk.apply_callback(connection, receiver.bodies.pop(0))


def pass_time(**by: float) -> None:
    past = timezone.now() - timedelta(**by)
    BulkJob.objects.filter(state=BulkState.WAITING).update(due_at=past)
    OutboxRow.objects.update(due_at=past)
    ConnectionState.objects.exclude(wait_until=None).update(wait_until=past)


def asked(sandbox: Sandbox) -> Counter[str]:
    return Counter(entry.operation or "" for entry in sandbox.log.entries("kit") if entry.method == "POST")


def test_an_import_goes_in_one_request_and_its_callback_tells_what_became_of_it(
    kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    users(group="VIP")
    send(kit, receiver)
    assert emails(mktg_sandbox, "kit") == []
    assert OutboxRow.objects.count() == PEOPLE
    assert set(OutboxRow.objects.values_list("attempts", "claim_token")) == {(0, "")}

    carry_out(kit, mktg_sandbox, receiver)
    send(kit, receiver)
    carry_out(kit, mktg_sandbox, receiver)
    send(kit, receiver)

    assert len(emails(mktg_sandbox, "kit")) == PEOPLE
    assert {tuple(row["tags"]) for row in mktg_sandbox.people("kit")} == {("VIP",)}
    assert (asked(mktg_sandbox)[UPSERT], asked(mktg_sandbox)[TAG]) == (1, 1)
    assert not OutboxRow.objects.exists()
    assert not DeadRow.objects.exists()
    assert Contact.objects.exclude(user=None).count() == PEOPLE
    assert {tuple(state.owned_tags) for state in SyncState.objects.all()} == {("vip",)}
    assert {state.sent["consent"] for state in SyncState.objects.all()} == {"granted"}
    # What was asked for whom is kept no longer than it is needed.
    assert all(not (job.call or job.answer or job.subjects) for job in BulkJob.objects.all())
    assert set(BulkJob.objects.values_list("state", flat=True)) == {BulkState.DONE}

    outbox.mark([state.subject for state in SyncState.objects.all()], lane=Lane.BACKFILL)
    assert send(kit, receiver).calls == 0


@pytest.mark.django_db(transaction=True)
def test_the_whole_way_by_the_sites_own_address(connect: Connect, live_server: Any, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit", PUBLIC_URL=live_server.url)["kit"]
    users(120)
    tasks.drain(kit.pk)
    assert BulkJob.objects.get().state == BulkState.WAITING
    mktg_sandbox.kit.deliver_pending()
    requests = len(mktg_sandbox.log.entries("kit"))

    tasks.apply_inbox(kit.pk)
    assert BulkJob.objects.get().state == BulkState.ANSWERED
    # What the callback tells is not asked for again.
    assert len(mktg_sandbox.log.entries("kit")) == requests
    tasks.drain(kit.pk)

    assert Contact.objects.exclude(user=None).count() == 120
    assert not OutboxRow.objects.exists()


def test_without_a_public_address_or_oauth_chunks_of_a_hundred(
    connect: Connect, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    users()
    send(connection, receiver)

    assert asked(mktg_sandbox)[UPSERT] == 3
    assert len(emails(mktg_sandbox, "kit")) == PEOPLE
    assert not BulkJob.objects.exists()


def test_signups_are_never_answered_later(kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox) -> None:
    outbox.mark([user_subject(user) for user in users()], lane=Lane.LIVE)
    send(kit, receiver)
    assert len(emails(mktg_sandbox, "kit")) == PEOPLE
    assert not BulkJob.objects.exists()


def test_until_the_first_callback_only_one_request_waits_for_one(
    kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    users()
    send(kit, receiver)
    users(prefix="more")
    send(kit, receiver)
    assert len(emails(mktg_sandbox, "kit")) == PEOPLE
    assert BulkJob.objects.count() == 1

    carry_out(kit, mktg_sandbox, receiver)
    users(prefix="again")
    send(kit, receiver)
    users(prefix="once_more")
    send(kit, receiver)
    assert BulkJob.objects.filter(state=BulkState.WAITING).count() == 2


@pytest.mark.parametrize("carried_out", [True, False])
def test_when_no_callback_comes_people_are_looked_up_and_nobody_is_lost(
    carried_out: bool, kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    users(120)
    send(kit, receiver)
    if carried_out:
        mktg_sandbox.kit.deliver_pending()
    pass_time(hours=1)
    send(kit, receiver)

    assert len(emails(mktg_sandbox, "kit")) == 120
    assert Contact.objects.exclude(user=None).count() == 120
    assert BulkJob.objects.get().state == BulkState.LAPSED
    created = asked(mktg_sandbox)["POST /v4/subscribers"]
    assert created == (0 if carried_out else 120)
    assert not OutboxRow.objects.exists()

    # It is not trusted again so soon; and a callback that comes late changes nothing.
    users(120, prefix="more")
    send(kit, receiver)
    assert BulkJob.objects.count() == 1
    assert not any(bulk.apply_callback(kit, body) for body in receiver.bodies)


def test_a_refused_person_is_known_by_the_callback(kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox) -> None:
    made = users()
    send(kit, receiver)
    mktg_sandbox.kit.deliver_pending()
    (body,) = receiver.bodies
    refused = made[3].email
    body["subscribers"] = [row for row in body["subscribers"] if row["email_address"] != refused]
    body["failures"] = [{"subscriber": {"email_address": refused}, "errors": ["Email address is invalid"]}]
    assert bulk.apply_callback(kit, body)
    send(kit, receiver)

    assert Contact.objects.exclude(user=None).count() >= PEOPLE - 1
    assert SyncState.objects.count() >= PEOPLE - 1
    assert not OutboxRow.objects.exists()


def test_a_callback_that_is_not_understood_is_as_good_as_none(
    kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    users(120)
    send(kit, receiver)
    mktg_sandbox.kit.deliver_pending()
    body = receiver.bodies.pop()
    for row in body["subscribers"]:
        del row["id"]
    assert bulk.apply_callback(kit, body)
    assert not bulk.apply_callback(kit, {"subscribers": [{"email_address": "stranger@example.com"}]})
    assert not bulk.apply_callback(kit, ["nonsense"])
    send(kit, receiver)

    assert Contact.objects.exclude(user=None).count() == 120
    assert not OutboxRow.objects.exists()


def test_too_large_waits_and_shrinks(kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox) -> None:
    users()
    mktg_sandbox.fail("kit", "status", operation=UPSERT, status=413, times=1)
    assert send(kit, receiver).waiting == WaitReason.RATE
    assert set(OutboxRow.objects.values_list("attempts", "claim_token")) == {(0, "")}

    pass_time(minutes=5)
    send(kit, receiver)
    assert sorted(BulkJob.objects.values_list("state", "size")) == [
        (BulkState.TOO_LARGE, PEOPLE),
        (BulkState.WAITING, PEOPLE // 2),
    ]
    # The others did not wait.
    assert len(emails(mktg_sandbox, "kit")) == PEOPLE - PEOPLE // 2


def test_a_lost_answer_waits_for_the_callback(kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox) -> None:
    users()
    mktg_sandbox.fail("kit", "drop", operation=UPSERT, times=1, after_work=True)
    send(kit, receiver)
    carry_out(kit, mktg_sandbox, receiver)
    send(kit, receiver)

    assert asked(mktg_sandbox)[UPSERT] == 1
    assert Contact.objects.exclude(user=None).count() == PEOPLE
    assert not OutboxRow.objects.exists()


def test_a_refused_request_is_made_again_in_hundreds(
    kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    users()
    mktg_sandbox.fail("kit", "status", operation=UPSERT, status=422, times=1)
    send(kit, receiver)
    assert len(emails(mktg_sandbox, "kit")) == PEOPLE
    assert not BulkJob.objects.exists()
    assert not DeadRow.objects.exists()


@pytest.mark.parametrize("comes", [True, False])
def test_who_leaves_while_the_request_waits_is_unsubscribed_after_it(
    comes: bool, kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox
) -> None:
    gone, forgotten, refused, *_ = users(120)
    send(kit, receiver)
    addresses = gone.email, forgotten.email, refused.email
    shortcuts.unsubscribe(refused, who="the person", how="a link")
    shortcuts.forget(forgotten)
    gone.delete()
    send(kit, receiver)
    # None of them was looked for before there is anybody to find.
    left = {user_subject(user) for user in (forgotten, refused)}
    assert left <= set(OutboxRow.objects.values_list("subject", flat=True))
    assert OutboxRow.objects.filter(kind=Kind.ERASURE, subject=user_subject(forgotten)).exists()

    mktg_sandbox.kit.deliver_pending()
    if comes:
        carry_out(kit, mktg_sandbox, receiver)
    pass_time(hours=1)
    send(kit, receiver)

    assert {person(mktg_sandbox, "kit", email)["state"] for email in addresses} == {"cancelled"}
    assert Counter(row["state"] for row in mktg_sandbox.people("kit"))["active"] == 117


def test_a_process_that_dies_between_answer_and_settling_loses_nobody(
    kit: Connection, receiver: Receiver, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    users()

    def die(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(bulk.Jobs, "close", die)
        with pytest.raises(KeyboardInterrupt):
            send(kit, receiver)
    carry_out(kit, mktg_sandbox, receiver)
    send(kit, receiver)

    assert asked(mktg_sandbox)[UPSERT] == 1
    assert Contact.objects.exclude(user=None).count() == PEOPLE
    assert not OutboxRow.objects.exists()
