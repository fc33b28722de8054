"""Why did this person (not) get there? One answer, step by step: marked, mapped, consent, plan, call, answer.

Reads the database alone; the plan is the provider's own, a pure function, and no call is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import formats, timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.insight.comparing import wanted_beside_known
from mktg_integration.insight.deliveries import attempts_for
from mktg_integration.insight.looking import Look, is_seen, look
from mktg_integration.insight.noted import worded
from mktg_integration.insight.rate_use import rate_uses
from mktg_integration.insight.remedies import remedy
from mktg_integration.insight.site import site_health
from mktg_integration.models import Attempt, Connection, ConnectionState, DeadRow, Lead, OutboxRow
from mktg_integration.models.connections import site_address
from mktg_integration.moments import local
from mktg_integration.people import ALL, address_is_verified, parse_subject
from mktg_integration.profile import UNKNOWN, Consent, ConsentStatus
from mktg_integration.push import consent as consents
from mktg_integration.push.people import MAPPING_FAILED

__all__ = ["Outcome", "Step", "Trace", "trace", "trace_of", "wanted_beside_known"]

ATTEMPTS = 3
"""The last ones that are told."""


class Outcome(StrEnum):
    OK = "ok"
    WAITS = "waits"
    STOPS = "stops"
    NOTHING = "nothing"


OUTCOMES = {
    Outcome.OK: _("done"),
    Outcome.WAITS: _("waits"),
    Outcome.STOPS: _("stops here"),
    Outcome.NOTHING: _("nothing to do"),
}
NAMES = {
    "marked": _("marked"),
    "mapped": _("mapped"),
    "consent": _("consent"),
    "plan": _("plan"),
    "call": _("call"),
    "answer": _("answer"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: ``text`` says what happened and, where it stops, what to do. ``more`` are its particulars, ``private``
    those of them that only who may see personal data is told."""

    name: str
    outcome: Outcome
    text: str
    at: datetime | None = None
    more: tuple[str, ...] = ()
    private: tuple[str, ...] = ()

    @property
    def title(self) -> Any:
        """Its name, translated."""
        return NAMES[self.name]

    @property
    def said(self) -> Any:
        """The outcome in words."""
        return OUTCOMES[self.outcome]


@dataclass(frozen=True, slots=True)
class Trace:
    """All six steps of one person at one connection. ``answer`` is the whole in one sentence."""

    subject: str
    connection: Connection
    steps: list[Step]

    @property
    def deciding(self) -> Step | None:
        """The step that keeps the person from getting there; None where they are there as wanted."""
        for outcome in (Outcome.STOPS, Outcome.WAITS):
            for step in self.steps:
                if step.outcome is outcome:
                    return step
        return None

    @property
    def answer(self) -> str:
        last, deciding = self.steps[-1], self.deciding
        if deciding is not None:
            # What a push would do answers nothing without why it has not been done.
            return f"{self.steps[0].text} {deciding.text}" if deciding.name == "plan" else deciding.text
        if last.outcome is Outcome.OK:
            return gettext("The service has all that is wanted of this person.")
        return gettext("There is nothing to tell the service of this person.")


def trace(subject: str, connection: Connection) -> Trace:
    """The trace of one person (``user:<pk>``, ``lead:<id>``). Raises ``ValueError`` for what is no subject."""
    return trace_of(look(subject, connection))


def trace_of(found: Look) -> Trace:
    """The trace of somebody who was looked at already."""
    steps = [_marked(found), _mapped(found), _consent(found), _plan(found), _call(found), _answer(found)]
    return Trace(found.subject, found.connection, steps)


# Marked


