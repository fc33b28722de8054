"""Trying a connection out, step by step, by real calls that change nothing at the service."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple
from urllib.parse import urlsplit

from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration.audit import Actor
from mktg_integration.connections import Opened, account_key, identify, open_client
from mktg_integration.exceptions import Action, MktgError, ServiceError, UnsupportedError
from mktg_integration.inbound import registration
from mktg_integration.insight.mapping import CUSTOM_FIELDS, missing_fields
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection
from mktg_integration.records import CustomFieldRecord

MOST_CLOCK_SECONDS = 2.0
PAGES = 20
"""Of custom fields; an account with more is not read to the end."""


class Step(NamedTuple):
    """One thing that was tried. ``ok`` is None for what is worth knowing and no fault."""

    name: str
    ok: bool | None
    text: str


def test(actor: Actor, connection: Connection) -> list[Step]:
    """Ask the service whether it is there, lets us in, and has what we need. Takes seconds; never on a page load.

    Changes nothing there. Here it notes which account the service names, which is how a connection is told from
    another. Raises nothing: what goes wrong is a step.
    """
    return list(_steps(connection))


def _steps(connection: Connection) -> Iterator[Step]:
    yield _clock()
    try:
        opened = open_client(connection)
        base_url = connection.account().base_url
    except MktgError as error:
        yield Step(gettext("Credentials"), False, worded(str(error)))
        return
    yield _address(base_url)
    let_in = list(_credentials(connection, opened))
    yield from let_in
    if any(step.ok is False for step in let_in):
        return
    yield from _looked(gettext("Custom fields"), lambda: _fields(connection, opened))
    yield from _looked(gettext("Webhooks"), lambda: _webhooks(connection, opened))


def _clock() -> Step:
    name = gettext("Clock")
    apart = seconds_apart()
    if apart > MOST_CLOCK_SECONDS:
        text = gettext("This machine and the database are %(seconds)d s apart: have both set by NTP.")
        return Step(name, False, text % {"seconds": apart})
    return Step(name, True, gettext("This machine and the database have one time."))


def seconds_apart() -> float:
    """Between this machine's clock and the database's, by which leases and rates go; 0 without a connection."""
    at = Connection.objects.annotate(now=Now()).values_list("now", flat=True).first()
    return abs((timezone.now() - at) / timedelta(seconds=1)) if at is not None else 0.0


def _address(base_url: str) -> Step:
    name = gettext("Address")
    parts = urlsplit(base_url)
    try:
        socket.getaddrinfo(parts.hostname or "", parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        # A proxy may well know a name that this machine does not.
        text = gettext("%s is not known here: look at BASE_URL, and at this machine's DNS.")
        return Step(name, None, text % (parts.hostname or base_url))
    return Step(name, True, gettext("%s is known.") % parts.hostname)


def _credentials(connection: Connection, opened: Opened) -> Iterator[Step]:
    name = gettext("Credentials")
    known = connection.account_key
    try:
        # One that is known already is compared, not written over.
        identity = (
            identify(connection, opened.driver, opened.client)
            if known is None
            else opened.driver.identify(opened.client)
        )
        if identity is None:
            # The service names no account; it may still say whether it lets us in.
            yield Step(name, True, opened.driver.verify(opened.client, opened.options))
            return
    except UnsupportedError as error:
        yield Step(name, None, worded(str(error)))
        return
    except ServiceError as error:
        about = gettext("Service") if error.action is Action.RETRY else name
        yield Step(about, False, f"{error}. {_advice(error.action)}".strip())
        return
    except MktgError as error:
        yield Step(name, False, worded(str(error)))
        return
    yield Step(name, True, gettext("The service takes them."))
    label = identity.label or identity.remote_id
    if known not in (None, account_key(opened.driver, identity)):
        text = gettext("They open another account than before: %s. A connection keeps its account.")
        yield Step(gettext("Account"), False, text % label)
    else:
        yield Step(gettext("Account"), True, label)


def _advice(action: Action) -> str:
    advice = {
        Action.RECONNECT: gettext("Connect the account again, or enter new credentials."),
        Action.FORBIDDEN: gettext("Look at the account's plan and at what the credentials may do."),
        Action.WAIT: gettext("The service asks to be called less: wait, then test again."),
        Action.RETRY: gettext("The service does not answer: look at its status page and at BASE_URL."),
        Action.FAIL: gettext("This address does not answer as the service would: look at BASE_URL."),
    }
    return advice.get(action, "")


def _looked(name: str, look: Callable[[], Step]) -> Iterator[Step]:
    try:
        yield look()
    except UnsupportedError as error:
        yield Step(name, None, worded(str(error)))
    except MktgError as error:
        yield Step(name, False, worded(str(error)))


def _fields(connection: Connection, opened: Opened) -> Step:
    name = gettext("Custom fields")
    fields = missing_fields(connection)
    if not fields.can_list:
        raise UnsupportedError(gettext("%s does not list its custom fields.") % opened.driver.label)
    missing = sorted(set(fields.named) - fields_there(opened))
    if not missing:
        return Step(name, True, gettext("The account has every field that the mapping names."))
    told = gettext("The account lacks %s.") % ", ".join(missing)
    if fields.creates:
        return Step(name, None, f"{told} {gettext('They are created with the first push.')}")
    return Step(name, False, f"{told} {gettext('Create them there, or set CREATE_FIELDS.')}")


def fields_there(opened: Opened) -> set[str]:
    """The keys of the account's custom fields. Raises ``MktgError``."""
    found: set[str] = set()
    cursor: str | None = None
    for _page in range(PAGES):
        page = opened.driver.read(CUSTOM_FIELDS, cursor, opened.client)
        found |= {record.key for record in page.records if isinstance(record, CustomFieldRecord)}
        if page.cursor is None or page.cursor == cursor:
            break
        cursor = page.cursor
    return found


def _webhooks(connection: Connection, opened: Opened) -> Step:
    name = gettext("Webhooks")
    if opened.driver.webhooks is None:
        raise UnsupportedError(gettext("%s tells nothing by itself.") % opened.driver.label)
    line = registration.compare(connection)
    if line.created or line.removed:
        missing = gettext("missing: %s.") % ", ".join(line.created) if line.created else ""
        wrong = gettext("there and not wanted: %s.") % ", ".join(line.removed) if line.removed else ""
        return Step(name, False, f"{missing} {wrong} {gettext('Repair them.')}".strip())
    if not line.kept:
        return Step(name, None, gettext("None is registered: changes there are seen with the next pull."))
    return Step(name, True, gettext("All %d are there.") % len(line.kept))
