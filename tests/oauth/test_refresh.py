"""Tokens that run out, are refused, or belong to somebody else's copy of the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import TextField, Value
from django.utils import timezone

from mktg_integration import rates, tasks
from mktg_integration.connections import bind, open_client
from mktg_integration.exceptions import Action, ConfigurationError, CopyError, ServiceError
from mktg_integration.models import Connection, ConnectionState, Contact, OAuthToken, OutboxRow, RunStatus, WaitReason
from mktg_integration.models.leases import take_row_lease
from mktg_integration.oauth.disconnect import disconnect
from mktg_integration.pull.engine import pull
from mktg_integration.push.drain import drain
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from mktg_integration.tokens import HeldTokens, refresh
from tests.conftest import Told
from tests.oauth.conftest import Browser, asked, declare, set_kit


def expire(connection: Connection) -> None:
    """The access token has run out, as this site knows."""
    past = timezone.now() - timedelta(hours=1)
    OAuthToken.objects.filter(pk=connection.pk).update(issued_at=past - timedelta(hours=1), expires_at=past)


def revoke_access(sandbox: Sandbox) -> None:
    """The service takes no access token that it has issued so far, and this site does not know."""
    world = sandbox.dump()
    for token in world["kit"]["tokens"]:
        token["expires_at"] = 0
    sandbox.load(world)


def spend_refresh_tokens(sandbox: Sandbox) -> None:
    world = sandbox.dump()
    for token in world["kit"]["tokens"]:
        token["refreshed"] = True
        token["expires_at"] = 0
    sandbox.load(world)


def account_of(connection: Connection) -> Any:
    fresh = Connection.objects.get(pk=connection.pk)
    return open_client(fresh).client.get_account()


def sign_up(name: str) -> Any:
    return get_user_model().objects.create_user(name, f"{name}@example.com")


def test_it_is_refreshed_before_it_runs_out(connected: Connection, kit: Sandbox) -> None:
    before = connected.account().credentials
    now = timezone.now()
    OAuthToken.objects.update(issued_at=now - timedelta(hours=2), expires_at=now + timedelta(minutes=5))

    account_of(connected)

    after = Connection.objects.get().account().credentials
    assert before["ACCESS_TOKEN"] != after["ACCESS_TOKEN"]
    assert before["REFRESH_TOKEN"] != after["REFRESH_TOKEN"]
    assert not kit.undocumented()
    assert kit.stats()["kit"]["service"]["unauthorized"] == {}, "no request was made with a token that had run out"


def test_a_good_one_is_left_alone(connected: Connection, kit: Sandbox) -> None:
    account_of(connected)
    assert asked(kit, "POST /oauth/token") == 1


def test_a_short_lived_one_is_not_refreshed_with_every_call(browser: Browser, kit: Sandbox) -> None:
    set_kit(kit, token_lifetime=60)
    browser.connect()
    connection = Connection.objects.get()
    for _ in range(3):
        account_of(connection)
    assert asked(kit, "POST /oauth/token") == 1


def test_a_401_leads_to_a_refresh_and_the_request_is_repeated(connected: Connection, kit: Sandbox) -> None:
    OAuthToken.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    revoke_access(kit)

    assert account_of(connected).account.name
    assert asked(kit, "POST /oauth/token") == 2


def test_a_drain_refreshes_in_its_own_thread_and_goes_on(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    """The calls of a drain are made by a pool's threads, which must not touch the database."""
    marketing(UNKNOWN_CONSENT="granted")
    OAuthToken.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    revoke_access(kit)
    sign_up("ada")

    report = drain(connected.pk, foreground=True)

    assert (report.done, report.waiting) == (1, "")
    assert [row["email"] for row in kit.people("kit")] == ["ada@example.com"]
    assert asked(kit, "POST /oauth/token") == 2


