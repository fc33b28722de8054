"""The app's own page: how connections are, told from what happened; the same few statements however much there is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import Permission, User
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils import timezone

from mktg_integration.admin.connections import ConnectionAdmin
from mktg_integration.background.q2 import install_schedules
from mktg_integration.insight.counting import bounded_counts
from mktg_integration.insight.health import Health, HealthState, healths
from mktg_integration.models import (
    Connection,
    ConnectionState,
    DeadKind,
    Heartbeat,
    Lane,
    OAuthToken,
    OutboxRow,
    RateSlot,
    Run,
    RunKind,
    RunStatus,
    WaitReason,
)
from mktg_integration.rates import LONG_AGO, bucket_for
from tests.admin.conftest import SECRET
from tests.admin.test_lists import add_dead, add_row

HOME = reverse("admin:app_list", args=["mktg_integration"])
HOUR = timedelta(hours=1)


@pytest.fixture
def working(connection: Connection) -> Connection:
    """A connection over which a call went well a minute ago, on a site whose workers run."""
    install_schedules()
    Heartbeat.objects.update_or_create(name="worker", defaults={"at": timezone.now()})
    ConnectionState.objects.update(last_success_at=timezone.now() - timedelta(minutes=1))
    return connection


def health_of(connection: Connection) -> Health:
    (health,) = healths([Connection.objects.defer("credentials").get(pk=connection.pk)])
    return health


def waits(reason: WaitReason, until: timedelta = HOUR, detail: str = "") -> None:
    ConnectionState.objects.update(wait_reason=reason, wait_until=timezone.now() + until, wait_detail=detail)


def add_run(connection: Connection, kind: RunKind, status: RunStatus, detail: str = "") -> Run:
    now = timezone.now()
    return Run.objects.create(
        connection=connection, kind=kind, status=status, started_at=now, finished_at=now, detail=detail
    )


# The one word


def test_healthy_is_who_was_called_with_success(working: Connection) -> None:
    health = health_of(working)
    assert (health.state, health.needs_person) == (HealthState.HEALTHY, False)
    assert health.reason == "The last call went well: 1\xa0minute ago."


def test_credentials_alone_make_nobody_healthy(working: Connection) -> None:
    ConnectionState.objects.update(last_success_at=None)
    assert health_of(working).state is HealthState.NEW


def test_a_pull_is_a_call_too(working: Connection) -> None:
    ConnectionState.objects.update(last_success_at=None)
    add_run(working, RunKind.PULL, RunStatus.DONE)
    assert health_of(working).state is HealthState.HEALTHY


def test_the_last_call_decides(working: Connection) -> None:
    ConnectionState.objects.update(last_failure_at=timezone.now())
    assert health_of(working).state is HealthState.DEGRADED
    ConnectionState.objects.update(last_success_at=timezone.now())
    assert health_of(working).state is HealthState.HEALTHY


def pushed(connection: Connection, *, codes: dict[str, int], ago: timedelta = timedelta(0), **counts: Any) -> None:
    at = timezone.now() - ago
    told = {**counts, "rejected": sum(codes.values()), "reasons": codes}
    Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=at, finished_at=at, counts=told)


def test_a_push_of_which_nothing_was_taken_is_not_well(working: Connection) -> None:
    add_dead(working, 1, DeadKind.REJECTED)
    pushed(working, codes={"mapping_failed": 3}, done=0)
    health = health_of(working)
    assert (health.state, health.detail) == (HealthState.DEGRADED, "mapping_failed")
    assert health.reason == "Nothing of the last push was taken: 3 rows were rejected."
    assert "Have a developer correct it" in health.todo
    pushed(working, codes={"invalid_email": 1}, done=3)
    assert health_of(working).state is HealthState.HEALTHY


def test_one_persons_bad_data_is_no_trouble_of_the_connection(working: Connection) -> None:
    add_dead(working, 1, DeadKind.REJECTED)
    pushed(working, codes={"invalid_email": 1}, done=0)
    assert health_of(working).state is HealthState.HEALTHY
    for _ in range(2):
        pushed(working, codes={"invalid_email": 1}, done=0)
    assert health_of(working).state is HealthState.DEGRADED, "three, and nobody who arrived between them"


def test_what_was_rejected_before_any_call_is_not_new(working: Connection) -> None:
    ConnectionState.objects.update(last_success_at=None)
    add_dead(working, 1, DeadKind.REJECTED)
    pushed(working, codes={"mapping_failed": 3}, done=0)
    assert health_of(working).state is HealthState.DEGRADED


def test_a_push_that_staff_asked_for_counts_too(working: Connection) -> None:
    add_dead(working, 1, DeadKind.REJECTED)
    run = add_run(working, RunKind.PUSH, RunStatus.DONE)
    run.counts, run.errors = {"sent": 0, "rejected": 3}, [{"code": "invalid_email"}]
    run.save()
    health = health_of(working)
    assert (health.state, health.detail) == (HealthState.DEGRADED, "invalid_email")


def test_rejected_rows_that_staff_dealt_with_are_no_trouble(working: Connection) -> None:
    pushed(working, codes={"mapping_failed": 3}, done=0)
    assert health_of(working).state is HealthState.HEALTHY


def test_many_rejections_for_one_reason_are_not_well(working: Connection) -> None:
    add_dead(working, 1, DeadKind.REJECTED)
    pushed(working, codes={"invalid_custom_field": 15}, done=20, ago=2 * HOUR)
    pushed(working, codes={"invalid_custom_field": 15, "invalid_email": 1}, done=20, ago=HOUR)
    pushed(working, codes={}, done=1)
    health = health_of(working)
    assert (health.state, health.detail) == (HealthState.DEGRADED, "invalid_custom_field")
    assert health.reason == "Of what was sent lately, 30 rows were rejected for one reason."


@pytest.mark.parametrize(("done", "ago"), [(20_000, HOUR), (20, 48 * HOUR)], ids=["few of many", "long ago"])
def test_some_bad_addresses_are_no_trouble_of_the_connection(working: Connection, done: int, ago: timedelta) -> None:
    add_dead(working, 1, DeadKind.REJECTED)
    pushed(working, codes={"invalid_email": 30}, done=done, ago=ago)
    assert health_of(working).state is HealthState.HEALTHY


def test_without_workers_nothing_is_healthy(working: Connection) -> None:
    Heartbeat.objects.update(at=timezone.now() - HOUR)
    health = health_of(working)
    assert (health.state, health.reason) == (
        HealthState.DEGRADED,
        "No worker is running, so nothing is sent or read.",
    )


def test_a_dead_token_is_not_connected(working: Connection) -> None:
    OAuthToken.objects.create(connection=working, refused_at=timezone.now())
    assert (health_of(working).state, health_of(working).needs_person) == (HealthState.RECONNECT, True)


def test_a_token_that_nobody_refreshed_is_told(working: Connection) -> None:
    OAuthToken.objects.create(connection=working, expires_at=timezone.now() - HOUR)
    assert health_of(working).state is HealthState.DEGRADED


def test_reconnect_lasts_until_somebody_has_reconnected(working: Connection) -> None:
    waits(WaitReason.RECONNECT, until=-HOUR, detail="kit: GET /v4/account, status 401")
    health = health_of(working)
    assert (health.state, health.detail) == (HealthState.RECONNECT, "kit: GET /v4/account, status 401")


@pytest.mark.parametrize(
    ("reason", "needs_person"),
    [(WaitReason.RATE, False), (WaitReason.OUTAGE, False), (WaitReason.FORBIDDEN, True), (WaitReason.COPY, True)],
)
def test_who_waits_says_why(working: Connection, reason: WaitReason, needs_person: bool) -> None:
    waits(reason)
    health = health_of(working)
    assert (health.state, health.needs_person, bool(health.todo)) == (HealthState.WAITING, needs_person, needs_person)
    assert health.waits_until is not None


def test_a_wait_that_is_over_is_none(working: Connection) -> None:
    waits(WaitReason.RATE, until=-HOUR)
    assert health_of(working).state is HealthState.HEALTHY


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"paused": True}, HealthState.PAUSED),
        ({"dry_run": True}, HealthState.PAUSED),
        ({"push_enabled": False}, HealthState.OFF),
        ({"undeclared": True, "push_enabled": False}, HealthState.OFF),
    ],
)
def test_what_staff_switched_is_told_first(working: Connection, change: dict[str, Any], state: HealthState) -> None:
    waits(WaitReason.OUTAGE)
    Connection.objects.update(**change)
    assert health_of(working).state is state


def test_a_failed_pull_and_what_waits_for_a_person_are_degraded(working: Connection) -> None:
    run = add_run(working, RunKind.PULL, RunStatus.FAILED, detail="the cursor repeats")
    ConnectionState.objects.update(last_success_at=timezone.now() + HOUR)
    assert (health_of(working).state, health_of(working).detail) == (HealthState.DEGRADED, "the cursor repeats")
    run.delete()
    add_dead(working, 1)
    assert health_of(working).state is HealthState.HEALTHY
    add_dead(working, 2, DeadKind.HELD)
    assert health_of(working).state is HealthState.DEGRADED


def test_the_outbox_is_told_by_lane_with_its_age(working: Connection) -> None:
    for number, lane in enumerate([Lane.URGENT, Lane.LIVE, Lane.LIVE]):
        add_row(working, number)
        OutboxRow.objects.filter(subject=f"user:{number}").update(lane=lane)
    assert health_of(working).oldest_seconds is None
    OutboxRow.objects.filter(subject="user:1").update(due_at=timezone.now() - HOUR)
    health = health_of(working)
    assert health.outbox == {"urgent": 1, "live": 2, "backfill": 0}
    assert health.oldest_seconds == pytest.approx(3600, abs=30)
    assert health.state is HealthState.DEGRADED


def test_the_share_of_the_rate_is_told(working: Connection) -> None:
    Connection.objects.update(stored_options={"REQUESTS_PER_SECOND": 4})
    row = Connection.objects.get()
    bucket = bucket_for(row.account(), row.driver)
    for number in range(4):
        at = timezone.now() + HOUR if number == 0 else LONG_AGO
        RateSlot.objects.create(key=f"{bucket}:{number}", bucket=bucket, free_at=at)
    assert health_of(working).rate_used == 0.25


def test_a_key_that_is_lost_hides_nobody(working: Connection, marketing: Any, staff: Client) -> None:
    marketing(ENCRYPTION_KEYS=["cHJvYmFibHkgbm90IHRoZSBrZXkgeW91IHdhbnQhISE="])
    assert health_of(working).rate_used is None
    assert staff.get(HOME).status_code == 200


# The page


def test_the_home_shows_each_connection_and_no_secret(staff: Client, working: Connection) -> None:
    text = staff.get(HOME).text
    assert ">crm</a>" in text
    assert "healthy" in text
    assert SECRET not in text
    assert "No worker has run" not in text


def test_the_home_warns_of_workers_schedules_and_pushing(staff: Client, connection: Connection, marketing: Any) -> None:
    marketing(PUSH=False, TASK_ENGINE="django-q2")
    text = staff.get(HOME).text
    for told in ("No worker has run a scheduled task yet", "python manage.py qcluster", "Schedules are missing",
                 "python manage.py mktg_schedule", "Pushing is switched off"):  # fmt: skip
        assert told in text, told


def test_a_silent_worker_is_told_of(staff: Client, working: Connection, marketing: Any) -> None:
    Heartbeat.objects.update(at=timezone.now() - HOUR)
    assert "No worker has run a scheduled task for 1\xa0hour" in staff.get(HOME).text
    marketing(HEARTBEAT_SECONDS=7200)
    assert "No worker has run" not in staff.get(HOME).text


def test_rejected_rows_are_linked(staff: Client, working: Connection) -> None:
    add_dead(working, 1)
    link = f"{reverse('admin:mktg_integration_deadrow_changelist')}?connection__id__exact={working.pk}"
    assert f'href="{link}"' in staff.get(HOME).text
    assert staff.get(link).status_code == 200


def test_providers_with_an_app_have_a_connect_button(staff: Client, working: Connection, marketing: Any) -> None:
    marketing(OAUTH={"kit": {"CLIENT_ID": "app", "CLIENT_SECRET": "secret"}})
    assert "Connect Kit" in staff.get(HOME).text


def statements(client: Client) -> list[str]:
    with CaptureQueriesContext(database) as captured:
        assert client.get(HOME).status_code == 200
    return [query["sql"] for query in captured]


def test_the_home_costs_the_same_for_five_connections_as_for_one(staff: Client, working: Connection) -> None:
    def add_connections(*names: str) -> None:
        for name in names:
            other = Connection(name=name, provider="kit")
            other.credentials = {"API_KEY": name}
            other.save()
            OAuthToken.objects.create(connection=other, expires_at=timezone.now() + HOUR)
            add_run(other, RunKind.PULL, RunStatus.DONE)

    add_connections("first")
    with_one = statements(staff)
    add_connections("second", "third", "fourth", "fifth")
    assert len(statements(staff)) == len(with_one) <= 20


def test_the_home_counts_no_table_as_a_whole(staff: Client, working: Connection) -> None:
    ours = [sql for sql in statements(staff) if "mktg_integration_" in sql]
    counting = [sql for sql in ours if "COUNT(" in sql and "rateslot" not in sql]
    assert counting
    for sql in counting:
        assert sql.count("COUNT(") == sql.count("LIMIT 1000"), sql
    assert not [sql for sql in ours if "mktg_integration_contact" in sql]


def test_counts_end_at_their_bound(working: Connection) -> None:
    for number in range(5):
        add_row(working, number)
    rows = OutboxRow.objects.filter(connection=working)
    assert bounded_counts([rows, rows.filter(lane=Lane.URGENT)], bound=3) == [3, 0]
    assert bounded_counts([rows] * 250, bound=9) == [5] * 250


def test_who_may_not_see_connections_sees_none(working: Connection) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_run"))
    client = Client()
    client.force_login(user)
    text = client.get(HOME).text
    assert "crm" not in text
    assert reverse("admin:mktg_integration_run_changelist") in text
    assert reverse("admin:mktg_integration_contact_changelist") not in text


def test_who_may_only_look_gets_no_buttons(working: Connection) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_connection"))
    client = Client()
    client.force_login(user)
    text = client.get(HOME).text
    assert "crm" in text
    assert 'name="act"' not in text
    assert reverse("admin:mktg_integration_connection_test", args=[working.pk]) not in text


# In another admin site

other_site = AdminSite(name="office")
other_site.register(Connection, ConnectionAdmin)
urlpatterns = [
    path("admin/", include("tests.urls")),
    path("office/", other_site.urls),
]


@pytest.fixture
def office(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__


@pytest.mark.usefixtures("office")
def test_the_home_is_in_any_admin_site(staff: Client, working: Connection) -> None:
    text = staff.get("/office/mktg_integration/").text
    assert f'href="/office/mktg_integration/connection/{working.pk}/change/"' in text
    assert f'action="/office/mktg_integration/connection/{working.pk}/act/"' in text
    page = staff.get(f"/office/mktg_integration/connection/{working.pk}/change/")
    assert page.status_code == 200
