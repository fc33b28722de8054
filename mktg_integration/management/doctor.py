"""What ``mktg_doctor`` looks at. Nothing here writes; the services are asked by calls that change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.core.checks import ERROR, WARNING, run_checks

from mktg_integration.conf import settings
from mktg_integration.connections import Opened, open_client
from mktg_integration.encryption import decrypt, encrypt
from mktg_integration.exceptions import Action, MktgError, ServiceError, UnsupportedError
from mktg_integration.insight.health import HealthState, healths
from mktg_integration.insight.site import site_health
from mktg_integration.management.doctor_connecting import look_at_token, look_at_webhooks, new_credentials
from mktg_integration.management.findings import Finding, Level
from mktg_integration.models import Connection, DeadRow, Kind, OutboxRow
from mktg_integration.models.fields import encrypted_fields, stored_tokens
from mktg_integration.operations.probing import MOST_CLOCK_SECONDS, fields_there, seconds_apart
from mktg_integration.people import user_subject
from mktg_integration.providers.base import Verb
from mktg_integration.push import people

SAMPLE = 50
"""The newest users, on whom the mapping is tried."""
_ADVICE = {
    Action.FORBIDDEN: "look at the account's plan and at what the credentials may do",
    Action.WAIT: "the service asks to be called less: wait, then run this again",
    Action.RETRY: "the service does not answer: look at its status page and at BASE_URL",
    Action.FAIL: "look at BASE_URL: this address does not answer as the service would",
}


KEYS_TRIED = 200
"""Of each table with secrets, so many rows are tried with the keys."""


# The site


def look_at_site() -> Iterator[Finding]:
    """Settings, keys, clock, schedules and workers."""
    yield from _checks()
    yield from _keys()
    yield from _clock()
    yield from _background()
    if not settings.PUSH:
        yield Finding("pushing", "note", 'MKTG_INTEGRATION["PUSH"] is False: marks are kept and nothing is sent')


def _checks() -> Iterator[Finding]:
    ours = [message for message in run_checks() if str(message.id).startswith("mktg_integration.")]
    for message in ours:
        level: Level = "problem" if message.level >= ERROR else "note"
        yield Finding("settings", level, f"{message.msg} {message.hint or ''} ({message.id})".strip())
    if not any(message.level >= WARNING for message in ours):
        yield Finding("settings", "ok", "manage.py check has nothing to say of this app")


def _keys() -> Iterator[Finding]:
    try:
        decrypt(encrypt("probe"))
    except MktgError as error:
        yield Finding("keys", "problem", str(error))
        return
    unreadable = {
        str(model._meta.verbose_name_plural) for model, field in encrypted_fields() if not _reads(model, field)
    }
    if not unreadable:
        yield Finding("keys", "ok", "what is stored can be read")
        return
    of = _unreadable_connections()
    names = [f"the credentials of {', '.join(of)}"] if of else []
    names += sorted(unreadable - ({str(Connection._meta.verbose_name_plural)} if of else set()))
    text = (
        f"{'; '.join(names)} cannot be read: put the older key back into ENCRYPTION_KEYS, behind the new one, "
        "then run python manage.py mktg_rotate_keys"
    )
    yield Finding("keys", "problem", text)


def _reads(model: Any, field: Any) -> bool:
    try:
        for _, token in islice(stored_tokens(model, field, batch=KEYS_TRIED), KEYS_TRIED):
            decrypt(token)
    except MktgError:
        return False
    return True


def _unreadable_connections() -> list[str]:
    names = []
    for pk, name in Connection.objects.values_list("pk", "name"):
        try:
            Connection.objects.get(pk=pk)
        except MktgError:
            names.append(name)
    return names


def _clock() -> Iterator[Finding]:
    seconds = seconds_apart()
    if seconds > MOST_CLOCK_SECONDS:
        apart = f"this machine and the database are {seconds:.0f} s apart"
        yield Finding("clock", "problem", f"{apart}: leases and rates need one time; run NTP on both")
    else:
        yield Finding("clock", "ok", "this machine and the database have one time")


def _background() -> Iterator[Finding]:
    if settings.TASK_ENGINE != "django-q2":
        yield Finding("workers", "note", f"tasks run on {settings.TASK_ENGINE}; ask it for its workers and schedules")
        return
    from mktg_integration.background import q2

    missing = q2.missing_schedules()
    if missing:
        yield Finding("schedules", "problem", f"missing: {', '.join(missing)}; run python manage.py mktg_schedule")
    else:
        yield Finding("schedules", "ok", "all are there")
    workers = q2.workers()
    if workers is None:
        yield from _sign_of_life()
    elif not workers:
        yield Finding("workers", "problem", "none; start them: python manage.py qcluster")
    else:
        yield Finding("workers", "ok", f"{workers}")


def _sign_of_life() -> Iterator[Finding]:
    """Where the cluster reports to a cache that this process does not share: what the scheduled tasks wrote."""
    site = site_health()
    if site.works:
        yield Finding("workers", "ok", f"a scheduled task ran at {site.worker_at:%Y-%m-%d %H:%M:%S} UTC")
    elif site.worker_at is None:
        yield Finding("workers", "note", "none has run a scheduled task yet; start them: python manage.py qcluster")
    else:
        text = f"none has run a scheduled task since {site.worker_at:%Y-%m-%d %H:%M} UTC"
        yield Finding("workers", "problem", f"{text}; start them: python manage.py qcluster")


# A connection


def look_at_connection(connection: Connection) -> Iterator[Finding]:
    """Whether it may send, whether the service lets it in, and what of the site's it would leave out."""
    yield from _state(connection)
    yield from look_at_token(connection)
    try:
        opened = open_client(connection)
    except MktgError as error:
        yield Finding("credentials", "problem", str(error))
        return
    yield from _service(connection, opened)
    yield from look_at_webhooks(connection)
    yield from _mapping(connection, opened)
    yield from _dead(connection)
    yield from _skipped(connection)


