"""What staff may do beside Django's own add, change, view and delete of each table. Admin and API ask here."""

from __future__ import annotations

from typing import Any, Final

APP: Final = "mktg_integration"

VIEW_PERSONAL_DATA: Final = f"{APP}.view_personal_data"
"""See addresses, names and fields of people; without it they are masked."""
SYNC: Final = f"{APP}.sync_people"
"""Start, cancel and resume runs; send, tag, subscribe and unsubscribe people; pause a connection."""
CONNECT: Final = f"{APP}.connect_accounts"
"""Connect, reconnect and disconnect accounts, and register their webhooks."""
REPLAY: Final = f"{APP}.replay_rows"
"""Replay, confirm and discard what could not be sent."""
ERASE: Final = f"{APP}.erase_people"
"""Have a person forgotten, here and at the services."""

ALL: Final = (VIEW_PERSONAL_DATA, SYNC, CONNECT, REPLAY, ERASE)


def may(user: Any, permission: str) -> bool:
    """Whether this user is active staff with the permission (one of the above, or one of Django's own)."""
    return bool(user.is_active and user.is_staff and user.has_perm(permission))
