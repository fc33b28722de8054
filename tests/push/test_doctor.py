"""``mktg_doctor`` and ``mktg_forget``: what people who run a site type."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.heartbeat import beat
from mktg_integration.inbound.addresses import address_of
from mktg_integration.models import (
    Connection,
    ConnectionSource,
    Contact,
    DeadRow,
    Heartbeat,
    Kind,
    OptOut,
    OutboxRow,
    SyncState,
    WaitReason,
)
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]
Found = dict[str, list[tuple[str, str]]]


def examine() -> dict[str, Found]:
    """What the doctor found: by title, what it looked at, with level and text."""
    out = StringIO()
    with suppress(CommandError):
        call_command("mktg_doctor", "--json", stdout=out)
    told = json.loads(out.getvalue())
    found: dict[str, Found] = {}
    for title, findings in {"site": told["site"], **told["connections"]}.items():
        for finding in findings:
            found.setdefault(title, {}).setdefault(finding["about"], []).append((finding["level"], finding["text"]))
    return found


def only(found: Found, about: str) -> tuple[str, str]:
    (one,) = found[about]
    return one


@pytest.mark.parametrize(
    ("service", "said"),
    [("kit", "open the account"), ("conversion", "v2 and v1 take the key"), ("convertloop", "credentials are taken")],
)
def test_a_healthy_connection(
    service: str, said: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connect(service)
    sign_up("ada")
    before = mktg_sandbox.dump()
    marks = OutboxRow.objects.count()

    found = examine()[service]

    assert only(found, "service")[0] == "ok"
    assert said in only(found, "service")[1]
    assert only(found, "mapping") == ("ok", "1 of the newest 50 users go there")
    assert mktg_sandbox.dump() == before, "it changes nothing there"
    assert (OutboxRow.objects.count(), SyncState.objects.count()) == (marks, 0), "nor here"


@pytest.mark.parametrize(
    ("service", "key"), [("kit", "ACCESS_TOKEN"), ("conversion", "API_KEY"), ("convertloop", "API_KEY")]
)
def test_a_refused_key_says_where_to_put_a_new_one(
    service: str, key: str, connect: Connect, mktg_sandbox: Sandbox
) -> None:
    connect(service, options={key: "wrong-and-secret"})
    level, text = only(examine()[service], "service")
    assert (level, "new credentials" in text, "wrong-and-secret" in text) == ("problem", True, False)


def test_a_missing_key_and_a_wrong_option_are_named(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("conversion", options={"API_KEY": ""})
    assert "API_KEY" in only(examine()["conversion"], "credentials")[1]


def test_a_service_that_is_down(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    mktg_sandbox.down("kit")
    level, text = only(examine()["kit"], "service")
    assert (level, "BASE_URL" in text) == ("problem", True)


@pytest.mark.parametrize("creates", [True, False])
def test_custom_fields_that_the_account_lacks(
    creates: bool, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connect("kit", options={"CREATE_FIELDS": creates})
    sign_up("ada", plan="gold")
    level, text = only(examine()["kit"], "fields")
    assert level == ("note" if creates else "problem")
    assert "lacks plan" in text


def test_a_mapping_that_fails_is_told_with_its_reason(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    sign_up("ada", email="no-address")
    level, text = only(examine()["kit"], "mapping")
    assert (level, "not a valid address" in text, "no-address" in text) == ("problem", True, False)


def test_what_a_service_cannot_do_is_told(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("kit", "conversion")
    found = examine()
    assert any(text.startswith("track is not done here") for _, text in found["kit"]["capabilities"])
    assert any("TAGS_FIELD" in text for _, text in found["conversion"]["capabilities"])


def test_why_a_connection_waits_and_what_was_rejected(connect: Connect, mktg_sandbox: Sandbox) -> None:
    kit = connect("kit")["kit"]
    kit.state.wait_reason, kit.state.wait_detail = WaitReason.RECONNECT, "the token was refused"
    kit.state.save()
    now = timezone.now()
    DeadRow.objects.create(
        key="x", connection=kit, kind=Kind.PROFILE, subject="user:1", state="rejected", code="bad", reason="",
        marked_at=now, died_at=now,
    )  # fmt: skip
    found = examine()["kit"]
    level, text = only(found, "sending")
    assert (level, "the token was refused" in text, "Connect the account again" in text) == ("problem", True, True)
    assert "1 bad" in only(found, "rejected rows")[1]


def test_schedules_and_keys(connect: Connect, marketing: Callable[..., None], mktg_sandbox: Sandbox) -> None:
    connect("kit")
    found = examine()["site"]
    assert "mktg_schedule" in only(found, "schedules")[1]
    assert only(found, "keys")[0] == only(found, "clock")[0] == "ok"
    call_command("mktg_schedule", stdout=StringIO())
    assert only(examine()["site"], "schedules")[0] == "ok"


def test_credentials_that_no_key_reads_any_more(
    connect: Connect, marketing: Callable[..., None], mktg_sandbox: Sandbox
) -> None:
    old = Connection(name="old", provider="kit", source=ConnectionSource.STORED)
    old.credentials = {"API_KEY": "secret"}
    old.save()
    marketing(ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    found = examine()
    assert "the credentials of old cannot be read" in only(found["site"], "keys")[1]


def test_any_secret_that_no_key_reads_is_told(
    connect: Connect, marketing: Callable[..., None], mktg_sandbox: Sandbox
) -> None:
    kit = connect("kit")["kit"]
    address_of(kit)
    marketing(ENCRYPTION_KEYS=[Fernet.generate_key().decode()], CONNECTIONS={})
    level, text = only(examine()["site"], "keys")
    assert level == "problem"
    assert text.startswith("inbound addresses cannot be read")
    assert "mktg_rotate_keys" in text


def test_a_worker_that_fell_silent(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    assert only(examine()["site"], "workers")[0] == "note"
    beat()
    assert only(examine()["site"], "workers")[0] == "ok"
    Heartbeat.objects.update(at=timezone.now() - timedelta(hours=1))
    level, text = only(examine()["site"], "workers")
    assert (level, text.endswith("python manage.py qcluster")) == ("problem", True)


def test_a_clock_that_is_off(connect: Connect, monkeypatch: pytest.MonkeyPatch, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    hour = timedelta(hours=1)
    now = timezone.now
    monkeypatch.setattr("mktg_integration.operations.probing.timezone.now", lambda: now() + hour)
    level, text = only(examine()["site"], "clock")
    assert (level, "3600 s apart" in text) == ("problem", True)


def test_people_read_it_too_and_its_end_is_an_exit_status(connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    out = StringIO()
    with pytest.raises(CommandError, match="site: schedules"):
        call_command("mktg_doctor", stdout=out)
    assert "WRONG schedules" in out.getvalue()
    assert "kit (kit)" in out.getvalue()


# mktg_forget


def forget(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("mktg_forget", *arguments, "--json", stdout=out)
    result: dict[str, Any] = json.loads(out.getvalue())
    return result


@pytest.mark.parametrize("by", ["email", "pk"])
def test_a_user_is_erased(by: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    crm = connect("conversion")["conversion"]
    ada = sign_up("ada")
    send(crm)
    told = forget("Ada@example.com" if by == "email" else str(ada.pk))
    assert told["forgotten"]
    assert told["connections"]["conversion"]["known"]
    send(crm)
    assert emails(mktg_sandbox, "conversion") == []
    assert (Contact.objects.count(), OptOut.objects.count()) == (0, 1)


def test_a_lead_and_a_stranger(connect: Connect, mktg_sandbox: Sandbox) -> None:
    crm = connect("conversion")["conversion"]
    shortcuts.subscribe("lea@example.com", who="the person", how="form")
    send(crm)
    assert forget("lea@example.com")["connections"]["conversion"]["known"]
    assert not forget("stranger@example.com")["connections"]["conversion"]["known"]
    send(crm)
    assert emails(mktg_sandbox, "conversion") == []


def test_a_dry_run_tells_and_does_nothing(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connect("convertloop")
    sign_up("ada")
    told = forget("ada@example.com", "--dry-run")
    assert not told["forgotten"]
    assert "needs a person" in told["connections"]["convertloop"]["what"]
    assert (OptOut.objects.count(), OutboxRow.objects.filter(kind=Kind.ERASURE).count()) == (0, 0)


@pytest.mark.parametrize(("given", "said"), [("999", "primary key"), ("nobody", "primary key"), ("a@", "address")])
def test_nobody_is_an_error(given: str, said: str, connect: Connect, mktg_sandbox: Sandbox) -> None:
    connect("kit")
    with pytest.raises(CommandError, match=said):
        forget(given)