def _state(connection: Connection) -> Iterator[Finding]:
    (health,) = healths([connection])
    detail = f"({health.detail})" if health.detail else ""
    text = " ".join(part for part in (health.reason, detail, health.todo) if part)
    if health.needs_person:
        yield Finding("sending", "problem", text)
    else:
        is_good = health.state in (HealthState.HEALTHY, HealthState.NEW)
        yield Finding("sending", "ok" if is_good else "note", text)


def _service(connection: Connection, opened: Opened) -> Iterator[Finding]:
    try:
        yield Finding("service", "ok", opened.driver.verify(opened.client, opened.options))
    except UnsupportedError as error:
        yield Finding("service", "note", str(error))
    except ServiceError as error:
        is_refused = error.action is Action.RECONNECT
        advice = new_credentials(connection) if is_refused else _ADVICE.get(error.action, "see the text")
        yield Finding("service", "problem", f"{error}: {advice}")
    except MktgError as error:
        yield Finding("service", "problem", str(error))


def _mapping(connection: Connection, opened: Opened) -> Iterator[Finding]:
    """Tries the mapping on the newest users, and compares the fields that it names with those that the account has."""
    driver = connection.driver
    try:
        batch = _sample(connection)
    except MktgError as error:
        yield Finding("mapping", "problem", str(error))
        return
    if batch is None:
        yield Finding("mapping", "note", "there are no users to try it on")
        return
    for reason, count in Counter(verdict.reason for verdict in batch.verdicts.values()).most_common(5):
        yield Finding("mapping", "problem", f"{count} of the newest {SAMPLE} users are refused: {reason}")
    wanted = [person.wanted for person in batch.people.values() if person.wanted is not None]
    if not batch.verdicts:
        yield Finding("mapping", "ok", f"{len(wanted)} of the newest {SAMPLE} users go there")
    values = [(name, value) for snapshot in wanted for name, value in snapshot.values.items()]
    named = {driver.custom_field(name) for name, value in values if value is not None} - {None}
    options = driver.options(connection.account())
    if not named or not any(spec.name == "custom_fields" for spec in driver.streams(options)):
        return
    try:
        missing = sorted(name for name in named - fields_there(opened) if name)
    except MktgError as error:
        yield Finding("fields", "note", f"the account's custom fields could not be read: {error}")
        return
    if missing:
        creates = connection.account().options.get("CREATE_FIELDS", True)
        what = "they are created with the first push" if creates else "create them there, or set CREATE_FIELDS"
        yield Finding("fields", "note" if creates else "problem", f"the account lacks {', '.join(missing)}: {what}")
    else:
        yield Finding("fields", "ok", "the account has every custom field that the mapping names")


def _sample(connection: Connection) -> people.Batch | None:
    driver = connection.driver
    newest = get_user_model()._default_manager.order_by("-pk").values_list("pk", flat=True)[:SAMPLE]
    rows = [OutboxRow(connection=connection, kind=Kind.PROFILE, subject=user_subject(pk)) for pk in newest]
    if not rows:
        return None
    return people.preview(connection, driver, driver.options(connection.account()), rows)


def _dead(connection: Connection) -> Iterator[Finding]:
    codes = Counter(DeadRow.objects.filter(connection=connection).values_list("code", flat=True))
    if codes:
        told = ", ".join(f"{count} {code}" for code, count in codes.most_common(5))
        text = f"rejected: {told}. The admin says what to do of each; then run python manage.py mktg_replay"
        yield Finding("rejected rows", "problem", text)


def _skipped(connection: Connection) -> Iterator[Finding]:
    driver, account = connection.driver, connection.account()
    notes = {capability.name: capability for capability in driver.capabilities()}
    for verb in Verb:
        capability = notes.get(verb)
        if not driver.can(verb, account) or (capability is not None and not capability.supported):
            note = f": {capability.note}" if capability is not None and capability.note else ""
            yield Finding("capabilities", "note", f"{verb} is not done here{note}")
