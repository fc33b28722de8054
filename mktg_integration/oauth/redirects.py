"""Where a browser may be sent when the account is connected."""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from django.utils.http import url_has_allowed_host_and_scheme

from mktg_integration.models.connections import site_address
from mktg_integration.providers.oauth import OAuthEndpoints

logger = logging.getLogger("mktg_integration.oauth")


def allowed_redirect(url: str, endpoints: OAuthEndpoints, *, host: str, is_secure: bool) -> str:
    """``url`` where it leads to this site (``host``, or ``PUBLIC_URL``'s) or over https to one of the service's own
    hosts; else nothing, and a warning that does not repeat it."""
    if not url:
        return ""
    own = {host, urlsplit(site_address()).netloc} - {""}
    if url_has_allowed_host_and_scheme(url, allowed_hosts=own, require_https=is_secure):
        return url
    try:
        parts = urlsplit(url)
        name, netloc = (parts.hostname or "").lower(), parts.netloc
    except ValueError:
        name, netloc = "", ""
    is_plain = "@" not in netloc and endpoints.allows_redirect_host(name)
    if is_plain and url_has_allowed_host_and_scheme(url, allowed_hosts={netloc}, require_https=True):
        return url
    logger.warning("An address to return to after OAuth was ignored: its host is not allowed")
    return ""
