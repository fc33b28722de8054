"""Reconcile: what no signal told of is found, marked and sent; what the service changed is told and left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from mktg_integration import shortcuts
from mktg_integration.models import Connection, Contact, DeadRow, Lane, Lead, OutboxRow, Run, RunKind, RunStatus
from mktg_integration.pull.refresh import refresh_contacts
from mktg_integration.push.reconcile import Reconciled, reconcile
from mktg_integration.sandbox.server import Sandbox
from mktg_integration.signals import run_finished
from tests.push.conftest import Connect, emails, person, send

SignUp = Callable[..., Any]
SERVICES = ("kit", "conversion", "convertloop")


def counts(found: Reconciled) -> dict[str, int]:
    return {name: number for name, number in found.counts().items() if number}


def marked() -> dict[str, int]:
    return dict(OutboxRow.objects.values_list("subject", "lane"))


@pytest.mark.parametrize("service", SERVICES)
def test_after_a_push_everybody_is_in_step(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect(service)[service]
    for name in ("ada", "bob"):
        sign_up(name, plan="gold", groups=("VIP",))
    sign_up("cy", newsletter=False)
    sign_up("dee", newsletter=None)
    send(connection)

    found = counts(reconcile(connection))

    if service == "conversion":
        # It has no list of contacts: whether cy, who refused, is among them is asked once more.
        assert found == {"people": 4, "in_step": 3, "missing": 1, "marked": 1}
    else:
        assert found == {"people": 4, "in_step": 4}
        assert marked() == {}


@pytest.mark.parametrize("service", SERVICES)
def test_what_signals_did_not_tell_is_marked_and_sent(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect(service)[service]
    ada, bob = sign_up("ada"), sign_up("bob")
    send(connection)
    users = get_user_model().objects
    users.filter(pk=ada.pk).update(first_name="Countess")
    users.bulk_create([users.model(username="cy", email="cy@example.com", first_name="Cy")])
    cy = users.get(username="cy")
    bob_was = f"user:{bob.pk}"
    bob.preference.delete()
    OutboxRow.objects.all().delete()
    users.filter(pk=bob.pk)._raw_delete(users.db)

    assert counts(reconcile(connection)) == {"people": 3, "missing": 1, "different": 1, "withdrawn": 1, "marked": 3}
    assert marked()[f"user:{ada.pk}"] == Lane.BACKFILL
    send(connection)

    assert "Countess" in json.dumps(person(mktg_sandbox, service, "ada@example.com"))
    assert "cy@example.com" in emails(mktg_sandbox, service)
    assert not OutboxRow.objects.filter(subject__in=[bob_was, f"user:{cy.pk}"]).exists()


def test_who_must_not_be_mailed_any_more_goes_first(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit")["kit"]
    ada = sign_up("ada")
    send(kit)
    type(ada.preference).objects.filter(user=ada).update(newsletter=False)

    reconcile(kit)

    assert marked() == {f"user:{ada.pk}": Lane.URGENT}


def test_a_dry_run_tells_and_marks_nothing(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit")["kit"]
    ada = sign_up("ada")
    OutboxRow.objects.all().delete()

    found = reconcile(kit, dry_run=True)

    assert counts(found) == {"people": 1, "missing": 1}
    assert found.examples == {"missing": [f"user:{ada.pk}"]}
    assert marked() == {}


def test_what_the_service_alone_changed_is_told_and_left(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit")["kit"]
    for name in ("ada", "bob"):
        sign_up(name, plan="gold", groups=("VIP",))
    send(kit)
    Contact.objects.filter(email="ada@example.com").update(values={"first_name": "Ada", "fields.plan": "silver"})
    bob = Contact.objects.get(email="bob@example.com")
    assert bob.taggings.all().delete()[0]

    assert counts(reconcile(kit)) == {"people": 2, "drift": 2}
    assert marked() == {}


def test_waiting_rejected_and_refused_people_are_not_marked_again(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit")["kit"]
    waits = sign_up("waits")
    bad = sign_up("bad", email="no-address")
    dead = OutboxRow.objects.get(subject=f"user:{bad.pk}")
    send_bad = DeadRow(key=dead.key, connection=kit, kind=dead.kind, subject=dead.subject, state="rejected")
    send_bad.code, send_bad.marked_at, send_bad.died_at = "invalid_profile", dead.marked_at, dead.marked_at
    send_bad.save()
    dead.delete()
    refused = sign_up("refused", email="also-none")
    OutboxRow.objects.filter(subject=f"user:{refused.pk}").delete()

    assert counts(reconcile(kit)) == {"people": 3, "waiting": 1, "rejected": 1, "refused": 1}
    assert set(marked()) == {f"user:{waits.pk}"}


def test_leads_are_people_and_strangers_are_extra(connect: Connect, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit")["kit"]
    shortcuts.subscribe("lea@example.com", who="the person", how="form")
    send(kit)
    lead = Lead.objects.get()
    Lead.objects.filter(pk=lead.pk).update(first_name="Lea")
    Contact.objects.create(
        key=f"{kit.pk}:99", connection=kit, remote_id="99", email="x@example.com", seen_at=lead.created_at
    )

    assert counts(reconcile(kit)) == {"people": 1, "different": 1, "extra": 1, "marked": 1}
    assert set(marked()) == {f"lead:{lead.pk}"}


def test_the_run_is_kept_and_told(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit")["kit"]
    sign_up("ada")
    told: list[Run] = []

    def note(sender: Any, run: Run, **_: Any) -> None:
        told.append(run)

    run_finished.connect(note)
    try:
        reconcile(kit)
    finally:
        run_finished.disconnect(note)

    run = Run.objects.get(kind=RunKind.RECONCILE)
    assert (run.status, run.counts["people"], told) == (RunStatus.DONE, 1, [run])


def test_a_reconcile_that_failed_does_not_count_as_done(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit", options={"PROFILE": "tests.push.nowhere.mapping"})["kit"]
    sign_up("ada")
    OutboxRow.objects.all().delete()
    with pytest.raises(CommandError, match=r"tests\.push\.nowhere"):
        call_command("mktg_reconcile", stdout=StringIO())
    assert Run.objects.get(kind=RunKind.RECONCILE, connection=kit).status == RunStatus.FAILED


def test_the_command_tells_people_and_machines(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    ada = sign_up("ada")
    OutboxRow.objects.all().delete()
    out = StringIO()
    call_command("mktg_reconcile", "--dry-run", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["connections"]["kit"]["missing"] == 1
    assert told["connections"]["kit"]["examples"] == {"missing": [f"user:{ada.pk}"]}
    out = StringIO()
    call_command("mktg_reconcile", stdout=out)
    assert "1 people marked" in out.getvalue()
    assert "example.com" not in out.getvalue()
    assert set(marked()) == {f"user:{ada.pk}"}


# Reading contacts anew, where there is no list of them


@pytest.fixture
def crm(connect: Connect, sign_up: SignUp) -> Connection:
    connection = connect("conversion")["conversion"]
    for name in ("ada", "bob", "cy"):
        sign_up(name)
    send(connection)
    return connection


def test_contacts_are_read_anew_one_by_one(crm: Connection, mktg_sandbox: Sandbox) -> None:
    world = mktg_sandbox.dump()
    contacts = {contact["email"]: contact for contact in world["conversion"]["contacts"]}
    contacts["ada@example.com"]["fields"]["first_name"] = "Countess"
    contacts["bob@example.com"]["subscription_status"] = "UNSUBSCRIBED"
    world["conversion"]["contacts"].remove(contacts["cy@example.com"])
    mktg_sandbox.load(world)

    refreshed = refresh_contacts(crm, per_second=1000)

    assert (refreshed.read, refreshed.changed, refreshed.gone) == (3, 2, 1)
    assert Contact.objects.get(email="bob@example.com").status == "unsubscribed"
    assert Contact.objects.get(email="cy@example.com").deleted_at is not None
    found = reconcile(crm)
    assert (found.drift, found.in_step) == (2, 1), "ada was edited and cy deleted; bob is out, as he wished"


def test_a_refresh_that_was_cut_short_goes_on_with_the_others(crm: Connection, mktg_sandbox: Sandbox) -> None:
    first = refresh_contacts(crm, Contact.objects.filter(email__startswith="a"), per_second=1000)
    assert first.read == 1
    oldest = Contact.objects.order_by("seen_at").last()
    assert oldest is not None
    assert oldest.email == "ada@example.com", "an unchanged contact was confirmed all the same"
    assert refresh_contacts(crm, per_second=1000, seconds=0).read == 0


def test_a_service_that_can_read_nobody_says_so(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connect("convertloop")
    sign_up("ada")
    send(Connection.objects.get())
    with pytest.raises(CommandError, match="ConvertLoop has no way to read a contact"):
        call_command("mktg_reconcile", "--refresh", stdout=StringIO())


# What it costs


def test_a_page_costs_the_same_statements_whatever_its_size(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit")["kit"]
    sign_up("first", groups=("VIP",))
    send(kit)

    def statements() -> int:
        with CaptureQueriesContext(database) as captured:
            reconcile(kit)
        return len(captured)

    one = statements()
    for number in range(20):
        sign_up(f"user{number}", groups=("VIP",))
    send(kit)
    assert statements() <= one