def _marked(found: Look) -> Step:
    connection, rows = found.connection, found.rows
    if rows:
        first = min(rows, key=lambda row: (row.lane, row.due_at))
        more = tuple(_row(row) for row in sorted(rows, key=lambda row: (row.lane, row.due_at)))
        return Step("marked", Outcome.OK, gettext("Waits in the outbox to be sent."), first.marked_at, more)
    if found.dead:
        last = max(found.dead, key=lambda row: row.died_at)
        return Step("marked", Outcome.OK, gettext("Was marked, and is among the rejected rows."), last.marked_at)
    if found.state is not None and not found.plan.calls:
        return Step("marked", Outcome.OK, gettext("Nothing is due: the last mark has been sent."), found.state.sent_at)
    if not connection.push_enabled:
        text = gettext("The connection is switched off, so nobody is marked for it: switch it on, then reconcile.")
        return Step("marked", Outcome.STOPS, text)
    if found.state is not None:
        text = gettext(
            "Changed since the last push, and nobody marked it: it was changed past Django's signals. "
            "Press Sync now, or reconcile the connection."
        )
        return Step("marked", Outcome.STOPS, text, found.state.sent_at)
    if found.person is not None and found.plan.calls:
        text = gettext(
            "Never marked: not saved since the connection was made, or changed past Django's signals. "
            "Press Sync now, or reconcile the connection."
        )
        return Step("marked", Outcome.STOPS, text)
    return Step("marked", Outcome.NOTHING, gettext("Nothing is due."))


def _row(row: OutboxRow) -> str:
    told = {
        "kind": row.get_kind_display(), "lane": row.get_lane_display(), "due": _moment(row.due_at),
        "attempts": row.attempts,
    }  # fmt: skip
    if row.claim_token:
        return gettext("%(kind)s: lane %(lane)s, being sent right now") % told
    if row.attempts:
        return gettext("%(kind)s: lane %(lane)s, tried %(attempts)s times, due %(due)s") % told
    return gettext("%(kind)s: lane %(lane)s, due %(due)s") % told


# Mapped


def _mapped(found: Look) -> Step:
    if found.error:
        return Step("mapped", Outcome.STOPS, found.error)
    path = str(found.connection.option("PROFILE"))
    refused = found.batch.verdicts.get(found.subject)
    if refused is not None and refused.code == "duplicate_address":
        return Step("mapped", Outcome.STOPS, worded(refused.reason), more=_unverified(found))
    if refused is not None:
        more = (gettext("The mapping is %(path)s.") % {"path": path},)
        return Step(
            "mapped", Outcome.STOPS, worded(refused.reason), more=more if refused.code == MAPPING_FAILED else ()
        )
    if not found.exists:
        return _not_there(found)
    profile = found.profile
    if profile is None:
        text = gettext("The mapping %(path)s says of this person: not at this service (None).") % {"path": path}
        return Step("mapped", Outcome.STOPS, text)
    told = {"path": path, "fields": len(profile.fields), "tags": len(frozenset(profile.tags))}
    text = gettext("%(path)s made a profile (fields: %(fields)s, tags: %(tags)s).") % told
    if parse_subject(found.subject)[0] == "lead":
        text = gettext("A lead: the stored profile of a person without an account.")
    return Step("mapped", Outcome.OK, text, more=_unverified(found), private=(profile.email,))


def _not_there(found: Look) -> Step:
    kind, pk = parse_subject(found.subject)
    owner = Lead.objects.filter(pk=pk).values_list("user", flat=True).first() if kind == "lead" else None
    if owner is not None:
        text = gettext("This lead signed up and is now user:%(pk)s: look there.") % {"pk": owner}
        return Step("mapped", Outcome.STOPS, text)
    if found.person is not None:
        text = gettext("Is not in this site any more; the service is told of the departure.")
        return Step("mapped", Outcome.OK, text)
    return Step("mapped", Outcome.STOPS, gettext("Is not in this site any more."))


def _unverified(found: Look) -> tuple[str, ...]:
    """Whether the user still has to show that the address is theirs, which a lead's contact waits for."""
    if not settings.EMAIL_VERIFIED or parse_subject(found.subject)[0] != "user":
        return ()
    user = get_user_model()._default_manager.filter(pk=parse_subject(found.subject)[1]).first()
    try:
        is_verified = user is None or address_is_verified(user)
    except ConfigurationError as error:
        return (str(error),)
    except Exception as error:  # noqa: BLE001 (the site's own code)
        return (gettext("EMAIL_VERIFIED raised %(name)s.") % {"name": type(error).__name__},)
    if is_verified:
        return ()
    return (gettext("The user has not shown yet that the address is theirs: a lead with it stays a person apart."),)


# Consent


