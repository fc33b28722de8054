"""Visitors: carries ConvertLoop's cookie to the signup, so that what somebody did before joins their history there."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.contrib.auth.signals import user_logged_in
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase

from mktg_integration import shortcuts
from mktg_integration.conf import settings

logger = logging.getLogger("mktg_integration.tracking")

COOKIE = "dp_pid"
"""The cookie of ConvertLoop's tracking script; also the name of the hidden field that carries it across hosts."""
_PID = re.compile(r"[!-~]{1,255}")

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


class Visitor:
    """Who sends a request, as far as ConvertLoop's tracking script has told. Nothing is read before it is asked for."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def agreed(self) -> bool:
        """What the site's ``VISITOR_CONSENT`` says of this request; False where the site has none."""
        if not settings.VISITOR_CONSENT:
            return False
        agreed = settings.import_path(settings.VISITOR_CONSENT, 'MKTG_INTEGRATION["VISITOR_CONSENT"]')
        return bool(agreed(self._request))

    @cached_property
    def pid(self) -> str:
        """Under what ConvertLoop knows the visitor; empty where it does not, or where the visitor has not agreed."""
        given = self._request.COOKIES.get(COOKIE) or self._posted()
        return given if _PID.fullmatch(given) and self.agreed else ""

    def _posted(self) -> str:
        return self._request.POST.get(COOKIE, "") if self._request.method == "POST" else ""


class VisitorMiddleware:
    """Sets ``request.mktg_visitor``, and remembers the visitor's ``pid`` with the user who then logs in, as signing up
    does. Both only where ``VISITOR_CONSENT`` agrees. It may stand anywhere after the session's."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        user_logged_in.connect(remember, dispatch_uid="mktg_integration.visitor")
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        request.mktg_visitor = Visitor(request)  # type: ignore[attr-defined]
        return self.get_response(request)


def remember(sender: Any, request: HttpRequest | None, user: Any, **_: Any) -> None:
    """Receiver of ``user_logged_in``. A failing database is logged: it does not keep anybody from logging in."""
    visitor = getattr(request, "mktg_visitor", None)
    if visitor is None or not visitor.pid:
        return
    try:
        shortcuts.remember_visitor(user, visitor.pid)
    except DatabaseError:
        logger.exception("a visitor could not be remembered")
