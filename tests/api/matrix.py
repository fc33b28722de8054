"""Who may call which endpoint. Each one of the URL conf has to stand here."""

from __future__ import annotations

from mktg_integration.permissions import CONNECT, ERASE, REPLAY, SYNC, VIEW_PERSONAL_DATA

STAFF: tuple[str, ...] = ()
"""Any active staff."""
PERSON = None
"""Whoever is signed in, for themselves."""


def view(model: str) -> tuple[str, ...]:
    return (f"mktg_integration.view_{model}",)


def read_only(path: str, model: str) -> dict[str, tuple[str, ...] | None]:
    return {f"GET {path}/": view(model), f"GET {path}/<pk>/": view(model)}


CONNECTION = view("connection")
SYNCING = (SYNC,)
CONNECTING = (CONNECT,)
REPLAYING = (REPLAY,)

MATRIX: dict[str, tuple[str, ...] | None] = {
    "GET /": STAFF,
    "GET status/": STAFF,
    "POST oauth/<provider>/start/": CONNECTING,
    # Connections
    **read_only("connections", "connection"),
    "POST connections/": (CONNECT, "mktg_integration.add_connection"),
    "PATCH connections/<pk>/": (CONNECT, "mktg_integration.change_connection"),
    "DELETE connections/<pk>/": (CONNECT, "mktg_integration.delete_connection"),
    "POST connections/<pk>/test/": CONNECTING,
    "POST connections/<pk>/confirm-site/": CONNECTING,
    "POST connections/<pk>/disconnect/": CONNECTING,
    "POST connections/<pk>/pause/": SYNCING,
    "POST connections/<pk>/resume/": SYNCING,
    "POST connections/<pk>/dry-run/": SYNCING,
    "POST connections/<pk>/push/": SYNCING,
    "POST connections/<pk>/pull/": SYNCING,
    "POST connections/<pk>/reconcile/": SYNCING,
    "GET connections/<pk>/webhooks/": CONNECTION,
    "POST connections/<pk>/webhooks/": CONNECTING,
    "DELETE connections/<pk>/webhooks/": CONNECTING,
    "POST connections/<pk>/webhooks/repair/": CONNECTING,
    "POST connections/<pk>/webhooks/check/": CONNECTING,
    # Runs
    **read_only("runs", "run"),
    "POST runs/<pk>/cancel/": SYNCING,
    "POST runs/<pk>/resume/": SYNCING,
    "POST runs/<pk>/confirm/": SYNCING,
    "POST runs/<pk>/discard/": SYNCING,
    # Outbox
    **read_only("outbox", "outboxrow"),
    "POST outbox/send/": SYNCING,
    "POST outbox/discard/": REPLAYING,
    **read_only("rejected", "deadrow"),
    "GET rejected/reasons/": view("deadrow"),
    "POST rejected/replay/": REPLAYING,
    "POST rejected/confirm/": REPLAYING,
    "POST rejected/discard/": REPLAYING,
    "POST rejected/done-by-hand/": REPLAYING,
    "GET audit/": view("auditentry"),
    # People
    **read_only("contacts", "contact"),
    "POST contacts/search/": (*view("contact"), VIEW_PERSONAL_DATA),
    "GET contacts/<pk>/export/": (*view("contact"), VIEW_PERSONAL_DATA),
    "POST contacts/<pk>/sync/": (*view("contact"), SYNC),
    "POST contacts/<pk>/refresh/": (*view("contact"), SYNC),
    "POST contacts/<pk>/tag/": (*view("contact"), SYNC),
    "POST contacts/<pk>/untag/": (*view("contact"), SYNC),
    "POST contacts/<pk>/subscribe/": (*view("contact"), SYNC),
    "POST contacts/<pk>/unsubscribe/": (*view("contact"), SYNC),
    "POST contacts/<pk>/forget/": (*view("contact"), ERASE),
    "POST events/": SYNCING,
    **read_only("purchases", "purchase"),
    "POST purchases/": SYNCING,
    "GET me/": PERSON,
    "PATCH me/": PERSON,
    "GET me/export/": PERSON,
    # What the services told
    **read_only("tags", "tag"),
    **read_only("custom-fields", "customfield"),
    **read_only("companies", "company"),
    **read_only("forms", "form"),
    **read_only("sequences", "sequence"),
    **read_only("segments", "segment"),
    **read_only("email-templates", "emailtemplate"),
    **read_only("broadcasts", "broadcast"),
    **read_only("accounts", "serviceaccount"),
    **read_only("account-snapshots", "accountsnapshot"),
    **read_only("service-webhooks", "webhook"),
}
