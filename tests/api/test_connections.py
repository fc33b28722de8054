"""Connections by the API: made, changed, tried, paused, deleted. Long work is a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mktg_integration.models import (
    AuditAction,
    AuditEntry,
    Connection,
    Contact,
    OAuthToken,
    OutboxRow,
    Run,
    WebhookSubscription,
)
from mktg_integration.operations.runs import TASKS as RUN_TASKS
from mktg_integration.permissions import CONNECT, SYNC
from mktg_integration.push.outbox import mark
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.api.conftest import ROOT, SECRET, Api
from tests.push.conftest import Connect

Tasks = list[tuple[str, tuple[int | str, ...]]]


def kit_by_key(sandbox: Sandbox, key: str = credentials.KIT_API_KEY) -> dict[str, Any]:
    options = {"BASE_URL": sandbox.kit_url}
    return {"name": "news", "provider": "kit", "credentials": {"API_KEY": key}, "options": options}


def acts() -> list[tuple[str, str, str]]:
    return [(entry.action, entry.via, entry.connection_name) for entry in AuditEntry.objects.order_by("pk")]


# Made and changed


def test_one_is_made_changed_and_deleted(api: Api, mktg_sandbox: Sandbox, tasks: Tasks) -> None:
    made = api.post("connections/", kit_by_key(mktg_sandbox))
    assert made.status_code == 201, made.text
    one = f"connections/{made.json()['id']}/"
    assert api.get(one).json()["account_label"]

    changed = api.patch(one, {"name": "letters", "push_enabled": False})
    assert (changed.json()["name"], changed.json()["push_enabled"]) == ("letters", False)
    assert Connection.objects.get().account().credentials == {"API_KEY": credentials.KIT_API_KEY}, "kept"

    assert api.delete(one).status_code == 204
    assert not Connection.objects.exists()
    changes = [("connected", "api", "news"), ("changed", "api", "letters"), ("changed", "api", "letters")]
    assert acts() == changes


def test_a_key_is_tried_before_it_takes_the_place_of_another(api: Api, mktg_sandbox: Sandbox, tasks: Tasks) -> None:
    one = f"connections/{api.post('connections/', kit_by_key(mktg_sandbox)).json()['id']}/"

    refused = api.patch(one, {"credentials": {"API_KEY": "wrong"}})
    assert refused.status_code == 400
    assert "refuses these credentials" in refused.json()["detail"]
    assert Connection.objects.get().account().credentials == {"API_KEY": credentials.KIT_API_KEY}

    with mktg_sandbox.locked("kit") as service:
        service._kit.world.account.id = 666  # type: ignore[attr-defined]
    other = api.patch(one, {"credentials": {"API_KEY": credentials.KIT_API_KEY}})
    assert "another account" in other.json()["detail"]


def test_credentials_come_out_nowhere(api: Api, crm: Connection) -> None:
    one = f"connections/{crm.pk}/"
    answers = [api.get("connections/"), api.get(one), api.patch(one, {"push_enabled": False}), api.post(f"{one}pause/")]
    answers += [api.client.options(ROOT + one), api.client.get(ROOT + one, headers={"accept": "text/html"})]
    for answer in answers:
        assert answer.status_code == 200
        assert SECRET not in answer.text


def test_what_settings_declare_is_changed_there(api: Api, connect: Connect, tasks: Tasks) -> None:
    kit = connect("kit")["kit"]
    one = f"connections/{kit.pk}/"
    assert "The settings declare" in api.patch(one, {"name": "other"}).json()["detail"]
    deleted = api.delete(one)
    assert (deleted.status_code, deleted.json()["code"]) == (409, "not_now")


@pytest.mark.parametrize("used", ["contact", "token"])
def test_one_in_use_is_not_deleted_while_somebody_waits(api: Api, crm: Connection, used: str) -> None:
    if used == "contact":
        Contact.objects.create(key=f"{crm.pk}:1", connection=crm, remote_id="1", seen_at=timezone.now())
    else:
        OAuthToken.objects.create(connection=crm, pair={"access_token": "a", "refresh_token": "b"})
    answer = api.delete(f"connections/{crm.pk}/")
    assert answer.status_code == 409
    assert "disconnect it first" in answer.json()["detail"]
    assert Connection.objects.filter(pk=crm.pk).exists()


@pytest.mark.parametrize("options", [{"PROFILE": "a\x00b"}, {"PROFILE": "\ud800"}, {"\ud800": 1}, {"COLOUR": ["\x00"]}])
def test_what_no_database_can_hold_is_refused(api: Api, crm: Connection, options: dict[str, Any]) -> None:
    answer = api.patch(f"connections/{crm.pk}/", {"options": options})
    assert answer.status_code == 400
    assert "cannot be stored" in answer.json()["detail"]


def test_half_a_character_is_refused_in_words(api: Api, crm: Connection) -> None:
    answer = api.patch(f"connections/{crm.pk}/", {"credentials": {"\ud800": "x"}})
    assert answer.status_code == 400
    assert "not known" in answer.json()["errors"]["credentials"][0]


def test_a_key_that_cannot_be_read_can_be_replaced(api: Api, crm: Connection, marketing: Callable[..., None]) -> None:
    marketing(ENCRYPTION_KEYS=["4YkcTnJbTvyU4mQYmB9sR0tHn6u0q3nYy2b1l7m5o8w="])
    one = f"connections/{crm.pk}/"
    assert api.get(one).status_code == 200
    assert api.get("connections/").status_code == 200
    refused = api.patch(one, {"credentials": {"API_KEY": "new"}})
    assert "forget_credentials" in refused.json()["errors"]["credentials"][0]


# What staff may have done


def test_pause_and_resume(api_with: Callable[..., Api], crm: Connection, tasks: Tasks) -> None:
    api = api_with(SYNC)
    assert api.post(f"connections/{crm.pk}/pause/").json()["paused"] is True
    assert api.post(f"connections/{crm.pk}/resume/").json()["paused"] is False
    assert ("drain", (crm.pk,)) in tasks
    assert acts() == [("paused", "api", "crm"), ("resumed", "api", "crm")]


def test_dry_run(api: Api, crm: Connection) -> None:
    assert api.post(f"connections/{crm.pk}/dry-run/", {"on": True}).json()["dry_run"] is True
    assert api.post(f"connections/{crm.pk}/dry-run/").json()["errors"] == {"on": ["This field is required."]}


@pytest.mark.parametrize(
    ("act", "body", "kind"),
    [("push", {}, "push"), ("pull", {"full": True}, "pull"), ("reconcile", {}, "reconcile")],
)
def test_long_work_is_a_run(
    api: Api, connect: Connect, tasks: Tasks, act: str, body: dict[str, Any], kind: str
) -> None:
    kit = connect("kit")["kit"]

    answer = api.post(f"connections/{kit.pk}/{act}/", body)

    run = Run.objects.get()
    url = f"http://testserver{ROOT}runs/{run.pk}/"
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"run": run.pk, "url": url}
    assert answer.headers["Location"] == url
    assert (run.kind, run.requested_by) == (kind, User.objects.get())
    assert (RUN_TASKS[run.kind].rpartition(".")[2], (run.pk,)) in tasks  # type: ignore[index]
    assert api.get(url.removeprefix(f"http://testserver{ROOT}")).json()["state"] == "queued"

    again = api.post(f"connections/{kit.pk}/{act}/", body)
    assert (again.status_code, again.json()["code"]) == (409, "not_now")
    assert f"run {run.pk}" in again.json()["detail"]


def test_a_resource_that_the_provider_does_not_have(api: Api, connect: Connect, tasks: Tasks) -> None:
    kit = connect("kit")["kit"]
    answer = api.post(f"connections/{kit.pk}/pull/", {"resources": ["unicorns"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported")
    assert "unicorns" in answer.json()["detail"]


def test_it_is_tried_out_by_real_calls(
    api_with: Callable[..., Api], connect: Connect, mktg_sandbox: Sandbox, tasks: Tasks
) -> None:
    kit = connect("kit")["kit"]
    api = api_with(CONNECT)
    told = api.post(f"connections/{kit.pk}/test/").json()
    assert told["ok"] is True
    assert {step["ok"] for step in told["steps"]} <= {True, None}

    mktg_sandbox.down("kit")
    told = api.post(f"connections/{kit.pk}/test/").json()
    assert told["ok"] is False
    assert any(step["ok"] is False and step["text"] for step in told["steps"])


def test_disconnect(api: Api, api_with: Callable[..., Api], crm: Connection, tasks: Tasks) -> None:
    answer = api_with(CONNECT).post(f"connections/{crm.pk}/disconnect/", {"delete_mirror": True})
    assert answer.status_code == 403
    assert "permission to delete" in answer.json()["detail"]
    assert tasks == []

    assert api.post(f"connections/{crm.pk}/disconnect/", {"delete_mirror": True}).status_code == 202
    assert tasks == [("disconnect", (crm.pk, 1))]
    assert acts() == [(AuditAction.DISCONNECTED, "api", "crm")]


# Webhooks


def test_webhooks(api: Api, connect: Connect, mktg_sandbox: Sandbox, tasks: Tasks) -> None:
    kit = connect("kit", PUBLIC_URL="http://testserver")["kit"]
    webhooks = f"connections/{kit.pk}/webhooks/"
    assert api.get(webhooks).json() == {"connection": kit.pk, "webhooks": []}

    assert api.post(webhooks).status_code == 202
    assert api.post(f"{webhooks}repair/").status_code == 202
    assert api.delete(webhooks).status_code == 202
    asked = [(name, (kit.pk,)) for name in ("register_webhooks", "repair_webhooks", "remove_webhooks")]
    assert tasks == asked


def test_what_is_missing_at_the_service_is_told(
    api: Api, connect: Connect, mktg_sandbox: Sandbox, tasks: Tasks
) -> None:
    kit = connect("kit", PUBLIC_URL="http://testserver")["kit"]
    WebhookSubscription.objects.create(key=f"{kit.pk}:x", connection=kit, event="subscriber.subscriber_unsubscribe")
    told = api.get(f"connections/{kit.pk}/webhooks/").json()["webhooks"]
    assert [(row["event"], row["registered"]) for row in told] == [("subscriber.subscriber_unsubscribe", False)]

    found = api.post(f"connections/{kit.pk}/webhooks/check/").json()

    assert found == {"registered": [], "missing": ["subscriber.subscriber_unsubscribe"], "superfluous": []}
    assert not [entry for entry in mktg_sandbox.log.entries("kit") if entry.method != "GET"], "asks, and makes nothing"


def test_a_service_without_webhooks(api: Api, connect: Connect, tasks: Tasks) -> None:
    loop = connect("convertloop")["convertloop"]
    answer = api.post(f"connections/{loop.pk}/webhooks/")
    assert (answer.status_code, answer.json()["code"]) == (400, "unsupported")


def test_what_is_left_to_send_is_given_up_before_one_is_deleted(api: Api, crm: Connection) -> None:
    mark(["user:1", "user:2"])
    chosen = {"connection": crm.pk, "reason": "the account is closed"}
    refused = api.post("outbox/discard/", chosen)
    assert (refused.status_code, OutboxRow.objects.count()) == (409, 2)
    Connection.objects.update(push_enabled=False, source="stored")
    kept = api.delete(f"connections/{crm.pk}/")
    assert "outbox/discard/" in kept.json()["detail"]

    assert api.post("outbox/discard/", chosen).json()["count"] == 2

    entry = AuditEntry.objects.get(action="discarded")
    assert entry.detail == {"count": 2, "reason": "the account is closed"}
    assert api.delete(f"connections/{crm.pk}/").status_code == 204
