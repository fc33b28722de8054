"""A site with a page, a signup that logs in, and a newsletter form."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import path

from mktg_integration import shortcuts

PAGE = "{% load convertloop %}<head>{% convertloop_tracking %}</head><form>{% convertloop_visitor %}</form>"


def agreed(request: HttpRequest) -> bool:
    """For ``VISITOR_CONSENT``."""
    return request.COOKIES.get("consent") == "all"


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Template(PAGE).render(RequestContext(request)))


def signup(request: HttpRequest) -> HttpResponse:
    users: Any = get_user_model()._default_manager
    user = users.create_user(request.POST["name"], f"{request.POST['name']}@example.com")
    login(request, user)
    return HttpResponse("welcome")


def newsletter(request: HttpRequest) -> HttpResponse:
    pid = request.mktg_visitor.pid  # type: ignore[attr-defined]
    shortcuts.subscribe(request.POST["email"], who="the person", how="form", pid=pid)
    return HttpResponse("thank you")


async def whoami(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.mktg_visitor.pid)  # type: ignore[attr-defined]


urlpatterns = [
    path("", page),
    path("signup/", signup),
    path("newsletter/", newsletter),
    path("whoami/", whoami),
]
