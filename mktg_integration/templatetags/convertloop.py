"""``{% load convertloop %}``: ConvertLoop's tracking script, and the visitor in a form. Neither for somebody who has
not agreed (``VISITOR_CONSENT``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.middleware import COOKIE, Visitor
from mktg_integration.models import Connection
from mktg_integration.providers.convertloop.tracking import Tracking, tracking

register = template.Library()

NOTHING = SafeString("")


@register.simple_tag(takes_context=True)
def convertloop_tracking(context: Mapping[str, Any], connection: str = "", nonce: str = "") -> SafeString:
    """The tracking script, for the end of ``<head>``.

    ``connection``: the connection's name, where there are several of ConvertLoop or it is not declared in settings.
    ``nonce``: of the page's Content-Security-Policy; default ``csp_nonce`` of the context or the request. Raises
    ``ConfigurationError`` where the connection is not there or has no ``TRACKING_SCRIPT``.
    """
    visitor = _visitor(context)
    if visitor is None or not visitor.agreed:
        return NOTHING
    script = _tracking(connection)
    given = nonce or context.get("csp_nonce") or getattr(context.get("request"), "csp_nonce", "")
    attribute = format_html(' nonce="{}"', given) if given else NOTHING
    # The configuration stands in an attribute, where it is data whatever it holds.
    return format_html(
        '<script async src="{}" id="mktg-convertloop" data-configure="{}"{}></script>\n'
        '<script{}>document.getElementById("mktg-convertloop").addEventListener("load",function(){{'
        '_dp("configure",JSON.parse(this.dataset.configure))}})</script>',
        script.src,
        json.dumps(script.configure),
        attribute,
        attribute,
    )


@register.simple_tag(takes_context=True)
def convertloop_visitor(context: Mapping[str, Any]) -> SafeString:
    """A hidden field that carries the visitor, for a form to another host, where the cookie does not go."""
    visitor = _visitor(context)
    if visitor is None or not visitor.pid:
        return NOTHING
    return format_html('<input type="hidden" name="{}" value="{}">', COOKIE, visitor.pid)


def _visitor(context: Mapping[str, Any]) -> Visitor | None:
    request = context.get("request")
    if request is None:
        return None
    return getattr(request, "mktg_visitor", None) or Visitor(request)


def _tracking(name: str) -> Tracking:
    """Of a connection that settings declare, without asking the database."""
    declared = [key for key, given in settings.CONNECTIONS.items() if given.get("PROVIDER") == "convertloop"]
    if not name and len(declared) != 1:
        raise ConfigurationError(
            "convertloop_tracking: name the connection, as in {% convertloop_tracking 'loop' %}: "
            f"settings declare {len(declared)} of ConvertLoop"
        )
    name = name or declared[0]
    if name in declared:
        given = settings.CONNECTIONS[name]
        return tracking(name, app_id=str(given.get("APP_ID", "")), src=str(given.get("TRACKING_SCRIPT", "")))
    connection = Connection.objects.filter(name=name, provider="convertloop").first()
    if connection is None:
        raise ConfigurationError(f"convertloop_tracking: there is no connection {name!r} of ConvertLoop")
    account = connection.account()
    return tracking(
        name,
        app_id=account.credentials.get("APP_ID", ""),
        src=str(account.options.get("TRACKING_SCRIPT", "")),
    )
