"""Is this address this person's? A signed link, sent to the address, proves it."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.core import signing
from django.core.mail import send_mail
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from example_project.accounts.models import Member

SALT = "example_project.accounts.confirmation"
DAYS = 7


def is_confirmed(user: User) -> bool:
    """``MKTG_INTEGRATION["EMAIL_VERIFIED"]``: only then does a lead with this address become this user's."""
    member: Member | None = getattr(user, "member", None)
    return member is not None and member.email_confirmed_at is not None


def send_link(user: User, site_url: str) -> None:
    """Mail the link that confirms the user's present address."""
    token = signing.dumps([user.pk, user.email], salt=SALT)
    link = site_url.rstrip("/") + reverse("confirm", args=[token])
    send_mail(_("Confirm your address"), _("Follow this link: %(link)s") % {"link": link}, None, [user.email])


def confirm(token: str) -> bool:
    """Whether the token was good: not forged, not old, and for the address that the user still has."""
    try:
        pk, email = signing.loads(token, salt=SALT, max_age=DAYS * 24 * 3600)
    except signing.BadSignature:
        return False
    member = Member.objects.filter(user_id=pk, user__email=email).first()
    if member is None:
        return False
    if member.email_confirmed_at is None:
        member.email_confirmed_at = timezone.now()
        member.save(update_fields=["email_confirmed_at"])
    return True
