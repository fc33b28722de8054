"""What the site wants said of a person's consent: mapping, explicit acts and opt-outs in one (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from mktg_integration.models import ExplicitActs, OptOut, OptOutKind
from mktg_integration.profile import Consent, ConsentStatus


@dataclass(frozen=True, slots=True)
class Resolved:
    """The consent that holds. ``explicit``: it comes of ``subscribe()``, which alone may bring a contact back."""

    status: ConsentStatus
    evidence: str
    explicit: bool = False
    form: str = ""
    """The form that is to ask for its confirmation (``subscribe(form=…)``), by name or remote id."""


def resolve(
    mapped: Consent, acts: Iterable[ExplicitActs], optout: OptOut | None, *, unknown_as_granted: bool
) -> Resolved:
    """Refusal wins: an opt-out, an ``unsubscribe()``, or a mapping that refuses after the last ``subscribe()``."""
    acts = list(acts)
    act = _latest(acts)
    if optout is not None and not _lifts(act, optout):
        return Resolved(ConsentStatus.REFUSED, f"{optout.kind}:{optout.at.isoformat()}")
    if act is not None and act.status is ConsentStatus.REFUSED:
        return Resolved(ConsentStatus.REFUSED, act.evidence)
    if mapped.status is ConsentStatus.REFUSED and not (act is not None and _is_after(act.when, mapped.when)):
        return Resolved(ConsentStatus.REFUSED, mapped.evidence)
    if act is not None:
        said = [one for one in acts if one.consent and one.consent_when == act.when]
        return Resolved(ConsentStatus.GRANTED, act.evidence, explicit=True, form=said[0].form)
    if mapped.status is ConsentStatus.UNKNOWN and unknown_as_granted:
        return Resolved(ConsentStatus.GRANTED, "UNKNOWN_CONSENT")
    evidence = mapped.evidence if mapped.status is not ConsentStatus.UNKNOWN else ""
    return Resolved(mapped.status, evidence)


def is_forgotten(acts: Iterable[ExplicitActs], optout: OptOut | None) -> bool:
    """Whether the address was forgotten and no ``subscribe()`` came since: nothing may be sent of it."""
    return optout is not None and optout.kind == OptOutKind.FORGOTTEN and not _lifts(_latest(acts), optout)


def is_lifted(acts: Iterable[ExplicitActs], optout: OptOut) -> bool:
    """Whether a ``subscribe()`` came after the opt-out."""
    return _lifts(_latest(acts), optout)


def _lifts(act: Consent | None, optout: OptOut) -> bool:
    return act is not None and act.status is ConsentStatus.GRANTED and _is_after(act.when, optout.at)


def _latest(acts: Iterable[ExplicitActs]) -> Consent | None:
    said = [
        Consent(ConsentStatus(act.consent), act.consent_who, act.consent_when, act.consent_how)
        for act in acts
        if act.consent and act.consent_when is not None
    ]
    return max(said, key=lambda consent: consent.when or datetime.min, default=None)


def _is_after(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and _aware(one) > _aware(other)


def _aware(moment: datetime) -> datetime:
    """A mapping may give a time without a zone; it is then the site's."""
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment
