"""What goes wrong is told by the run; the pages before it are kept, and no wrong row is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, Contact, PullCheckpoint, PullState, Run, Tag
from mktg_integration.pull import fetch
from mktg_integration.pull.engine import pull
from mktg_integration.pull.lease import take_lease
from mktg_integration.sandbox.server import Sandbox
from tests.pull.bending import Bending
from tests.pull.conftest import Fill, Pull, people, tag, tagging
from tests.push.conftest import declared

CONTACTS = "/v4/subscribers"


@pytest.fixture
def bending(kit: Connection, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> Iterator[Bending]:
    """The connection's service, bent."""
    with Bending(mktg_sandbox.kit_url) as bending:
        given = declared(mktg_sandbox, "kit")
        given["kit"]["BASE_URL"] = bending.url
        marketing(CONNECTIONS=given, LIST_LAG_SECONDS=0.0)
        sync_declared()
        yield bending


def on_page(number: int, change: Callable[[Any], None]) -> Any:
    """Changes the n-th page of the contacts' list."""
    pages = iter(range(1, 1000))

    def bend(path: str, query: dict[str, list[str]], answer: Any) -> Any:
        if path == CONTACTS and next(pages) == number:
            change(answer)
        return answer

    return bend


def without_state(answer: Any) -> None:
    del answer["subscribers"][5]["state"]


def unknown_state(answer: Any) -> None:
    answer["subscribers"][5]["state"] = "hibernating"


def no_zone(answer: Any) -> None:
    answer["subscribers"][5]["created_at"] = "2024-03-01T10:00:00"


def not_a_list(answer: Any) -> None:
    answer["subscribers"] = {"id": 1}


def no_cursor(answer: Any) -> None:
    answer["pagination"]["end_cursor"] = None


