"""Who may connect accounts."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from mktg_integration.permissions import CONNECT, may


def may_connect(user: Any) -> bool:
    """Staff who may connect accounts."""
    return may(user, CONNECT)


def may_add(user: Any) -> bool:
    """Staff who may also make new ones."""
    return may_connect(user) and bool(user.has_perm("mktg_integration.add_connection"))


class MayConnect(BasePermission):
    """``may_connect`` as a permission of DRF's."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return may_connect(request.user)


class MayAdd(BasePermission):
    """``may_add`` as a permission of DRF's."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return may_add(request.user)
