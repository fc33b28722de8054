"""A pull may take longer than its access token is good for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState, Contact, OAuthToken, WaitReason
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.sandbox.server import Sandbox
from tests.conftest import Told
from tests.oauth.conftest import PUBLIC_URL, app_of, asked, browser, connected, kit  # noqa: F401 (fixtures)
from tests.pull.conftest import Fill, people, tag

CONTACTS = "GET /v4/subscribers"


@pytest.fixture
def refreshable(connected: Connection, fill: Fill) -> Connection:  # noqa: F811
    """A connection made by OAuth an hour ago, to an account of four pages."""
    fill(subscribers=people(3500), tags=[tag(1, "VIP")])
    OAuthToken.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    return connected


def expire(sandbox: Sandbox, *, spent: bool = False) -> None:
    """The service takes none of the access tokens any more that it gave; ``spent``: nor the refresh tokens."""
    world = sandbox.dump()
    for token in world["kit"]["tokens"]:
        token["expires_at"] = 0
        token["refreshed"] = token["refreshed"] or spent
    sandbox.load(world)


def pull_and(connection: Connection, meanwhile: Callable[[], Any]) -> PullReport:
    """Pull contacts; after the first page ``meanwhile`` happens."""
    happens = iter([meanwhile])
    return pull(
        connection.pk,
        resources=["contacts"],
        patient=True,
        on_progress=lambda *told: next(happens, lambda: None)(),
    )


def test_a_token_that_runs_out_between_two_pages_is_refreshed_and_the_page_asked_for_again(
    refreshable: Connection, mktg_sandbox: Sandbox
) -> None:
    report = pull_and(refreshable, lambda: expire(mktg_sandbox))

    assert report.status == "done", report.detail
    assert Contact.objects.count() == 3500
    assert asked(mktg_sandbox, "POST /oauth/token") == 2, "one when it was connected"
    statuses = [entry.status for entry in mktg_sandbox.log.entries("kit") if entry.operation == CONTACTS]
    assert sorted(statuses, key=str) == [200, 200, 200, 200, 401], "four pages, one of them asked for twice"
    assert report.streams["contacts"]["pages"] == 4


def test_a_refresh_that_is_refused_ends_the_pull_keeps_its_pages_and_tells_staff(
    refreshable: Connection, mktg_sandbox: Sandbox, attention: list[Told]
) -> None:
    report = pull_and(refreshable, lambda: expire(mktg_sandbox, spent=True))

    assert report.status == "failed"
    assert "connect the account again" in report.detail
    assert 0 < Contact.objects.count() < 3500
    assert [told.reason for told in attention] == ["reconnect"]
    assert ConnectionState.objects.get().wait_reason == WaitReason.RECONNECT


def test_a_token_that_is_refused_as_soon_as_it_is_given_is_not_refreshed_for_ever(
    refreshable: Connection, mktg_sandbox: Sandbox
) -> None:
    mktg_sandbox.fail("kit", operation=CONTACTS, status=401)

    report = pull(refreshable.pk, resources=["contacts"], patient=True)

    assert report.status == "failed"
    assert asked(mktg_sandbox, "POST /oauth/token") == 2, "one when it was connected"
    assert asked(mktg_sandbox, CONTACTS) == 2


def test_an_app_that_is_refused_ends_the_pull_at_the_first_resource(
    refreshable: Connection, mktg_sandbox: Sandbox, marketing: Callable[..., None]
) -> None:
    """None could be read, so the others are not tried."""
    marketing(OAUTH={"kit": {**app_of(mktg_sandbox), "CLIENT_SECRET": "another"}}, PUBLIC_URL=PUBLIC_URL)
    expire(mktg_sandbox)

    report = pull(refreshable.pk, patient=True)

    assert report.status == "failed"
    assert "CLIENT_ID" in report.detail
    assert list(report.streams) == ["account"]


def test_credentials_that_are_refused_are_told_once_and_forgotten_when_they_work_again(
    refreshable: Connection, mktg_sandbox: Sandbox, attention: list[Told]
) -> None:
    mktg_sandbox.faults.add(service="kit", operation=CONTACTS, effect="status", status=401)
    for _ in range(2):
        assert pull(refreshable.pk, resources=["contacts"], patient=True).status == "failed"

    assert [told.reason for told in attention] == ["reconnect"]
    assert ConnectionState.objects.get(connection=refreshable).wait_reason == WaitReason.RECONNECT

    mktg_sandbox.faults.clear()
    assert pull(refreshable.pk, resources=["contacts"], patient=True).status == "done"
    assert ConnectionState.objects.get(connection=refreshable).wait_reason == WaitReason.NONE