@pytest.fixture(autouse=True, params=[fetch.SLOW_SECONDS, 0.0], ids=["fast service", "slow service"])
def speed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a slow service the rows are made in another thread."""
    monkeypatch.setattr(fetch, "SLOW_SECONDS", request.param)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without_state, "state"),
        (unknown_state, "state"),
        (no_zone, "created_at is a time without a zone"),
        (not_a_list, "subscribers"),
        (no_cursor, "end_cursor"),
    ],
)
def test_a_bad_page_ends_the_run_and_leaves_the_pages_before(
    change: Callable[[Any], None], said: str, bending: Bending, read: Pull, fill: Fill
) -> None:
    fill(subscribers=people(2500))
    bending.bend = on_page(2, change)

    report = read("contacts")

    assert report.status == "failed"
    assert said in report.detail
    assert "person" not in report.detail, "no address is told"
    assert Contact.objects.count() == 1000
    run = Run.objects.first()
    assert run is not None
    assert (run.status, run.counts["added"]) == ("failed", 1000)


def test_after_a_bad_page_the_next_pull_goes_on_with_that_page(bending: Bending, read: Pull, fill: Fill) -> None:
    fill(subscribers=people(2500))
    bending.bend = on_page(2, unknown_state)
    read("contacts")
    asked: list[str | None] = []

    def watch(path: str, query: dict[str, list[str]], answer: Any) -> Any:
        asked.append(query.get("after", [None])[0])
        return answer

    bending.bend = watch
    report = read("contacts")

    assert report.status == "done"
    assert report.streams["contacts"]["resumed_at"] == 2
    assert len(asked) == 2
    assert None not in asked, "the first page is not asked for again"
    assert Contact.objects.count() == 2500


def test_a_cursor_that_repeats_is_an_error_and_no_loop(bending: Bending, read: Pull, fill: Fill) -> None:
    fill(subscribers=people(3500))
    cursors: list[str] = []

    def circle(path: str, query: dict[str, list[str]], answer: Any) -> Any:
        if path == CONTACTS:
            cursors.append(answer["pagination"]["end_cursor"])
            if len(cursors) == 3:
                answer["pagination"]["end_cursor"] = cursors[0]
        return answer

    bending.bend = circle
    report = read("contacts")

    assert report.status == "failed"
    assert "cursor came for the second time" in report.detail
    assert len(cursors) <= 4
    bending.bend = lambda path, query, answer: answer
    assert read("contacts").status == "done"
    assert Contact.objects.count() == 3500


def test_a_cursor_that_repeats_after_a_pause_is_found_out_too(bending: Bending, read: Pull, fill: Fill) -> None:
    fill(subscribers=people(3500))
    cursors: list[str] = []

    def circle(path: str, query: dict[str, list[str]], answer: Any) -> Any:
        cursors.append(answer["pagination"]["end_cursor"])
        if len(cursors) == 3:
            answer["subscribers"][0]["state"] = "hibernating"
        if len(cursors) == 4:
            answer["pagination"]["end_cursor"] = cursors[0]
        return answer

    bending.bend = circle
    assert "state" in read("contacts").detail

    assert "cursor came for the second time" in read("contacts").detail


def test_a_short_page_is_not_the_end(bending: Bending, read: Pull, fill: Fill) -> None:
    fill(subscribers=people(2500))

    def empty(answer: Any) -> None:
        answer["subscribers"] = []

    bending.bend = on_page(2, empty)

    assert read("contacts").streams["contacts"]["added"] == 1500


def test_a_tag_that_vanishes_between_its_list_and_its_members(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(40), tags=[tag(1, "VIP"), tag(2, "Beta")], taggings=[tagging(2, n) for n in range(1, 41)])
    read("tags", "contacts")
    fill(tags=[tag(2, "Beta")])

    report = read("taggings")
    assert report.status == "failed"
    assert "id 1) vanished" in report.detail

    assert read("taggings").status == "done"
    assert Contact.objects.filter(tags__name="Beta").count() == 40
    assert Tag.objects.get(name="VIP").deleted_at is not None


def test_one_resource_that_fails_keeps_no_other_from_being_read(read: Pull, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(3))
    mktg_sandbox.faults.add(service="kit", operation="GET /v4/forms", effect="status", status=403)

    report = read()

    assert report.status == "failed"
    assert (report.streams["forms"]["state"], report.streams["webhooks"]["state"]) == ("failed", "done")
    assert PullCheckpoint.objects.get(stream="forms").finished_at is None


@pytest.mark.parametrize("effect", ["drop", "truncate", "malformed_json", "status"])
def test_an_answer_that_is_lost_is_asked_for_again(effect: str, read: Pull, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(1500))
    mktg_sandbox.faults.add(service="kit", operation="GET /v4/subscribers", nth=2, effect=effect)

    report = read("contacts")

    assert report.status == "done"
    assert Contact.objects.count() == 1500


def test_a_service_that_is_too_busy_is_waited_for_by_a_task_later(
    kit: Connection, fill: Fill, mktg_sandbox: Sandbox
) -> None:
    fill(subscribers=people(1500))
    mktg_sandbox.faults.add(
        service="kit", operation="GET /v4/subscribers", nth=2, effect="text", status=429, retry_after=7
    )

    report = pull(kit.pk, resources=["contacts"])

    assert (report.status, report.next_in) == ("waiting", 7.0)
    assert Contact.objects.count() == 1000
    again = pull(kit.pk, run_id=report.run_id)
    assert (again.status, again.run_id) == ("done", report.run_id)
    assert Contact.objects.count() == 1500
    assert again.streams["contacts"]["added"] == 1500


def test_two_pulls_of_one_connection_do_not_run_at_once(kit: Connection, read: Pull) -> None:
    lease = take_lease(kit.pk)
    assert lease is not None

    assert read("contacts").status == "busy"

    lease.release()
    assert read("contacts").status == "done"


def test_a_lease_that_was_lost_ends_the_pull(kit: Connection, fill: Fill, marketing: Callable[..., None]) -> None:
    marketing(LEASE_SECONDS=0.0)
    fill(subscribers=people(2500))

    def steal(stream: str, counts: Any) -> None:
        PullState.objects.update(lease_token="somebody else's")

    report = pull(kit.pk, resources=["contacts"], patient=True, on_progress=steal)

    assert report.status == "failed"
    assert "another pull took its place" in report.detail
    assert Contact.objects.count() < 2500


def test_a_long_pull_goes_on_in_further_tasks(kit: Connection, fill: Fill) -> None:
    fill(subscribers=people(5500))
    report = pull(kit.pk, resources=["contacts"], seconds=0.0)
    parts = 1
    while report.status == "running":
        assert report.next_in == 0.0
        report = pull(kit.pk, run_id=report.run_id, seconds=0.05)
        parts += 1

    assert report.status == "done"
    assert parts > 2
    assert report.streams["contacts"]["added"] == 5500
    assert Run.objects.count() == 1
