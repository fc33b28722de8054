"""The pages of runs in the admin: who may see and press what, and what they say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.models import Connection, DeadRow, OutboxRow, Run, RunKind, RunStatus
from mktg_integration.operations import runs
from mktg_integration.running import stalled_after
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill, people
from tests.push.conftest import emails, send
from tests.runs.conftest import COMMAND, Queue
from tests.runs.test_push import make_people

Staff = Callable[..., Client]
SignUp = Callable[..., Any]


def url(name: str, *arguments: Any) -> str:
    return reverse(f"admin:mktg_integration_run_{name}", args=arguments)


def page(client: Client, run: Run) -> str:
    answer = client.get(url("change", run.pk))
    assert answer.status_code == 200
    return answer.content.decode()


def finished(connection: Connection, status: RunStatus, **given: Any) -> Run:
    now = timezone.now()
    values = {"kind": RunKind.PULL, "started_at": now, "finished_at": now, "status": status, **given}
    return Run.objects.create(connection=connection, **values)


def test_a_failed_run_looks_failed_in_the_list_and_on_its_page(kit: Connection, staff: Staff) -> None:
    run = finished(kit, RunStatus.FAILED, detail="contacts: no answer")
    client = staff()

    listed = client.get(url("changelist")).content.decode()

    assert '<span class="mktg-run mktg-run-failed">failed</span>' in listed
    assert "contacts: no answer" in listed
    assert "mktg-run-failed" in page(client, run)


def test_a_run_whose_process_died_looks_failed(kit: Connection, staff: Staff) -> None:
    moved = timezone.now() - stalled_after() - timedelta(seconds=5)
    run = finished(kit, RunStatus.RUNNING, finished_at=None, moved_at=moved, counts={"asked": {}})

    text = page(staff("sync_people"), run)

    assert "failed: no sign of life" in text
    assert url("resume", run.pk) in text


def test_a_pull_is_started_followed_and_ends(
    kit: Connection, staff: Staff, queue: Queue, fill: Fill, mktg_sandbox: Sandbox
) -> None:
    fill(subscribers=people(1500))
    client = staff("sync_people")

    answer = client.post(url("start"), {"connection": kit.pk, "kind": "pull", "resources": ["contacts"]})

    run = Run.objects.get()
    assert answer.headers["Location"] == url("change", run.pk)
    assert (run.status, run.requested_by) == (RunStatus.RUNNING, get_user_model().objects.get())
    text = page(client, run)
    assert 'aria-live="polite"' in text
    assert "mktg_integration/run.js" in text
    assert url("cancel", run.pk) in text
    assert client.get(url("progress", run.pk)).json()["state"] == "queued"
    queue.all()
    told = client.get(url("progress", run.pk)).json()
    assert (told["state"], told["is_over"], told["share"], told["done"]) == ("done", True, 100, 1500)
    assert [stream["name"] for stream in told["streams"]] == ["contacts"]
    assert {"name": "added", "label": "added", "count": 1500} in told["counts"]
    text = page(client, run)
    assert "run.js" not in text, "a run that is over is not polled"
    assert url("cancel", run.pk) not in text


def test_a_second_start_says_which_run_is_at_work(kit: Connection, staff: Staff, queue: Queue) -> None:
    client = staff("sync_people")
    for _ in range(2):
        answer = client.post(url("start"), {"connection": kit.pk, "kind": "pull"}, follow=True)
    run = Run.objects.get()
    assert f"is at work already: run {run.pk}" in answer.content.decode()


def test_cancel_and_resume_by_their_buttons(kit: Connection, staff: Staff, queue: Queue, fill: Fill) -> None:
    fill(subscribers=people(3))
    client = staff("sync_people")
    client.post(url("start"), {"connection": kit.pk, "kind": "pull", "resources": ["contacts"]})
    run = Run.objects.get()

    client.post(url("cancel", run.pk))
    assert "cancelled" in page(client, run)
    client.post(url("resume", run.pk))
    queue.all()

    run.refresh_from_db()
    assert run.status == RunStatus.DONE


def test_a_preview_is_confirmed_ten_first_and_then_the_rest(
    kit: Connection, staff: Staff, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    make_people(25)
    client = staff("sync_people")
    client.post(url("start"), {"connection": kit.pk, "kind": "reconcile"})
    queue.all()
    preview = Run.objects.get()
    text = page(client, preview)
    assert "Something would be sent of 25 people. Nothing was sent so far." in text
    assert "Send 10 people first" in text
    assert mktg_sandbox.log.entries() == []

    client.post(url("confirm", preview.pk), {"canary": "1"})
    queue.all()
    send(kit)
    assert len(emails(mktg_sandbox, "kit")) == 10
    canary = Run.objects.get(is_preview=False, kind=RunKind.RECONCILE)
    text = page(client, canary)
    assert "The first few people" in text
    assert url("change", preview.pk) in text

    client.post(url("confirm", preview.pk))
    queue.all()
    send(kit)
    assert len(emails(mktg_sandbox, "kit")) == 25
    text = page(client, preview)
    assert "This preview was confirmed." in text
    assert url("confirm", preview.pk) not in text


def test_discard_ends_a_preview(kit: Connection, staff: Staff, queue: Queue) -> None:
    make_people(1)
    preview = runs.start_reconcile(COMMAND, kit)
    queue.all()
    client = staff("sync_people")

    client.post(url("discard", preview.pk))

    assert "This preview was discarded." in page(client, preview)


def test_examples_show_fields_and_are_masked_without_the_permission(
    kit: Connection, staff: Staff, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    ada = sign_up("ada", plan="gold")
    send(kit)
    get_user_model().objects.filter(pk=ada.pk).update(first_name="Countess")
    preview = runs.start_reconcile(COMMAND, kit)
    queue.all()

    assert "Countess" in page(staff("view_personal_data"), preview)
    masked = page(staff(), preview)
    assert "Countess" not in masked
    assert "ada@example.com" not in masked
    assert f"user:{ada.pk}" in masked


def test_a_contact_that_is_nobodys_is_extra_and_masked(
    kit: Connection, staff: Staff, queue: Queue, fill: Fill, mktg_sandbox: Sandbox
) -> None:
    fill(subscribers=people(2))
    runs.start_pull(COMMAND, kit, ["contacts"])
    queue.all()
    preview = runs.start_reconcile(COMMAND, kit)
    queue.all()

    assert "person1@example.com" in page(staff("view_personal_data"), preview)
    text = page(staff(), preview)
    assert "extra: contacts at the service that are nobody&#x27;s here: 2" in text
    assert "person1@example.com" not in text


def held(connection: Connection, number: int) -> None:
    now = timezone.now()
    DeadRow.objects.bulk_create(
        DeadRow(
            key=f"{connection.pk}:profile:user:{n}", connection=connection, kind="profile", subject=f"user:{n}",
            state="held", code="mass_unsubscribe", reason="too many", marked_at=now, died_at=now,
        )
        for n in range(90_001, 90_001 + number)
    )  # fmt: skip


def test_mass_unsubscribes_wait_here_and_are_confirmed_here(kit: Connection, staff: Staff, queue: Queue) -> None:
    held(kit, 3)
    text = staff().get(url("reconciles")).content.decode()
    assert "3 people would be unsubscribed or erased" in text
    assert url("held", kit.pk) not in text

    staff("replay_rows").post(url("held", kit.pk))

    assert not DeadRow.objects.exists()
    assert OutboxRow.objects.filter(subject__startswith="user:9000").count() == 3


def test_every_connection_has_its_last_preview(kit: Connection, staff: Staff, queue: Queue) -> None:
    make_people(2)
    preview = runs.start_reconcile(COMMAND, kit)
    queue.all()

    text = staff("sync_people").get(url("reconciles")).content.decode()

    assert url("change", preview.pk) in text
    assert "Preview kit" in text


BUTTONS = ["start", "cancel", "resume", "confirm", "discard", "held"]


@pytest.mark.parametrize("name", BUTTONS)
def test_a_button_needs_its_permission_and_a_post(kit: Connection, staff: Staff, queue: Queue, name: str) -> None:
    run = runs.start_reconcile(COMMAND, kit)
    queue.tasks.clear()
    address = url(name, *([] if name == "start" else [kit.pk if name == "held" else run.pk]))
    given = {"connection": kit.pk, "kind": "pull"}

    assert staff().post(address, given).status_code == 403
    assert staff("sync_people", "replay_rows").get(address).status_code == 405
    assert Client().post(address, given).status_code == 302, "to the login"
    assert queue.tasks == []


def test_pages_need_the_permission_to_look(kit: Connection, queue: Queue) -> None:
    run = runs.start_reconcile(COMMAND, kit)
    client = Client()
    client.force_login(get_user_model().objects.create(username="nobody", is_staff=True))
    for address in (url("changelist"), url("change", run.pk), url("progress", run.pk), url("reconciles")):
        assert client.get(address).status_code == 403, address


def test_actions_of_the_connection_list_start_runs(kit: Connection, staff: Staff, queue: Queue) -> None:
    client = staff("sync_people")
    for action in ("start_pull", "start_reconcile", "push_everybody"):
        chosen = {"action": action, "_selected_action": [kit.pk]}
        answer = client.post(reverse("admin:mktg_integration_connection_changelist"), chosen)
        assert answer.status_code == 302, action
        assert answer.headers["Location"] == url("change", Run.objects.latest("pk").pk)
    assert queue.paths() == ["pull_on", "reconcile_run", "push_run"]


def test_a_page_costs_the_same_statements_however_much_was_found(
    kit: Connection, staff: Staff, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    client = staff("view_personal_data", "sync_people")

    def statements(number: int) -> int:
        get_user_model().objects.exclude(is_staff=True).delete()
        make_people(number)
        run = runs.start_reconcile(COMMAND, kit)
        queue.all()
        page(client, run)
        with CaptureQueriesContext(database) as captured:
            page(client, run)
        return len(captured)

    assert statements(30) <= statements(5)
