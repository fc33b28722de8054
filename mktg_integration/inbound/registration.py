"""What a service is asked to tell: registering, repairing and removing a connection's webhooks there. Idempotent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration.connections import open_client, public_address
from mktg_integration.exceptions import Action, ConfigurationError, CopyError, ServiceError, UnsupportedError
from mktg_integration.inbound.addresses import SIGNED, address_of, webhook_url
from mktg_integration.models import Connection, InboundAddress, WebhookSubscription
from mktg_integration.models.leases import take_row_lease
from mktg_integration.providers.webhooks import RemoteWebhook, WantedWebhook, Webhooks

logger = logging.getLogger("mktg_integration.inbound")

ALL = "all"
"""In place of a parameter: each value that the account has."""
LAG = timedelta(minutes=10)
"""A webhook that was made so lately and is not in the list is believed to be there: lists lag behind."""
SECRETS_KEPT = 2


@dataclass
class Registration:
    """What was done, or would be, by the webhooks' events and parameters."""

    created: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """With what the service answered. All others were brought into line nevertheless."""


def register(
    connection: Connection, events: Sequence[str] = (), *, signed: bool = False, dry_run: bool = False
) -> Registration:
    """Have the service tell of ``events`` beside those that it already does, and repair what is there.

    An event is written as its name, with ``=`` and its parameter (or ``all``) where it requires one. Without any, those
    that take none are registered; with ``signed`` the signed kind, which tells all of its events. Raises
    ``ConfigurationError`` and ``UnsupportedError`` that name what is wrong, ``ServiceError``, ``CopyError``.
    """
    webhooks, client = _opened(connection)
    wanted = _wanted(webhooks, client, events, signed=signed)
    rows = [_row(connection, one.event, one.parameter) for one in wanted]
    if signed:
        if not webhooks.signed_events:
            raise UnsupportedError(gettext("{service} has no signed webhooks").format(service=connection.driver.label))
        rows.append(_row(connection, SIGNED, ""))
    if not dry_run:
        WebhookSubscription.objects.bulk_create(rows, ignore_conflicts=True)
    return _brought_into_line(connection, webhooks, client, extra=rows if dry_run else (), dry_run=dry_run)


def repair(connection: Connection) -> Registration:
    """Make what was registered and is not there any more, or leads to an old address; remove what is there twice."""
    webhooks, client = _opened(connection)
    return _brought_into_line(connection, webhooks, client, dry_run=False)


def compare(connection: Connection) -> Registration:
    """What ``repair`` would do. Asks the service, and writes nothing here either."""
    webhooks, client = _opened(connection)
    address = InboundAddress.objects.filter(connection=connection).first()
    if address is None:
        # None was ever told, so whatever is wanted is missing.
        return Registration(created=[str(row) for row in _rows(connection)])
    line = _Line(connection, webhooks, client, address, dry_run=True)
    for row in _rows(connection):
        line.bring(row)
    line.clear()
    return line.done


def remove(connection: Connection, events: Sequence[str] = (), *, dry_run: bool = False) -> Registration:
    """Have the service tell nothing of this connection any more; with ``events`` (written as for ``register``, without
    ``all``; ``signed`` for the signed kind) nothing of these. Raises as ``register``."""
    webhooks, client = _opened(connection)
    chosen = _rows(connection)
    if events:
        pairs = [event.partition("=") for event in events]
        chosen = chosen.filter(pk__in=[_key(connection, event, parameter) for event, _, parameter in pairs])
        if not chosen.exists():
            raise ConfigurationError(
                gettext("{events}: not registered for {name}").format(events=", ".join(events), name=connection.name)
            )
    rows = {(row.event == SIGNED, row.remote_id): row for row in chosen if row.remote_id}
    done = Registration()
    for webhook in _there(webhooks, client):
        row = rows.get((webhook.signed, webhook.remote_id))
        if row is not None or (not events and _leads_to(webhook, connection)):
            done.removed.append(_named(row, webhook))
            if not dry_run:
                webhooks.delete(client, webhook)
    if not dry_run:
        chosen.delete()
    return done


