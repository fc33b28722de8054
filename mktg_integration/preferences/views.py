"""The page behind a preference link, and the one-click unsubscribe of RFC 8058 at the same address.

The signed link is the authority: no login, no cookie, and so nothing that a forged request could ride on. ``GET``
changes nothing, because what scans mails follows links.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from django.db.models import Model
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation, DefaultContentNegotiation
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.renderers import TemplateHTMLRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from mktg_integration import preference_links
from mktg_integration.audit import Actor
from mktg_integration.encryption import address_hash
from mktg_integration.people import address_of, person_of
from mktg_integration.preference_links import HEADER, ONE_CLICK, Link
from mktg_integration.preferences import choices
from mktg_integration.preferences.hints import text_of
from mktg_integration.preferences.standing import Standing, standing
from mktg_integration.preferences.throttles import LinkThrottle

BY_LINK: Final = Actor(None, "link")
LINK: Final = "preference link"
CLICK: Final = "one-click unsubscribe"

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Frame-Options": "DENY",
}


class _Page(TemplateHTMLRenderer):
    template_name = "mktg_integration/preferences/page.html"
    exception_template_names = ["mktg_integration/preferences/problem.html"]


class _AnyAccept(BaseContentNegotiation):
    """What the caller would like to read is no reason to refuse an unsubscribe."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return DefaultContentNegotiation().select_parser(request, parsers)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class PreferencesView(APIView):
    """For whoever holds the link. ``POST`` with ``List-Unsubscribe=One-Click`` unsubscribes and says so in one line;
    ``action=leave`` and ``action=save`` are the page's own."""

    authentication_classes = ()
    permission_classes = ()
    throttle_classes = (LinkThrottle,)
    parser_classes = (FormParser, MultiPartParser)
    renderer_classes = (_Page,)
    content_negotiation_class = _AnyAccept
    # A page for people, no part of the API's description.
    schema = None

    def get(self, request: Request, token: str) -> Response:
        return self._page(_link(token))

    def post(self, request: Request, token: str) -> HttpResponseBase:
        link = _link(token)
        given: Any = request.data
        if given.get(HEADER) == ONE_CLICK:
            choices.leave(link, actor=BY_LINK, how=CLICK)
            return HttpResponse(_("You are unsubscribed."), content_type="text/plain; charset=utf-8")
        action = given.get("action")
        if action == "leave":
            choices.leave(link, actor=BY_LINK, how=LINK)
            return self._page(link, said=_("You are unsubscribed. You will get no more of these mails."))
        person = _holder(link)
        if action != "save" or person is None:
            raise exceptions.ParseError(_("Nothing was changed. Open the page again and choose there."))
        before = standing(person)
        wanted = _wanted(request, before)
        after = choices.choose(person, actor=BY_LINK, how=LINK, **wanted)
        return self._page(link, said=_said(before, after))

    def _page(self, link: Link, said: str = "") -> Response:
        person = _holder(link)
        now = standing(person) if person is not None else None
        hints = [text_of(hint) for hint in now.hints] if now is not None else []
        return Response({"now": now, "hints": hints, "said": said})

    def get_exception_handler(self) -> Any:
        return exception_handler

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, exceptions.Throttled):
            response.data = {"title": _("Too many at once"), "text": _("Wait a minute, then try again.")}
        elif isinstance(exc, exceptions.NotFound):
            response.data = {
                "title": _("This link is not valid"),
                "text": _("Perhaps it was cut off. Open it from the mail again, or copy it as a whole."),
            }
        else:
            response.data = {"title": _("This did not work"), "text": str(getattr(exc, "detail", ""))}
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        for name, value in HEADERS.items():
            response.headers[name] = value
        # Django would log the address of what it takes for an error, and whoever has the address may choose.
        response._has_been_logged = True
        return response


def _link(token: str) -> Link:
    link = preference_links.read(token)
    if link is None:
        raise exceptions.NotFound
    return link


def _holder(link: Link) -> Any:
    """The person whose preferences the link still opens; None: it can only unsubscribe."""
    person = person_of(link.subject) if link.is_fresh else None
    return person if person is not None and _has_address(person, link) else None


def _has_address(person: Model, link: Link) -> bool:
    """Whether the address that the link was sent to is still this person's."""
    address = address_of(person)
    return bool(address) and hmac.compare_digest(address_hash(address), link.address_hash)


def _wanted(request: Request, now: Standing) -> dict[str, Any]:
    """What was chosen in the form. A box counts as changed against what the form had shown: a page that was left open
    must not bring back who has unsubscribed since."""
    given: Any = request.data
    ticked, was_on = given.getlist("topic"), given.getlist("was_on")
    subscribed = "subscribed" in given
    topics = {topic.key: topic.key in ticked for topic in now.topics if (topic.key in ticked) != (topic.key in was_on)}
    return {"subscribed": None if subscribed == ("was_subscribed" in given) else subscribed, "topics": topics}


def _said(before: Standing, after: Standing) -> str:
    if before.subscribed and not after.subscribed:
        return _("Saved. You are unsubscribed and will get no more of these mails.")
    if after.subscribed and not before.subscribed:
        return _("Saved. One thing is left to do.") if after.waits else _("Saved. You are subscribed.")
    return _("Saved.")
