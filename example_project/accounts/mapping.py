"""The mapping: what the services get to know of a user of this site."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet

from example_project.accounts import models as accounts
from example_project.accounts.models import Member, NewsletterConsent
from mktg_integration.models import Connection
from mktg_integration.profile import UNKNOWN, Company, Consent, Profile

FIELDS = frozenset({"job_title", "city", "plan", "signup_source"})
# Kit's missing fields are created and ConvertLoop takes any; Conversion refuses a field that the account does not
# define, so only those are named there that every new account has.
FIELDS_AT_CONVERSION = frozenset({"job_title"})


def profile(user: User, connection: Connection) -> Profile | None:
    """The profile of a user; None for one without an address, or whose account is closed."""
    if not user.email or not user.is_active:
        return None
    # A user made by a script or by createsuperuser has no member row.
    member: Member | None = getattr(user, "member", None)
    topics = member.topics.all() if member else ()
    return Profile(
        email=user.email,
        first_name=user.first_name,
        last_name=user.last_name,
        fields={name: getattr(member, name, "") for name in _fields_at(connection)},
        tags={group.name for group in user.groups.all()} | {topic.name for topic in topics},
        company=_company(member),
        consent=_consent(member),
    )


def prepare(users: QuerySet[User]) -> QuerySet[User]:
    """Read all that ``profile`` looks at in three statements, however many users there are."""
    return users.select_related("member__company").prefetch_related("groups", "member__topics")


def users_of(company: accounts.Company) -> QuerySet[User]:
    """Whose profiles change with their company's name; see ``WATCH`` in the settings."""
    return User.objects.filter(member__company=company)


def _fields_at(connection: Connection) -> frozenset[str]:
    return FIELDS_AT_CONVERSION if connection.provider == "conversion" else FIELDS


def _company(member: Member | None) -> Company | None:
    if member is None or member.company is None:
        return None
    company = member.company
    return Company(external_id=str(company.pk), name=company.name, domain=company.domain)


def _consent(member: Member | None) -> Consent:
    said = member.newsletter if member else NewsletterConsent.UNKNOWN
    if member is None or said == NewsletterConsent.UNKNOWN:
        return Consent.granted(how="EXAMPLE_CONSENT") if settings.EXAMPLE_CONSENT == "granted" else UNKNOWN
    say = Consent.granted if said == NewsletterConsent.GRANTED else Consent.refused
    return say(who=member.newsletter_said_by, when=member.newsletter_said_at, how=member.newsletter_said_how)


profile.prepare = prepare  # type: ignore[attr-defined]
profile.fields = FIELDS  # type: ignore[attr-defined]
