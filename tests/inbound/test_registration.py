"""Webhooks at the service: registered, repaired, removed; and the whole way over real HTTP."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mktg_integration import tasks as entry_points
from mktg_integration.exceptions import ConfigurationError, CopyError, ServiceError, UnsupportedError
from mktg_integration.inbound import registration
from mktg_integration.inbound.addresses import renew_address
from mktg_integration.models import Connection, Contact, InboxRow, OptOut, WebhookSubscription
from mktg_integration.providers.kit.client.webhooks import EVENTS
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.inbound.conftest import PUBLIC_URL, call, someone_at

PLAIN = [event for event, parameter in EVENTS.items() if not parameter]


def there(sandbox: Sandbox) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sandbox.dump()["kit"]["webhooks"]
    return rows


def endpoints(sandbox: Sandbox) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sandbox.dump()["kit"]["webhook_endpoints"]
    return rows


def age(connection: Connection) -> None:
    """What was registered was so a while ago: lists show it by now."""
    WebhookSubscription.objects.update(registered_at=timezone.now() - timedelta(hours=1))


def test_events_without_a_parameter_by_default(connection: Connection, kit: Sandbox) -> None:
    done = registration.register(connection)
    assert sorted(done.created) == sorted(PLAIN)
    assert sorted(row["event"] for row in there(kit)) == sorted(event.partition(".")[2] for event in PLAIN)
    assert all(row["target_url"].startswith(f"{PUBLIC_URL}/marketing/webhooks/") for row in there(kit))
    assert not kit.undocumented()


def test_with_a_key_purchases_are_left_out(
    connection: Connection, kit: Sandbox, marketing: Callable[..., None], settings: Any
) -> None:
    given = {**settings.MKTG_INTEGRATION["CONNECTIONS"]["kit"], "API_KEY": credentials.KIT_API_KEY}
    given.pop("ACCESS_TOKEN")
    marketing(CONNECTIONS={"kit": given})
    assert "purchase.purchase_create" not in registration.register(connection).created


def test_every_event_of_the_document(connection: Connection, kit: Sandbox) -> None:
    call(kit, "POST", "/v4/tags", {"name": "VIP"})
    given = {"initiator_value": "https://example.com/an?offer=1", "": ""}
    events = [f"{event}={given.get(parameter, '8')}" if parameter else event for event, parameter in EVENTS.items()]
    registration.register(connection, events)
    assert len({row["target_url"] for row in there(kit)}) == len(EVENTS)
    click = next(row for row in there(kit) if row["event"] == "link_click")
    assert click["parameter"] == given["initiator_value"]
    assert "offer" not in click["target_url"]


def test_all_tags(connection: Connection, kit: Sandbox) -> None:
    ids = [call(kit, "POST", "/v4/tags", {"name": name})["tag"]["id"] for name in ("VIP", "Other")]
    registration.register(connection, ["subscriber.tag_add=all", "subscriber.tag_remove=all"])
    assert sorted(row["parameter"] for row in there(kit)) == sorted(ids * 2)


def test_registering_twice_changes_nothing(connection: Connection, kit: Sandbox) -> None:
    registration.register(connection)
    before = there(kit)
    for _ in range(2):
        age(connection)
        done = registration.register(connection)
        assert (done.created, done.removed, len(done.kept)) == ([], [], len(PLAIN))
    assert there(kit) == before


def test_more_events_join_those_that_are_there(connection: Connection, kit: Sandbox) -> None:
    registration.register(connection)
    registration.register(connection, ["subscriber.form_subscribe=8"])
    assert len(there(kit)) == len(PLAIN) + 1


def test_repair_makes_what_is_gone_and_takes_away_what_is_there_twice(connection: Connection, kit: Sandbox) -> None:
    registration.register(connection)
    age(connection)
    rows = there(kit)
    call(kit, "DELETE", f"/v4/webhooks/{rows[0]['id']}", {})
    name = next(event for event in PLAIN if event.endswith(rows[1]["event"]))
    call(kit, "POST", "/v4/webhooks", {"target_url": rows[1]["target_url"], "event": {"name": name}})
    foreign = {"target_url": "https://other.example/", "event": {"name": PLAIN[0]}}
    call(kit, "POST", "/v4/webhooks", foreign)

    done = registration.repair(connection)

    assert (len(done.created), len(done.removed)) == (1, 1)
    mine = [row["target_url"] for row in there(kit) if row["target_url"].startswith(PUBLIC_URL)]
    assert len(mine) == len(set(mine)) == len(PLAIN)
    assert len(there(kit)) == len(PLAIN) + 1, "what leads elsewhere is not ours"


def test_a_tag_that_is_gone_keeps_no_other_webhook_from_being_repaired(connection: Connection, kit: Sandbox) -> None:
    events = ["subscriber.tag_add=1", "subscriber.tag_remove=1", PLAIN[0]]
    registration.register(connection, events)
    age(connection)
    for row in there(kit):
        call(kit, "DELETE", f"/v4/webhooks/{row['id']}", {})
    kit.fail("kit", operation="POST /v4/webhooks", nth=1, effect="status", status=404)

    done = registration.repair(connection)

    assert (len(done.created), len(done.failed)) == (2, 1)
    assert len(there(kit)) == 2
    assert registration.repair(connection).created == [done.failed[0].partition(":")[0]], (
        "the next time it is tried again"
    )


def test_an_outage_ends_a_repair(connection: Connection, kit: Sandbox) -> None:
    kit.fail("kit", operation="POST /v4/webhooks", effect="status", status=503)
    with pytest.raises(ServiceError):
        registration.register(connection)


def test_removing_one_event(connection: Connection, kit: Sandbox) -> None:
    registration.register(connection, ["subscriber.tag_add=1", PLAIN[0]])
    assert registration.remove(connection, ["subscriber.tag_add=1"]).removed == ["subscriber.tag_add 1"]
    assert len(there(kit)) == 1
    assert registration.repair(connection).created == []
    with pytest.raises(ConfigurationError, match="not registered"):
        registration.remove(connection, ["subscriber.tag_add=1"])


def test_what_a_list_does_not_show_yet_is_not_made_twice(connection: Connection, kit: Sandbox) -> None:
    with kit.locked("kit") as service:
        service.settings.list_lag = 300  # type: ignore[attr-defined]
    registration.register(connection)
    registration.register(connection)
    assert len(there(kit)) == len(PLAIN)


@pytest.mark.parametrize("what", ["token", "PUBLIC_URL"])
def test_repair_follows_a_new_address(
    connection: Connection, kit: Sandbox, marketing: Callable[..., None], what: str
) -> None:
    registration.register(connection)
    registration.register(connection, signed=True)
    before = {row["target_url"] for row in there(kit)}
    if what == "token":
        renew_address(connection)
    else:
        from mktg_integration.connections import bind

        marketing(PUBLIC_URL="https://new.example")
        bind(connection)

    registration.repair(connection)

    assert len(there(kit)) == len(PLAIN)
    assert not before & {row["target_url"] for row in there(kit)}
    assert len(endpoints(kit)) == 1


def test_removing(connection: Connection, kit: Sandbox) -> None:
    call(kit, "POST", "/v4/webhooks", {"target_url": "https://other.example/", "event": {"name": PLAIN[0]}})
    registration.register(connection)
    registration.register(connection, signed=True)
    assert len(registration.remove(connection).removed) == len(PLAIN) + 1
    assert [row["target_url"] for row in there(kit)] == ["https://other.example/"]
    assert endpoints(kit) == []
    assert registration.remove(connection).removed == []


def test_a_dry_run_tells_and_does_nothing(connection: Connection, kit: Sandbox) -> None:
    assert len(registration.register(connection, dry_run=True).created) == len(PLAIN)
    assert there(kit) == []
    assert not WebhookSubscription.objects.exists()


def test_the_signed_kind(connection: Connection, kit: Sandbox) -> None:
    """Events that this Kit does not offer are left out."""
    registration.register(connection, signed=True)
    [endpoint] = endpoints(kit)
    assert "subscriber.unsubscribed" in endpoint["events"]
    row = WebhookSubscription.objects.get()
    assert row.secrets == {"secrets": [endpoint["secret"]]}
    age(connection)
    assert registration.register(connection, signed=True).created == []
    assert len(endpoints(kit)) == 1


def test_a_signed_webhook_whose_secret_is_lost_is_made_anew(connection: Connection, kit: Sandbox) -> None:
    registration.register(connection, signed=True)
    WebhookSubscription.objects.update(secrets={})
    registration.repair(connection)
    [endpoint] = endpoints(kit)
    assert WebhookSubscription.objects.get().secrets == {"secrets": [endpoint["secret"]]}


def test_an_account_without_the_newer_kind(connection: Connection, kit: Sandbox) -> None:
    with kit.locked("kit") as service:
        service.settings.newer_endpoints = False  # type: ignore[attr-defined]
    assert len(registration.register(connection).created) == len(PLAIN)


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ("subscriber.levitate", "no such event"),
        ("subscriber.tag_add", "subscriber.tag_add=<tag_id>"),
        ("subscriber.subscriber_activate=1", "subscriber.subscriber_activate"),
        ("subscriber.tag_add=VIP", "number"),
        ("subscriber.product_purchase=all", "one by one"),
    ],
)
def test_what_is_wrong_is_named(connection: Connection, event: str, named: str) -> None:
    with pytest.raises((ConfigurationError, UnsupportedError), match=named):
        registration.register(connection, [event])
    assert not WebhookSubscription.objects.exists()


def test_without_a_public_address(connection: Connection, marketing: Callable[..., None]) -> None:
    marketing(PUBLIC_URL="")
    with pytest.raises(ConfigurationError, match="PUBLIC_URL"):
        registration.register(connection)


def test_a_copy_registers_nothing(connection: Connection, kit: Sandbox, marketing: Callable[..., None]) -> None:
    registration.register(connection)
    marketing(PUBLIC_URL="https://staging.example")
    for work in (registration.register, registration.repair, registration.remove):
        with pytest.raises(CopyError):
            work(connection)
    assert len(there(kit)) == len(PLAIN)


def test_a_service_that_tells_nothing(db: None) -> None:
    connection = Connection.objects.create(name="loop", provider="convertloop")
    with pytest.raises(UnsupportedError):
        registration.register(connection)


# The command and the tasks


def run(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("mktg_webhooks", *arguments, "--json", stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def test_the_command(connection: Connection, kit: Sandbox) -> None:
    assert len(run("register", "--connection", "kit")["connections"]["kit"]["created"]) == len(PLAIN)
    told = run("list")["connections"]["kit"]
    assert sorted(row["event"] for row in told["webhooks"]) == sorted(PLAIN)
    assert told["inbox"] == {"pending": 0, "applied": 0, "unreadable": 0}
    assert len(run("remove", "--dry-run")["connections"]["kit"]["removed"]) == len(PLAIN)
    assert len(run("remove")["connections"]["kit"]["removed"]) == len(PLAIN)


def test_the_command_fails_where_the_service_does(connection: Connection, kit: Sandbox) -> None:
    kit.down("kit")
    with pytest.raises(CommandError, match="kit"):
        run("register")


def test_the_command_names_what_the_service_refused(connection: Connection, kit: Sandbox) -> None:
    kit.fail("kit", operation="POST /v4/webhooks", nth=1, effect="status", status=422)
    with pytest.raises(CommandError, match="422"):
        run("register")
    assert len(there(kit)) == len(PLAIN) - 1


def test_a_new_secret_by_standard_input(connection: Connection, kit: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    registration.register(connection, signed=True)
    old = endpoints(kit)[0]["secret"]
    monkeypatch.setattr("sys.stdin", io.StringIO("whsec_new\n"))
    run("secret", "--connection", "kit")
    assert WebhookSubscription.objects.get().secrets == {"secrets": ["whsec_new", old]}


def test_the_tasks_of_the_admin(connection: Connection, kit: Sandbox) -> None:
    entry_points.register_webhooks(connection.pk)
    assert len(there(kit)) == len(PLAIN)
    entry_points.repair_webhooks(connection.pk)
    entry_points.disconnect(connection.pk)
    assert there(kit) == []
    kit.down("kit")
    entry_points.register_webhooks(connection.pk)


# The whole way


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("signed", [False, True])
def test_from_the_service_to_the_mirror(
    connection: Connection, kit: Sandbox, marketing: Callable[..., None], live_server: Any, signed: bool
) -> None:
    from mktg_integration.connections import bind

    marketing(PUBLIC_URL=live_server.url)
    bind(connection)
    registration.register(connection, signed=signed)
    someone_at(kit)
    kit.happens("kit", "unsubscribe", "ada@example.com")
    with kit.locked("kit") as service:
        service.deliver_pending()  # type: ignore[attr-defined]
        outcomes = {(one.kind, one.status) for one in service.delivered}  # type: ignore[attr-defined]

    assert outcomes == {("webhook_endpoint" if signed else "webhook", 200)}
    entry_points.apply_inbox(connection.pk)
    assert Contact.objects.get().status == "unsubscribed"
    assert OptOut.objects.get().kind == "unsubscribed"
    assert set(InboxRow.objects.values_list("state", flat=True)) == {"applied"}
