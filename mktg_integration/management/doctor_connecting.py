"""What ``mktg_doctor`` looks at of OAuth and webhooks. Nothing here writes; the services are asked for lists alone."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.connections import public_address
from mktg_integration.exceptions import ConfigurationError, MktgError
from mktg_integration.inbound import registration
from mktg_integration.management.findings import Finding
from mktg_integration.models import (
    Connection,
    ConnectionSource,
    InboundAddress,
    InboxRow,
    InboxState,
    OAuthToken,
    WebhookSubscription,
)
from mktg_integration.tokens import app_client

COUNTED = 1000
"""Deliveries that are not understood are counted up to here."""


def new_credentials(connection: Connection) -> str:
    """What to do about credentials that the service refuses."""
    has_app = bool(settings.OAUTH.get(connection.provider, {}).get("CLIENT_ID"))
    if has_app and OAuthToken.objects.filter(pk=connection.pk).exists():
        return f"connect the account again: open {_install(connection)}"
    if connection.source == ConnectionSource.SETTINGS:
        return f'give it new credentials in settings, MKTG_INTEGRATION["CONNECTIONS"]["{connection.name}"]'
    return "give it new credentials in the admin, under Connections"


def look_at_token(connection: Connection) -> Iterator[Finding]:
    """Of a connection by OAuth: whether its token can be refreshed."""
    row = OAuthToken.objects.filter(pk=connection.pk).first()
    if row is None or connection.driver.oauth is None:
        return
    if row.disconnected_at is not None:
        yield Finding("token", "note", f"it was disconnected; to connect it: open {_install(connection)}")
        return
    if row.refused_at is not None:
        yield Finding("token", "problem", f"the service refused to refresh it: open {_install(connection)}")
        return
    try:
        account = connection.account()
        app_client(connection.driver, base_url=account.base_url, credentials=account.credentials).close()
    except ConfigurationError as error:
        yield Finding("token", "problem", str(error))
        return
    if row.expires_at is not None and row.expires_at < timezone.now():
        text = f"it ran out at {row.expires_at:%Y-%m-%d %H:%M} UTC and was not refreshed: are workers running?"
        yield Finding("token", "problem", f"{text} python manage.py qcluster")
    else:
        until = f"good until {row.expires_at:%Y-%m-%d %H:%M} UTC" if row.expires_at is not None else "there"
        yield Finding("token", "ok", f"it is {until}, and is refreshed before")


def look_at_webhooks(connection: Connection) -> Iterator[Finding]:
    """Whether the service tells what happens, and whether it is understood."""
    if connection.driver.webhooks is None:
        return
    yield from _registered(connection)
    yield from _received(connection)


def _registered(connection: Connection) -> Iterator[Finding]:
    of = f"--connection {connection.name}"
    if not WebhookSubscription.objects.filter(connection=connection).exists():
        text = "none: that somebody unsubscribed there is known with the next pull only"
        yield Finding("webhooks", "note", f"{text}; run python manage.py mktg_webhooks register {of}")
        return
    try:
        line = registration.compare(connection)
    except MktgError as error:
        yield Finding("webhooks", "problem", f"they could not be compared: {error}")
        return
    wrong = [
        f"{what}: {', '.join(names)}"
        for what, names in (("missing there", line.created), ("there and not wanted", line.removed))
        if names
    ]
    if wrong:
        yield Finding("webhooks", "problem", f"{'; '.join(wrong)}; run python manage.py mktg_webhooks repair {of}")
    else:
        yield Finding("webhooks", "ok", f"the service has all {len(line.kept)}")


def _received(connection: Connection) -> Iterator[Finding]:
    of = f"--connection {connection.name}"
    refused = InboundAddress.objects.filter(pk=connection.pk).values_list("refused", flat=True).first()
    if refused:
        text = f"{refused} with a bad signature were refused so far: if the secret was renewed there"
        yield Finding("deliveries", "note", f"{text}, run python manage.py mktg_webhooks secret {of}")
    rows = InboxRow.objects.filter(connection=connection, state=InboxState.UNREADABLE).order_by()
    unreadable = rows.values("pk")[:COUNTED].count()
    if unreadable:
        many = " or more" if unreadable == COUNTED else ""
        text = f"{unreadable}{many} were not understood: the admin says why, under Inbox; after an upgrade "
        yield Finding("deliveries", "problem", f"{text}run python manage.py mktg_webhooks replay {of}")


def _install(connection: Connection) -> str:
    """Where connecting it again begins."""
    try:
        path = reverse("mktg_integration:oauth-install", kwargs={"provider": connection.provider})
        return f"{public_address(path)}?{urlencode({'connection': connection.name})}"
    except (NoReverseMatch, ConfigurationError):
        return "its page in the admin, Connect again"
