"""Field by field: wanted by the site, last sent, known at the service, and what a push would send."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils.translation import gettext_lazy as _

from mktg_integration.insight.looking import Look, look
from mktg_integration.models import Connection
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Intent, Snapshot
from mktg_integration.providers.values import is_same
from mktg_integration.push import snapshots

ABSENT: Any = None


class Standing(StrEnum):
    """How the columns of one field stand to each other."""

    SAME = "same"
    SENDING = "sending"
    """Wanted otherwise than last sent: a push would send it."""
    DRIFT = "drift"
    """Only the service changed it, so it is left alone."""
    THEIRS = "theirs"
    """Nothing of ours: never written."""


STANDINGS = {
    Standing.SAME: _("in step"),
    Standing.SENDING: _("differs: would be sent"),
    Standing.DRIFT: _("differs: changed at the service, left alone"),
    Standing.THEIRS: _("not managed by this site"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One field. ``personal``: its values are masked for whoever may not see personal data."""

    name: str
    wanted: Any = ABSENT
    sent: Any = ABSENT
    known: Any = ABSENT
    push: Any = ABSENT
    """What a push would send; None where nothing."""
    standing: Standing = Standing.SAME
    personal: bool = True

    @property
    def said(self) -> Any:
        """The standing in words."""
        return STANDINGS[self.standing]


def wanted_beside_known(subject: str, connection: Connection) -> list[Compared]:
    """One person's fields at one connection; see ``compare``."""
    return compare(look(subject, connection))


def compare(found: Look) -> list[Compared]:
    """Address, consent, fields, company and tags of the person, in this order."""
    person = found.person
    wanted = person.wanted if person is not None else None
    sent = person.sent if person is not None else None
    if sent is None and found.state is not None and found.state.sent:
        sent = snapshots.load(found.state.sent)
    return list(_Comparison(found, wanted, sent).rows())


class _Comparison:
    def __init__(self, found: Look, wanted: Snapshot | None, sent: Snapshot | None) -> None:
        self.found = found
        self.wanted = wanted
        self.sent = sent
        self.contact = found.contact
        self.patches = [call.patches[found.subject] for call in found.plan.calls if found.subject in call.patches]
        self.is_planned = bool(found.plan.calls)

    def rows(self) -> Iterator[Compared]:
        yield from self._email()
        yield from self._consent()
        yield from self._values("", "values", self.contact.values if self.contact else {})
        yield from self._values("company.", "company", self.contact.company_values if self.contact else {})
        yield from self._tags()

    def _email(self) -> Iterator[Compared]:
        wanted = self.wanted.email if self.wanted else ABSENT
        sent = self.sent.email if self.sent else ABSENT
        known = self.contact.email if self.contact else ABSENT
        if wanted or sent or known:
            differs = _differs(wanted, sent)
            pushed = next((patch.email for patch in self.patches if patch.email), None)
            standing = self._standing(wanted, known, sending=bool(pushed) or (differs and self.is_planned))
            yield Compared(
                name="email", wanted=wanted, sent=sent, known=known, standing=standing,
                push=pushed or (wanted if standing is Standing.SENDING else None),
            )  # fmt: skip

    def _consent(self) -> Iterator[Compared]:
        wanted = self.wanted.consent.value if self.wanted else ABSENT
        sent = self.sent.consent.value if self.sent else ABSENT
        known = self.contact.status if self.contact else ABSENT
        push = next((patch.consent.value for patch in self.patches if patch.consent is not None), None)
        if wanted or sent or known:
            standing = Standing.SENDING if push else Standing.SAME
            yield Compared(
                name="consent", wanted=wanted, sent=sent, known=known, push=push, standing=standing, personal=False
            )

    def _values(self, prefix: str, part: str, known: Mapping[str, Any]) -> Iterator[Compared]:
        wanted: Mapping[str, Any] = getattr(self.wanted, part) if self.wanted else {}
        sent: Mapping[str, Any] = getattr(self.sent, part) if self.sent else {}
        pushed: dict[str, Any] = {}
        for patch in self.patches:
            pushed |= getattr(patch, part)
        for name in [*sorted({*wanted, *sent}), *sorted(set(known) - {*wanted, *sent})]:
            is_ours = name in wanted or name in sent
            differs = name in wanted and not is_same(wanted[name], sent.get(name))
            # Before a look-up is answered no patch says what is going to be sent.
            sends = name in pushed or (differs and self.is_planned and not self.patches)
            there = known.get(name, ABSENT)
            standing = self._standing(wanted.get(name), there, sending=sends, known=name in known)
            yield Compared(
                name=f"{prefix}{name}", wanted=wanted.get(name), sent=sent.get(name), known=there,
                push=pushed.get(name, wanted.get(name)) if sends else None,
                standing=standing if is_ours else Standing.THEIRS,
            )  # fmt: skip

    def _tags(self) -> Iterator[Compared]:
        normal = self.found.driver.normal_tag if self.found.driver is not None else str.strip
        wanted = {normal(tag) for tag in self.wanted.tags} if self.wanted else set()
        sent = set(self.sent.tags) if self.sent else set()
        known = set(self.found.tag_names)
        owned = set(self.found.state.owned_tags) if self.found.state else set()
        person = self.found.person
        going = (owned - wanted) if person is not None else set()
        going |= set(person.drop_tags) if person is not None else set()
        if person is not None and person.intent is not Intent.SYNC:
            going = owned
        for name in sorted(wanted | sent | known | owned):
            coming = name in wanted and name not in sent and name not in known and self.is_planned
            leaving = name in going and name in (known | sent) and self.is_planned
            push = "+" if coming else "−" if leaving else None
            lost = name in wanted and name in sent and self.contact is not None and name not in known
            is_ours = name in wanted | sent | owned
            standing = Standing.SENDING if push else Standing.DRIFT if lost else Standing.SAME
            yield Compared(
                name=f"tag: {name}", wanted=name in wanted, sent=name in sent, known=name in known, push=push,
                standing=standing if is_ours or push else Standing.THEIRS, personal=False,
            )  # fmt: skip

    def _standing(self, wanted: Any, there: Any, *, sending: bool, known: bool = True) -> Standing:
        if sending:
            return Standing.SENDING
        has_drifted = self.contact is not None and known and wanted is not None and _differs(wanted, there)
        return Standing.DRIFT if has_drifted else Standing.SAME


def _differs(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str) and "@" in one:
        return normal_email(one) != normal_email(other)
    return not is_same(one, other)