def _consent(found: Look) -> Step:
    acts, optout = found.batch.acts.get(found.subject, []), found.batch.optouts.get(found.subject)
    mapped = found.profile.consent if found.profile is not None else UNKNOWN
    policy = "" if found.error else str(found.connection.option("UNKNOWN_CONSENT"))
    resolved = consents.resolve(mapped, acts, optout, unknown_as_granted=policy == "granted")
    more, private = _evidence(mapped, acts)
    if optout is not None:
        told = {"kind": optout.get_kind_display(), "scope": _scope(optout.scope, found), "source": optout.source}
        more = (gettext("Opt-out: %(kind)s, %(scope)s, told by %(source)s") % told, *more)
    at = optout.at if optout is not None else None
    if found.error:
        return Step("consent", Outcome.NOTHING, gettext("Not asked, because the mapping could not be."), at, more)
    if consents.is_forgotten(acts, optout):
        text = gettext("Forgotten: nothing is sent of this address until an explicit subscribe.")
        return Step("consent", Outcome.STOPS, text, at, more, private)
    if resolved.status is ConsentStatus.REFUSED:
        return _refused(found, at, more, private)
    if resolved.status is ConsentStatus.GRANTED:
        text = gettext("Granted: may be mailed.")
        return Step("consent", Outcome.OK, text, at, more, private)
    if policy == "skip" and found.contact is None and found.state is None:
        text = gettext('Unknown, and UNKNOWN_CONSENT is "skip": nobody is sent who was not asked.')
        return Step("consent", Outcome.STOPS, text, at, more, private)
    text = gettext("Unknown: is sent, and is not mailed until the person agrees.")
    return Step("consent", Outcome.OK, text, at, more, private)


def _refused(found: Look, at: datetime | None, more: tuple[str, ...], private: tuple[str, ...]) -> Step:
    if found.contact is None and (found.state is None or not found.plan.calls):
        text = gettext("Refused: nobody is made at a service who does not want mail.")
        return Step("consent", Outcome.STOPS, text, at, more, private)
    text = gettext("Refused: is not mailed, and no push brings the person back; only an explicit subscribe does.")
    return Step("consent", Outcome.OK, text, at, more, private)