def test_a_drain_whose_token_runs_out_between_two_batches(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    marketing(UNKNOWN_CONSENT="granted", CLAIM_SIZE=1)
    OAuthToken.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    sign_up("ada")
    sign_up("bob")
    kit.fail("kit", operation="POST /v4/bulk/subscribers", status=401, times=1)

    report = drain(connected.pk, foreground=True)

    assert (report.done, report.waiting) == (2, "")
    assert len(kit.people("kit")) == 2


def test_a_token_that_is_refused_at_once_is_not_refreshed_for_ever(connected: Connection, kit: Sandbox) -> None:
    OAuthToken.objects.update(issued_at=timezone.now() - timedelta(hours=1))
    kit.fail("kit", operation="GET /v4/account", status=401)

    with pytest.raises(ServiceError) as raised:
        account_of(connected)
    assert raised.value.action is Action.RECONNECT
    assert asked(kit, "POST /oauth/token") == 2


def test_a_refused_refresh_marks_the_connection_once_and_keeps_the_outbox(
    connected: Connection, kit: Sandbox, attention: list[Told], marketing: Callable[..., None]
) -> None:
    marketing(UNKNOWN_CONSENT="granted")
    spend_refresh_tokens(kit)
    expire(connected)
    sign_up("ada")

    for _ in range(3):
        report = drain(connected.pk, foreground=True)
        assert report.waiting == WaitReason.RECONNECT

    assert [(told.connection, told.reason) for told in attention] == [("kit", "reconnect")]
    assert OutboxRow.objects.count() == 1
    assert ConnectionState.objects.get().wait_reason == WaitReason.RECONNECT
    assert asked(kit, "POST /oauth/token") == 2, "a refused refresh token is not sent again"


def test_what_waited_is_sent_once_it_is_connected_again(
    browser: Browser, connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    marketing(UNKNOWN_CONSENT="granted")
    spend_refresh_tokens(kit)
    expire(connected)
    sign_up("ada")
    drain(connected.pk)

    browser.connect(connection="kit")

    assert drain(connected.pk).done == 1
    assert [row["email"] for row in kit.people("kit")] == ["ada@example.com"]


def test_a_lost_answer_says_so_when_the_next_refresh_is_refused(connected: Connection, kit: Sandbox) -> None:
    expire(connected)
    kit.fail("kit", "drop", operation="POST /oauth/token", times=1, after_work=True)
    with pytest.raises(ServiceError) as lost:
        account_of(connected)
    assert lost.value.action is Action.RETRY

    with pytest.raises(ServiceError) as refused:
        account_of(connected)
    assert refused.value.action is Action.RECONNECT
    assert "not answered or not saved" in str(refused.value)


def test_an_outage_of_the_token_endpoint_costs_nothing(connected: Connection, kit: Sandbox) -> None:
    expire(connected)
    kit.fail("kit", operation="POST /oauth/token", status=503, times=1)
    with pytest.raises(ServiceError) as raised:
        account_of(connected)
    assert raised.value.action is Action.RETRY
    assert OAuthToken.objects.get().asked_at is None

    assert account_of(connected).account.name


def test_a_wrong_secret_is_the_sites_mistake_and_no_reason_to_reconnect(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None], settings: Any
) -> None:
    app = settings.MKTG_INTEGRATION["OAUTH"]["kit"]
    expire(connected)
    marketing(OAUTH={"kit": {**app, "CLIENT_SECRET": "wrong"}})
    with pytest.raises(ConfigurationError, match="CLIENT_SECRET"):
        account_of(connected)

    marketing(OAUTH={"kit": app})
    assert account_of(connected).account.name


def meanwhile(connection: Connection, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Have ``act`` happen between the service's answer to the next refresh and its being saved."""
    provider = type(connection.driver)
    original = provider.oauth_client

    def slow_client(self: Any, **given: Any) -> Any:
        client = original(self, **given)
        ask = client.refresh

        def refresh_slowly(token: str) -> Any:
            monkeypatch.setattr(provider, "oauth_client", original)
            pair = ask(token)
            act()
            return pair

        client.refresh = refresh_slowly
        return client

    monkeypatch.setattr(provider, "oauth_client", slow_client)


def test_a_person_who_disconnects_during_a_refresh_leaves_no_token_anywhere(
    connected: Connection, kit: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(connected)
    meanwhile(connected, monkeypatch, lambda: disconnect(Connection.objects.get()))

    with pytest.raises(ServiceError, match="connect the account again"):
        refresh(connected, connected.driver)

    assert OAuthToken.objects.get().pair == {}
    assert all(token["revoked"] for token in kit.dump()["kit"]["tokens"])


def test_a_person_who_connects_during_a_refresh_wins(
    browser: Browser, connected: Connection, kit: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire(connected)
    driver = connected.driver
    meanwhile(connected, monkeypatch, lambda: browser.connect(connection="kit"))
    row = refresh(connected, driver)

    assert row.pair == OAuthToken.objects.get().pair
    newest = max(kit.dump()["kit"]["tokens"], key=lambda token: token["created_at"])
    assert row.pair["access_token"] == newest["access_token"]


def test_the_lease_of_a_process_that_died_runs_out(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    expire(connected)
    lease = take_row_lease(OAuthToken, connected.pk, 0.3)
    assert lease is not None
    assert account_of(connected).account.name


def test_whoever_waits_too_long_tries_later(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    marketing(CALL_SECONDS=0.3, CONNECT_SECONDS=0.1)
    expire(connected)
    take_row_lease(OAuthToken, connected.pk, 60)
    with pytest.raises(ServiceError) as raised:
        refresh(connected, connected.driver)
    assert (raised.value.action, raised.value.code) == (Action.RETRY, "refresh_in_progress")


@pytest.mark.django_db(transaction=True)
def test_a_refresh_does_not_begin_in_a_transaction(connected: Connection, kit: Sandbox) -> None:
    """A rollback would lose the pair that the service has given."""
    expire(connected)
    with transaction.atomic(), pytest.raises(RuntimeError):
        account_of(connected)
    assert asked(kit, "POST /oauth/token") == 1


def test_pool_threads_read_and_never_ask(connected: Connection, django_assert_num_queries: Any) -> None:
    held = HeldTokens(connected, connected.driver, "old")
    with django_assert_num_queries(0):
        assert held.token() == "old"
        assert not held.refused("old")
        assert held.refused("older")
    assert "old" not in repr(held)


def test_a_refreshed_token_goes_on_in_the_same_window_of_the_rate(connected: Connection, kit: Sandbox) -> None:
    driver = connected.driver
    before = rates.bucket_for(connected.account(), driver)
    expire(connected)
    account_of(connected)
    assert rates.bucket_for(Connection.objects.get().account(), driver) == before


def test_a_pull_refreshes_before_it_begins(connected: Connection, kit: Sandbox) -> None:
    expire(connected)
    revoke_access(kit)
    assert pull(connected.pk, resources=["tags"]).status == RunStatus.DONE
    assert asked(kit, "POST /oauth/token") == 2


def test_a_pull_without_a_good_token_fails_and_says_why(connected: Connection, kit: Sandbox) -> None:
    spend_refresh_tokens(kit)
    expire(connected)
    report = pull(connected.pk, resources=["tags"])
    assert report.status == RunStatus.FAILED
    assert "connect the account again" in report.detail


# Idle connections


def test_idle_connections_are_refreshed_by_the_schedule(connected: Connection, kit: Sandbox) -> None:
    before = connected.account().credentials
    tasks.refresh_tokens()
    assert asked(kit, "POST /oauth/token") == 1, "not before it is due"

    expire(connected)
    tasks.refresh_tokens()
    assert Connection.objects.get().account().credentials != before


def test_a_token_that_no_key_reads_keeps_no_other_from_being_refreshed(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    lost = Connection.objects.create(name="a lost one", provider="kit")
    OAuthToken.objects.create(connection=lost, pair={"refresh_token": "r"}, version=1)
    foreign = Fernet(Fernet.generate_key()).encrypt(b"{}").decode()
    OAuthToken.objects.filter(pk=lost.pk).update(pair=Value(foreign, output_field=TextField()))
    for connection in (lost, connected):
        expire(connection)

    tasks.refresh_tokens()

    assert asked(kit, "POST /oauth/token") == 2
    assert "a lost one: its token was not refreshed" in caplog.text


def test_the_schedule_leaves_refused_and_disconnected_ones_alone(connected: Connection, kit: Sandbox) -> None:
    expire(connected)
    OAuthToken.objects.update(refused_at=timezone.now())
    tasks.refresh_tokens()
    assert asked(kit, "POST /oauth/token") == 1


# In settings


def first_pair(sandbox: Sandbox) -> dict[str, str]:
    token = sandbox.dump()["kit"]["tokens"][-1]
    return {"ACCESS_TOKEN": token["access_token"], "REFRESH_TOKEN": token["refresh_token"]}


def test_a_declared_pair_is_the_first_one_only(browser: Browser, kit: Sandbox, marketing: Callable[..., None]) -> None:
    browser.connect()
    Connection.objects.all().delete()
    given = first_pair(kit)
    connection = declare(marketing, kit, **given)

    assert connection.account().credentials == given
    revoke_access(kit)
    assert account_of(connection).account.name

    after = Connection.objects.get().account().credentials
    assert after["REFRESH_TOKEN"] != given["REFRESH_TOKEN"]
    assert account_of(connection).account.name
    assert asked(kit, "POST /oauth/token") == 2


def test_another_pair_in_settings_begins_anew(browser: Browser, kit: Sandbox, marketing: Callable[..., None]) -> None:
    browser.connect()
    Connection.objects.all().delete()
    connection = declare(marketing, kit, **first_pair(kit))
    refresh(connection, connection.driver, refused=connection.account().credentials["ACCESS_TOKEN"])
    browser.connect(connection="kit")
    second = first_pair(kit)

    declare(marketing, kit, **second)

    assert Connection.objects.get().account().credentials == second
    assert account_of(connection).account.name


def test_a_token_alone_stays_as_it_is(kit: Sandbox, db: None, marketing: Callable[..., None]) -> None:
    connection = declare(marketing, kit, ACCESS_TOKEN=credentials.KIT_ACCESS_TOKEN)
    assert account_of(connection).account.name
    assert not OAuthToken.objects.exists()


# Copies of the database


def test_a_copy_neither_refreshes_nor_sends_until_a_person_confirms(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    marketing(PUBLIC_URL="https://staging.example", UNKNOWN_CONSENT="granted")
    expire(connected)
    sign_up("ada")
    connection = Connection.objects.get()

    with pytest.raises(CopyError):
        refresh(connection, connection.driver)
    with pytest.raises(CopyError):
        account_of(connection)
    tasks.refresh_tokens()
    assert drain(connection.pk).waiting == WaitReason.COPY
    with pytest.raises(CopyError):
        disconnect(connection)
    assert (asked(kit, "POST /oauth/token"), asked(kit, "POST /oauth/revoke")) == (1, 0)

    bind(connection)
    assert account_of(connection).account.name


# Disconnecting


@pytest.fixture
def mirrored(connected: Connection, kit: Sandbox, marketing: Callable[..., None]) -> Connection:
    marketing(UNKNOWN_CONSENT="granted")
    sign_up("ada")
    drain(connected.pk)
    return connected


@pytest.mark.parametrize("delete", [False, True])
def test_disconnecting_revokes_and_wipes(mirrored: Connection, kit: Sandbox, delete: bool) -> None:
    assert disconnect(mirrored, delete_mirror=delete)

    connection = Connection.objects.get()
    assert connection.account().credentials == {}
    assert all(token["revoked"] for token in kit.dump()["kit"]["tokens"])
    assert not connection.push_enabled
    assert Contact.objects.exists() is not delete
    with pytest.raises(ConfigurationError):
        open_client(connection)


def test_on_a_copy_nothing_is_disconnected_and_the_task_says_why(
    connected: Connection, kit: Sandbox, marketing: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    marketing(PUBLIC_URL="https://staging.example")
    tasks.disconnect(connected.pk, 1)
    assert "was not disconnected" in caplog.text
    assert OAuthToken.objects.get().pair
    assert asked(kit, "POST /oauth/revoke") == 0


def test_tokens_are_wiped_though_the_service_is_down(connected: Connection, kit: Sandbox) -> None:
    kit.fail("kit", operation="POST /oauth/revoke", status=503)
    assert not disconnect(connected)
    assert Connection.objects.get().account().credentials == {}


def test_a_declared_pair_is_not_taken_again_after_disconnecting(
    browser: Browser, kit: Sandbox, marketing: Callable[..., None]
) -> None:
    browser.connect()
    Connection.objects.all().delete()
    connection = declare(marketing, kit, **first_pair(kit))
    disconnect(connection)
    assert Connection.objects.get().account().credentials == {}


def test_connecting_again_switches_it_on(browser: Browser, connected: Connection, kit: Sandbox) -> None:
    disconnect(connected)
    browser.connect()
    connection = Connection.objects.get()
    assert connection.push_enabled
    assert account_of(connection).account.name