def add_secret(connection: Connection, secret: str) -> None:
    """The signed kind's secret was renewed at the service: deliveries under the one before are taken too, for as long
    as the service signs with both. Raises ``ConfigurationError`` where there is no signed webhook."""
    row = WebhookSubscription.objects.filter(pk=_key(connection, SIGNED, "")).first()
    if row is None:
        raise ConfigurationError(
            gettext("{name} has no signed webhook: register one first").format(name=connection.name)
        )
    kept = [one for one in row.secrets.get("secrets", []) if one != secret]
    row.secrets = {"secrets": [secret, *kept][:SECRETS_KEPT]}
    row.save(update_fields=["secrets"])


def _opened(connection: Connection) -> tuple[Webhooks[Any], Any]:
    webhooks = connection.driver.webhooks
    if webhooks is None:
        raise UnsupportedError(gettext("{service} tells nothing by itself").format(service=connection.driver.label))
    if not connection.is_of_this_site():
        raise CopyError(
            gettext("{name} is bound to {bound_url}: confirm in the admin that this site acts for it").format(
                name=connection.name, bound_url=connection.bound_url
            )
        )
    return webhooks, open_client(connection).client


def _wanted(webhooks: Webhooks[Any], client: Any, events: Sequence[str], *, signed: bool) -> list[WantedWebhook]:
    if not events:
        return [] if signed else [WantedWebhook(event=event) for event in webhooks.default_events(client)]
    wanted: list[WantedWebhook] = []
    for text in events:
        event, _, parameter = text.partition("=")
        if event not in webhooks.events:
            raise ConfigurationError(
                gettext("{event}: no such event; there are: {events}").format(
                    event=event, events=", ".join(webhooks.events)
                )
            )
        name = webhooks.events[event]
        if bool(name) != bool(parameter):
            how = f"{event}=<{name}> or {event}={ALL}" if name else event
            raise ConfigurationError(gettext("{event}: write it as {how}").format(event=event, how=how))
        if (
            name
            and parameter != ALL
            and name != "initiator_value"
            and not (parameter.isascii() and parameter.isdigit())
        ):
            raise ConfigurationError(
                gettext("{event}: {name} is a number, or {all}").format(event=event, name=name, all=ALL)
            )
        values = webhooks.parameters(client, name) if parameter == ALL else [parameter]
        wanted += [WantedWebhook(event=event, parameter=value) for value in values]
    return wanted


def _brought_into_line(
    connection: Connection,
    webhooks: Webhooks[Any],
    client: Any,
    *,
    extra: Iterable[WebhookSubscription] = (),
    dry_run: bool,
) -> Registration:
    address = address_of(connection)
    lease = take_row_lease(InboundAddress, connection.pk, 600.0)
    if lease is None:
        raise ConfigurationError(
            gettext("{name}: its inbox is being worked on; try again in a minute").format(name=connection.name)
        )
    try:
        line = _Line(connection, webhooks, client, address, dry_run=dry_run)
        rows = {row.pk: row for row in (*extra, *_rows(connection))}
        for row in rows.values():
            line.bring(row)
        line.clear()
    finally:
        lease.release()
    return line.done


