"""Why did this person (not) get there? One trace tells, and no service is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.insight.comparing import Compared, Standing
from mktg_integration.insight.rows import rows_of
from mktg_integration.insight.trace import Outcome, Trace, trace, wanted_beside_known
from mktg_integration.models import (
    Connection,
    ConnectionState,
    Contact,
    DeadRow,
    ExplicitActs,
    Heartbeat,
    Lead,
    OutboxRow,
    SyncState,
    WaitReason,
)
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, send
from tests.testapp.models import Preference

SignUp = Callable[..., Any]


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on a call to a service fails the test."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a service was called")

    return lambda: monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", refuse)


def outcomes(found: Trace) -> dict[str, str]:
    return {step.name: step.outcome.value for step in found.steps}


def text(found: Trace, name: str) -> str:
    step = next(step for step in found.steps if step.name == name)
    return "\n".join([step.text, *step.more, *step.private])


def field(found: list[Compared], name: str) -> Compared:
    return next(row for row in found if row.name == name)


@pytest.mark.parametrize("service", ["kit", "conversion", "convertloop"])
def test_who_got_there_has_all_that_is_wanted(
    connect: Connect, sign_up: SignUp, offline: Callable[[], None], service: str
) -> None:
    connection = connect(service)[service]
    user = sign_up("ada", groups=("VIP",))
    send(connection)
    offline()

    found = trace(f"user:{user.pk}", connection)

    assert found.deciding is None
    assert found.answer == "The service has all that is wanted of this person."
    assert list(outcomes(found)) == ["marked", "mapped", "consent", "plan", "call", "answer"]
    assert text(found, "consent").startswith("Granted")
    assert found.steps[-1].at is not None


def test_who_is_marked_waits_with_lane_and_due_time(
    connect: Connect, sign_up: SignUp, offline: Callable[[], None]
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    offline()

    found = trace(f"user:{user.pk}", connection)

    assert "lane signups and changes, due" in text(found, "marked")
    assert found.deciding is not None
    assert found.deciding.name == "plan"
    assert "upsert" in text(found, "plan")
    assert found.answer == "Waits in the outbox to be sent. A push would begin with 1 call."
    assert OutboxRow.objects.count() == 1


def test_who_was_never_marked_is_said_to_be(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    OutboxRow.objects.all().delete()

    found = trace(f"user:{user.pk}", connection)

    assert found.deciding is not None
    assert found.deciding.name == "marked"
    assert "Press Sync now" in found.answer


def test_a_change_that_no_signal_told_of_is_said_to_be(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada", plan="gold")
    send(connection)
    Preference._default_manager.update(plan="silver")

    assert "changed past Django's signals" in trace(f"user:{user.pk}", connection).answer


def nobody(user: Any, connection: Any) -> None:
    return None


def broken(user: Any, connection: Any) -> None:
    raise RuntimeError("ada@example.com is odd")


@pytest.mark.parametrize(
    ("mapping", "said"), [("nobody", "not at this service"), ("broken", "the mapping raised RuntimeError")]
)
def test_a_mapping_that_says_no_or_fails_is_where_it_stops(
    connect: Connect, sign_up: SignUp, marketing: Any, mapping: str, said: str
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    marketing(PROFILE=f"{__name__}.{mapping}")

    found = trace(f"user:{user.pk}", connection)

    assert outcomes(found)["mapped"] == Outcome.STOPS
    assert said in found.answer
    assert "ada@" not in text(found, "mapped")


def test_an_address_that_is_another_users_is_where_it_stops(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    first = sign_up("ada")
    send(connection)
    second = sign_up("eve", email="ADA@example.com")

    found = trace(f"user:{second.pk}", connection)

    assert found.answer.startswith(f"user:{first.pk} has the same address")
    assert Contact.objects.get().subject == f"user:{first.pk}"


def test_who_has_not_shown_that_the_address_is_theirs_is_told_of(
    connect: Connect, sign_up: SignUp, marketing: Any
) -> None:
    connection = connect("kit")["kit"]
    marketing(EMAIL_VERIFIED="tests.testapp.models.address_is_verified")
    user = sign_up("ada")

    assert "has not shown yet" in text(trace(f"user:{user.pk}", connection), "mapped")


def test_an_opt_out_tells_its_scope_and_source(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    shortcuts.unsubscribe(user, who="staff", how="a letter")

    found = trace(f"user:{user.pk}", connection)

    assert "Opt-out: unsubscribed, everywhere, told by site" in text(found, "consent")
    assert found.deciding is not None
    assert found.deciding.name == "consent"
    step = next(step for step in found.steps if step.name == "consent")
    assert any("a letter" in line for line in step.private)
    assert not any("a letter" in line for line in step.more)


def test_who_was_forgotten_is_not_sent(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    shortcuts.forget(user)
    OutboxRow.objects.filter(kind="erasure").delete()

    assert "Forgotten" in trace(f"user:{user.pk}", connection).answer


def test_unknown_consent_may_be_a_reason(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit", UNKNOWN_CONSENT="skip")["kit"]
    user = sign_up("ada", newsletter=None)

    assert 'UNKNOWN_CONSENT is "skip"' in trace(f"user:{user.pk}", connection).answer


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"paused": True}, "paused"),
        ({"dry_run": True}, "dry run"),
        ({"bound_url": "https://other.example"}, "bound to"),
    ],
)
def test_a_connection_that_may_not_send_is_why(
    connect: Connect, sign_up: SignUp, marketing: Any, change: dict[str, Any], said: str
) -> None:
    connection = connect("kit")["kit"]
    marketing(PUBLIC_URL="https://here.example")
    user = sign_up("ada")
    for name, value in change.items():
        setattr(connection, name, value)

    found = trace(f"user:{user.pk}", connection)

    assert said in found.answer
    assert outcomes(found)["call"] == Outcome.STOPS


def test_a_connection_that_waits_says_why_and_until_when(connect: Connect, sign_up: SignUp) -> None:
    connect("kit")
    user = sign_up("ada")
    until = timezone.now() + timedelta(minutes=5)
    ConnectionState.objects.update(wait_reason=WaitReason.OUTAGE, wait_detail="status 503", wait_until=until)
    connection = Connection.objects.select_related("state").get()

    found = trace(f"user:{user.pk}", connection)

    assert "service does not answer" in text(found, "call")
    assert "status 503" in text(found, "call")
    assert "until" in text(found, "call")


def test_without_a_worker_nothing_is_sent(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    Heartbeat.objects.all().delete()

    assert "No worker" in trace(f"user:{user.pk}", connection).answer


def test_a_rejection_comes_with_status_request_and_remedy(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    row = OutboxRow.objects.get()
    DeadRow.objects.create(
        key=row.key, connection=connection, kind=row.kind, subject=row.subject, marked_at=row.marked_at,
        state="rejected", code="invalid_profile", reason="email is malformed", status=422, request_id="req-9",
        died_at=timezone.now(),
    )  # fmt: skip
    row.delete()

    found = trace(f"user:{user.pk}", connection)

    said = text(found, "answer")
    assert said.startswith("rejected: email is malformed")
    assert "HTTP 422" in said
    assert "request req-9" in said
    assert "replay" in said


def test_a_lead_that_became_a_user_leads_there(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada")
    lead = Lead.objects.create(email="ada@example.com", email_key="ada@example.com", user=user)

    assert f"now user:{user.pk}" in trace(f"lead:{lead.pk}", connection).answer


def test_what_waits_is_found_by_the_beginning_of_its_key(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("conversion")["conversion"]
    users = [sign_up(f"person{number}") for number in range(12)]
    first = users[0]
    alike = next((user for user in users[1:] if str(user.pk).startswith(str(first.pk))), users[-1])
    for user in (first, first, alike):
        shortcuts.track(user, "Bought")

    rows = rows_of(OutboxRow, connection, f"user:{first.pk}")

    assert sorted(row.kind for row in rows) == ["event", "event", "profile"]
    assert {row.subject for row in rows} == {f"user:{first.pk}"}


def test_looking_hands_no_contact_over(connect: Connect, sign_up: SignUp, marketing: Any) -> None:
    """Loading passes a lead's contact on to the user who has shown that the address is theirs; a page must not."""
    connection = connect("kit")["kit"]
    marketing(EMAIL_VERIFIED="tests.testapp.models.address_is_verified")
    shortcuts.subscribe("ada@example.com", who="the person", how="newsletter form")
    send(connection)
    lead = Lead.objects.get()
    user = sign_up("ada")
    Preference._default_manager.update(address_verified=True)
    # As it is once the drain has been: nobody is linked by a save.
    Lead.objects.update(user=None)
    Contact.objects.update(subject=f"lead:{lead.pk}", user=None)
    SyncState.objects.update(key=f"{connection.pk}:lead:{lead.pk}", subject=f"lead:{lead.pk}")

    found = trace(f"user:{user.pk}", connection)

    assert outcomes(found)["mapped"] == Outcome.OK
    assert Contact.objects.get().subject == f"lead:{lead.pk}"
    assert SyncState.objects.get().subject == f"lead:{lead.pk}"
    assert Lead.objects.get().user is None


