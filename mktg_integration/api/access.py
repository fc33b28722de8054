"""Who may call the API, and how often: the site's own authentication, permissions and throttles, then ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import ScopedRateThrottle

from mktg_integration.api.problems import handle
from mktg_integration.conf import NAME, api_rate, settings
from mktg_integration.permissions import may

Needs = Mapping[str, str | Sequence[str]]
"""``{action: permission or permissions}``; no permissions: any active staff."""

STAFF: Final[tuple[str, ...]] = ()


class MayDo(BasePermission):
    """Staff with the permissions that ``view.needs`` names for the action; one that it does not name is nobody's."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needs: Needs = view.needs
        name = action_of(request, view)
        if name in needs:
            return _has(request.user, needs[name])
        if name in ("metadata", ""):
            # OPTIONS, and a method that the address does not take: for whoever may do anything there.
            return any(_has(request.user, one) for one in needs.values())
        return False


def action_of(request: Request, view: Any) -> str:
    """The action of a view set, the method of a plain view; empty for a method that the address does not take."""
    if hasattr(view, "action"):
        return view.action or ""
    method = (request.method or "").lower()
    if method == "options":
        return "metadata"
    if method == "head":
        method = "get"
    return method if hasattr(view, method) else ""


def _has(user: Any, needed: str | Sequence[str]) -> bool:
    if isinstance(needed, str):
        return may(user, needed)
    staff = bool(getattr(user, "is_active", False) and getattr(user, "is_staff", False))
    return staff and all(may(user, one) for one in needed)


class ScopedThrottle(ScopedRateThrottle):
    """DRF's, by scopes of our own with rates of our own; ``MKTG_INTEGRATION["API"]["THROTTLE_RATES"]`` or the site's
    ``DEFAULT_THROTTLE_RATES`` replace them. Not by ``throttle_scope``, for which a site may have a throttle itself."""

    scope_attr = "rate_scope"

    def get_rate(self) -> str | None:
        return api_rate(str(self.scope))


class Guarded:
    """For every view of the API: the site's own rules, or those of ``MKTG_INTEGRATION["API"]``, and then the view's."""

    permission_classes: Sequence[Any] = [MayDo]
    needs: Needs = {}
    read_scope = "mktg-read"
    write_scope = "mktg-write"
    calling: frozenset[str] = frozenset()
    """Actions that call a service while the caller waits."""

    @property
    def rate_scope(self) -> str:
        request: Any = getattr(self, "request", None)
        if request is None:
            return self.read_scope
        if action_of(request, self) in self.calling:
            return "mktg-call"
        return self.read_scope if request.method in SAFE_METHODS else self.write_scope

    def get_authenticators(self) -> list[Any]:
        return [one() for one in import_classes("AUTHENTICATION_CLASSES", api_settings.DEFAULT_AUTHENTICATION_CLASSES)]

    def get_permissions(self) -> list[Any]:
        site = import_classes("PERMISSION_CLASSES", api_settings.DEFAULT_PERMISSION_CLASSES)
        return [one() for one in (*site, *self.permission_classes)]

    def get_throttles(self) -> list[Any]:
        site = import_classes("THROTTLE_CLASSES", api_settings.DEFAULT_THROTTLE_CLASSES)
        return [one() for one in (*site, ScopedThrottle)]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)  # type: ignore[misc]
        # What is told of people, and to whom, is for no cache on the way.
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def get_exception_handler(self) -> Any:
        return handle


def import_classes(name: str, site: Sequence[Any]) -> list[Any]:
    """Those that ``MKTG_INTEGRATION["API"]`` names, else the site's own. Raises ``ConfigurationError``."""
    given = settings.API.get(name)
    if given is None:
        return list(site)
    where = f'{NAME}["API"]["{name}"]'
    return [settings.import_path(one, where) if isinstance(one, str) else one for one in given]
