"""Preference links: signed, without a login, and without the address in them.

A link names the person and a keyed hash of the address that it was sent to, so that it tells by itself what its holder
may still do: everything while it is fresh and the address is the person's, and to unsubscribe for ever.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final, NamedTuple

from django.core.signing import BadSignature, SignatureExpired, TimestampSigner
from django.urls import reverse

from mktg_integration.conf import settings
from mktg_integration.connections import public_address
from mktg_integration.encryption import address_hash

SALT: Final = "mktg_integration.preferences"
HEADER: Final = "List-Unsubscribe"
ONE_CLICK: Final = "One-Click"
URL_NAME: Final = "mktg_integration:preferences"


class Link(NamedTuple):
    """What a link says: whose it is (``user:<pk>``, ``lead:<id>``), the keyed hash of the address that it was sent to,
    and whether it is younger than ``PREFERENCE_LINK_DAYS``."""

    subject: str
    address_hash: str
    is_fresh: bool


def make(subject: str, address: str) -> str:
    """The link's token. Nobody can make one without the site's ``SECRET_KEY``."""
    return _signer().sign_object([subject, address_hash(address)])


def read(token: str) -> Link | None:
    """What the token says; None where this site did not sign it. No statement."""
    signer, is_fresh = _signer(), True
    try:
        told = signer.unsign_object(token, max_age=timedelta(days=settings.PREFERENCE_LINK_DAYS))
    except SignatureExpired:
        told, is_fresh = signer.unsign_object(token), False
    except BadSignature:
        return None
    subject, hashed = told
    return Link(subject, hashed, is_fresh)


def url(subject: str, address: str) -> str:
    """The link, under ``PUBLIC_URL``. Raises ``ConfigurationError`` without it."""
    return public_address(reverse(URL_NAME, args=[make(subject, address)]))


def headers(link: str) -> dict[str, str]:
    """A mail's headers by which its reader unsubscribes with one click (RFC 8058)."""
    return {HEADER: f"<{link}>", f"{HEADER}-Post": f"{HEADER}={ONE_CLICK}"}


def _signer() -> TimestampSigner:
    # Neither a colon nor a dot at the end: what finds links in plain text would cut it off.
    return TimestampSigner(salt=SALT, sep="~")