def _evidence(mapped: Consent, acts: Iterable[Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was said, and by whom and how, which is the person's own affair."""
    more, private = [], []
    said = [("mapping", mapped.status.value, mapped.who, mapped.when, mapped.how)] if mapped != UNKNOWN else []
    said += [
        (gettext("said explicitly"), act.consent, act.consent_who, act.consent_when, act.consent_how)
        for act in acts
        if act.consent
    ]
    for source, status, who, when, how in said:
        more.append(f"{source}: {status}" + (f", {_moment(when)}" if when else ""))
        if who or how:
            private.append(f"{source}: {who} ({how})" if how else f"{source}: {who}")
    return tuple(more), tuple(private)


def _scope(scope: str, found: Look) -> str:
    return gettext("everywhere") if scope == ALL else gettext("at %(name)s only") % {"name": found.connection}


# Plan


def _plan(found: Look) -> Step:
    if found.error:
        return Step("plan", Outcome.NOTHING, gettext("No plan could be made."))
    notes = [found.plan.notes[found.subject]] if found.subject in found.plan.notes else []
    if found.state is not None and found.state.note and not notes:
        notes = [found.state.note]
    verdict = found.plan.verdicts.get(found.subject)
    if verdict is not None:
        return Step("plan", Outcome.STOPS, worded(verdict.reason), more=tuple(notes))
    if found.person is None:
        return Step("plan", Outcome.NOTHING, gettext("There is nothing to tell of this person."))
    if not found.plan.calls:
        text = gettext("Nothing differs from what was last sent, so no call is needed.")
        return Step("plan", Outcome.OK, text, more=tuple(notes))
    calls = Counter(call.operation for call in found.plan.calls)
    count = len(found.plan.calls)
    text = ngettext("A push would begin with %(count)s call.", "A push would begin with %(count)s calls.", count)
    named = [f"{operation} x {times}" if times > 1 else operation for operation, times in calls.items()]
    if "contacts" in _introduction(found):
        named.append(gettext("Before its first push the connection reads its contacts and tags."))
    return Step("plan", Outcome.WAITS, text % {"count": count}, more=(*named, *notes))


def _introduction(found: Look) -> tuple[str, ...]:
    state: ConnectionState | None = getattr(found.connection, "state", None)
    if found.driver is None or (state is not None and state.introduced_at is not None):
        return ()
    return found.driver.introduction(found.driver.options(found.connection.account()))


# Call


def _call(found: Look) -> Step:
    connection = found.connection
    state: ConnectionState | None = getattr(connection, "state", None)
    more = [_attempt(one) for one in attempts_for(found.subject, connection=connection, most=ATTEMPTS)]
    uses = rate_uses([connection])
    if connection.pk in uses:
        use = uses[connection.pk]
        told = {"used": use.used, "limit": use.limit, "seconds": int(use.seconds)}
        more.append(gettext("Rate: %(used)s of %(limit)s requests used in %(seconds)s seconds") % told)
    why = _why_not(connection, state)
    if why:
        # Whoever is there as wanted is not kept from anything.
        outcome = Outcome.STOPS if found.rows or found.plan.calls else Outcome.NOTHING
        return Step("call", outcome, why, more=tuple(more))
    if state is not None and state.wait_reason and (state.wait_until is None or state.wait_until > timezone.now()):
        text = gettext("The connection waits: %(reason)s.") % {"reason": state.get_wait_reason_display()}
        more = [*([worded(state.wait_detail)] if state.wait_detail else []), *more]
        if state.wait_until is not None:
            more.append(gettext("until %(time)s") % {"time": _moment(state.wait_until)})
        return Step("call", Outcome.WAITS if found.rows else Outcome.NOTHING, text, state.last_failure_at, tuple(more))
    if found.rows and not site_health().works:
        text = gettext("No worker is running, so nothing is sent: start one.")
        return Step("call", Outcome.STOPS, text, more=tuple(more))
    at = state.last_success_at if state is not None else None
    return Step("call", Outcome.OK, gettext("The connection may call now."), at, tuple(more))


def _why_not(connection: Connection, state: ConnectionState | None) -> str:
    if not settings.PUSH:
        return gettext("Pushing is switched off for the whole site (PUSH).")
    if not connection.push_enabled:
        return gettext("The connection is switched off.")
    if connection.paused:
        return gettext("The connection is paused: resume it.")
    if connection.dry_run:
        return gettext("The connection is on dry run: plans are made, nothing is sent.")
    here = site_address()
    if here and connection.bound_url and connection.bound_url != here:
        return gettext("This site is not the one that the connection is bound to: confirm it at the connection.")
    return ""


def _attempt(one: Attempt) -> str:
    told = [_moment(one.at), str(one.get_outcome_display()), one.call, one.code, worded(one.reason)]
    told.append(f"HTTP {one.status}" if one.status else "")
    told.append(gettext("request %(id)s") % {"id": one.request_id} if one.request_id else "")
    return ", ".join(part for part in told if part)


# Answer


def _answer(found: Look) -> Step:
    if found.dead:
        return _rejected(max(found.dead, key=lambda row: row.died_at), found)
    state = found.state
    if state is None or state.sent_at is None:
        if found.contact is not None:
            text = gettext("Nothing was sent yet; the service told of the contact by itself.")
            return Step("answer", Outcome.NOTHING, text, found.contact.seen_at)
        return Step("answer", Outcome.NOTHING, gettext("Nothing was sent yet."))
    contact = found.contact
    if contact is not None and contact.deleted_at is not None:
        text = gettext("Was sent; the contact is gone at the service since.")
        return Step("answer", Outcome.WAITS, text, contact.deleted_at)
    more = [f"HTTP {state.status}"] if state.status else []
    more += [gettext("request %(id)s") % {"id": state.request_id}] if state.request_id else []
    more += [state.note] if state.note else []
    if contact is not None and not is_seen(contact, found.connection):
        more.append(gettext("The service tells nothing by itself: this is what was last sent, not what was seen."))
    return Step("answer", Outcome.OK, gettext("The service took what was last sent."), state.sent_at, tuple(more))


def _rejected(row: DeadRow, found: Look) -> Step:
    more = [f"HTTP {row.status}"] if row.status else []
    more += [gettext("request %(id)s") % {"id": row.request_id}] if row.request_id else []
    more += [gettext("code %(code)s") % {"code": row.code}] if row.code else []
    more += [str(remedy(found.connection.provider, row.code, row.status))]
    return Step(
        "answer",
        Outcome.STOPS,
        f"{row.get_state_display()}: {worded(row.reason) or row.code}",
        row.died_at,
        tuple(more),
    )


def _moment(value: datetime | None) -> str:
    return str(formats.localize(local(value))) if value is not None else ""