class _Line:
    """Compares what is wanted with what is there, one webhook after the other."""

    def __init__(
        self, connection: Connection, webhooks: Webhooks[Any], client: Any, address: InboundAddress, *, dry_run: bool
    ) -> None:
        self.connection = connection
        self.webhooks = webhooks
        self.client = client
        self.address = address
        self.dry_run = dry_run
        self.there = _there(webhooks, client)
        self.used: set[tuple[bool, str]] = set()
        self.done = Registration()

    def bring(self, row: WebhookSubscription) -> None:
        url = webhook_url(self.address, row.event, row.parameter)
        is_signed = row.event == SIGNED
        good = [one for one in self.there if one.url == url and one.signed == is_signed]
        if is_signed and not row.secrets:
            # Its secret is told once, to whoever made it.
            good = []
        found = next((one for one in good if one.remote_id == row.remote_id), good[0] if good else None)
        if found is not None:
            self.used.add((is_signed, found.remote_id))
            self.done.kept.append(str(row))
            if row.remote_id != found.remote_id and not self.dry_run:
                _save(row, found)
            return
        known = {one.remote_id for one in self.there if one.signed == is_signed}
        is_new = row.registered_at is not None and timezone.now() - row.registered_at < LAG
        if row.remote_id and row.remote_id not in known and is_new:
            self.done.kept.append(str(row))
            return
        if self.dry_run:
            self.done.created.append(str(row))
            return
        try:
            made = self._make(row, url)
        except ServiceError as error:
            if error.action not in (Action.REJECT, Action.FAIL):
                raise
            # A tag or form that is gone there, an event that this account does not have.
            self.done.failed.append(f"{row}: {error}")
            return
        self.done.created.append(str(row))
        old = row.remote_id
        _save(row, made)
        self.used.add((is_signed, made.remote_id))
        for one in self.there:
            if one.remote_id == old and one.signed == is_signed:
                self._delete(one, row)

    def _make(self, row: WebhookSubscription, url: str) -> RemoteWebhook:
        if row.event == SIGNED:
            return self.webhooks.create_signed(self.client, url, self.webhooks.signed_events)
        return self.webhooks.create(self.client, WantedWebhook(event=row.event, parameter=row.parameter), url)

    def clear(self) -> None:
        """What leads here and is not wanted, or is there twice."""
        for one in self.there:
            if (one.signed, one.remote_id) not in self.used and _leads_to(one, self.connection):
                self._delete(one, None)

    def _delete(self, webhook: RemoteWebhook, row: WebhookSubscription | None) -> None:
        self.used.add((webhook.signed, webhook.remote_id))
        self.done.removed.append(_named(row, webhook))
        if not self.dry_run:
            self.webhooks.delete(self.client, webhook)


def _there(webhooks: Webhooks[Any], client: Any) -> list[RemoteWebhook]:
    found = webhooks.registered(client)
    if webhooks.signed_events:
        try:
            found += webhooks.registered(client, signed=True)
        except ServiceError as error:
            # Newer than the document: an account may not have it.
            if error.status != 404:
                raise
    return found


def _leads_to(webhook: RemoteWebhook, connection: Connection) -> bool:
    """Whether its address is one of this connection's here, also under an unguessable part of before."""
    token = f"{connection.pk}-"
    whole = public_address(reverse("mktg_integration:webhook", kwargs={"token": token, "event": SIGNED}))
    return webhook.url.startswith(whole.removesuffix(f"/{SIGNED}/"))


def _rows(connection: Connection) -> Any:
    return WebhookSubscription.objects.filter(connection=connection).order_by("key")


def _row(connection: Connection, event: str, parameter: str) -> WebhookSubscription:
    return WebhookSubscription(
        key=_key(connection, event, parameter), connection=connection, event=event, parameter=parameter
    )


def _key(connection: Connection, event: str, parameter: str) -> str:
    if event == SIGNED:
        return f"{connection.pk}:{SIGNED}"
    return f"{connection.pk}:{hashlib.sha256(f'{event}={parameter}'.encode()).hexdigest()[:40]}"


def _save(row: WebhookSubscription, webhook: RemoteWebhook) -> None:
    row.remote_id, row.registered_at = webhook.remote_id, timezone.now()
    if webhook.secret:
        row.secrets = {"secrets": [webhook.secret]}
    row.save()


def _named(row: WebhookSubscription | None, webhook: RemoteWebhook) -> str:
    """Never the address: it holds a secret."""
    return str(row) if row is not None else f"webhook {webhook.remote_id}"
