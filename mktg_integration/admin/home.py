"""The app's own page in the admin: a card for each connection, what is wrong with the site, and where to go on.

Django's page of an app shows it (``admin/mktg_integration/app_index.html``), so it is there in any ``AdminSite``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from mktg_integration.admin.acts import Act, offered
from mktg_integration.admin.connecting import connects, install_link
from mktg_integration.insight.health import Health, HealthState, healths, site_health
from mktg_integration.models import Connection
from mktg_integration.permissions import APP, CONNECT, SYNC, may

MOST = 50
"""Connections that are shown; a site with more finds them in the list."""


@dataclass(frozen=True, slots=True)
class Link:
    url: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A connection as staff see it. ``acts`` are the buttons that whoever looks may press."""

    health: Health
    url: str
    act_url: str
    test_url: str
    connect: Link | None = None
    """How its account is connected again."""
    acts: tuple[Act, ...] = ()
    links: dict[str, str] = field(default_factory=dict)

    @property
    def urges(self) -> bool:
        """Whether connecting it again is what is to be done."""
        return self.health.state in (HealthState.RECONNECT, HealthState.OFF)


def home(request: HttpRequest) -> dict[str, Any]:
    """What the page shows. A fixed number of statements, however many connections and people there are."""
    if not may(request.user, f"{APP}.view_connection"):
        return {"may_look": False, "links": links(request)}
    # Credentials are not even read, so that a wrong key breaks no page.
    rows: QuerySet[Connection] = Connection.objects.defer("credentials").order_by("name")
    found = list(rows[: MOST + 1])
    site = site_health()
    return {
        "may_look": True,
        "site": site,
        "cards": cards(request, found[:MOST], healths(found[:MOST], site)),
        "has_more": len(found) > MOST,
        "connects": connects(request),
        "add_url": _add_url(request),
        "links": links(request),
    }


def cards(request: HttpRequest, connections: list[Connection], told: list[Health]) -> list[Card]:
    """One for each connection; its health in the same order."""
    return [card(request, connection, health) for connection, health in zip(connections, told, strict=True)]


def card(request: HttpRequest, connection: Connection, health: Health) -> Card:
    return Card(
        health=health,
        url=page(request, "connection_change", connection.pk),
        act_url=page(request, "connection_act", connection.pk),
        test_url=page(request, "connection_test", connection.pk) if may_test(request) else "",
        connect=_connect(request, connection, health),
        acts=offered(request.user, connection),
        links=_links_of(request, connection),
    )


def may_test(request: HttpRequest) -> bool:
    """A test helps those who send and those who connect."""
    return may(request.user, SYNC) or may(request.user, CONNECT)


def links(request: HttpRequest) -> list[Link]:
    """Where else staff go; only to what they may see."""
    return list(_links(request))


def home_url(request: HttpRequest) -> str:
    """The app's own page in the admin site that is visited."""
    return reverse("admin:app_list", args=[APP], current_app=getattr(request, "current_app", None))


def page(request: HttpRequest, name: str, *args: Any) -> str:
    """The address of a page of ours in the admin site that is visited; empty where it is not there."""
    try:
        return reverse(f"admin:{APP}_{name}", args=args, current_app=getattr(request, "current_app", None))
    except NoReverseMatch:
        return ""


def _links(request: HttpRequest) -> Iterator[Link]:
    places = [
        ("run", gettext("Runs")),
        ("run_reconciles", gettext("Compare and confirm")),
        ("deadrow", gettext("Rejected rows")),
        ("outboxrow", gettext("Outbox")),
        ("contact", gettext("Contacts")),
        ("dailyfigures", gettext("Figures")),
        ("auditentry", gettext("Audit")),
    ]
    for name, label in places:
        model, _, own_page = name.partition("_")
        url = page(request, name if own_page else f"{model}_changelist")
        if url and may(request.user, f"{APP}.view_{model}"):
            yield Link(url, label)


def _links_of(request: HttpRequest, connection: Connection) -> dict[str, str]:
    """A connection's own rows, by model; left out where the visitor may not see them."""
    query = urlencode({"connection__id__exact": connection.pk})
    found = {}
    for model in ("run", "deadrow", "outboxrow", "contact", "auditentry"):
        url = page(request, f"{model}_changelist")
        if url and may(request.user, f"{APP}.view_{model}"):
            found[model] = f"{url}?{query}"
    return found


def _connect(request: HttpRequest, connection: Connection, health: Health) -> Link | None:
    """How its account is connected anew: by OAuth where the site has an app there, else by entering credentials."""
    if not may(request.user, CONNECT):
        return None
    link = install_link(connection.provider, connection=connection.name)
    if link:
        return Link(link, gettext("Connect again"))
    if health.state is HealthState.RECONNECT:
        return Link(page(request, "connection_change", connection.pk), gettext("Enter credentials"))
    return None


def _add_url(request: HttpRequest) -> str:
    if not (may(request.user, CONNECT) and may(request.user, f"{APP}.add_connection")):
        return ""
    return page(request, "connection_add")