def test_wanted_stands_beside_sent_and_known(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("conversion")["conversion"]
    user = sign_up("ada", plan="gold")
    send(connection)
    Contact.objects.update(values={**Contact.objects.get().values, "first_name": "Augusta"})
    user.preference.plan = "silver"
    user.preference.save()

    rows = wanted_beside_known(f"user:{user.pk}", connection)

    plan = field(rows, "plan")
    assert (plan.wanted, plan.sent, plan.known, plan.push) == ("silver", "gold", "gold", "silver")
    assert plan.standing is Standing.SENDING
    name = field(rows, "first_name")
    assert (name.known, name.push, name.standing) == ("Augusta", None, Standing.DRIFT)
    assert field(rows, "email").standing is Standing.SAME
    assert [row.name for row in rows if not row.personal] == ["consent"]


def test_tags_say_what_a_push_would_add_and_take(connect: Connect, sign_up: SignUp) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada", groups=("VIP", "Beta"))
    send(connection)
    user.groups.remove(user.groups.get(name="VIP"))
    shortcuts.add_tag(user, "Gold")

    rows = {row.name: row for row in wanted_beside_known(f"user:{user.pk}", connection)}

    assert {name: row.push for name, row in rows.items() if name.startswith("tag: ")} == {
        "tag: beta": None, "tag: vip": "−", "tag: gold": "+",
    }  # fmt: skip
    assert ExplicitActs.objects.count() == 1
