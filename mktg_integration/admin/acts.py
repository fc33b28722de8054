"""The buttons of a connection: what each is called, who may press it, when it makes sense, and what it has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from mktg_integration.audit import Actor
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection, Run
from mktg_integration.models.connections import site_address
from mktg_integration.operations import connections as operations
from mktg_integration.operations import runs
from mktg_integration.permissions import CONNECT, SYNC, may
from mktg_integration.providers.base import Provider

Do = Callable[[Actor, Connection], Run | None]


@dataclass(frozen=True, kw_only=True)
class Act:
    """``label`` stands on the button, ``said`` is told when it was pressed. ``group`` is where the page shows it."""

    name: str
    label: str | Promise
    said: str | Promise
    permission: str
    do: Do
    group: str = "send"
    fits: Callable[[Connection], bool] = lambda connection: True
    """Whether the button is shown; what it asks for is checked again when it is pressed."""


def _is_on(connection: Connection) -> bool:
    return connection.push_enabled


def _sends(connection: Connection) -> bool:
    return connection.push_enabled and not connection.paused and not connection.dry_run


def _reads(connection: Connection) -> bool:
    try:
        return type(connection.driver).streams is not Provider.streams
    except MktgError:
        return False


def _tells(connection: Connection) -> bool:
    try:
        return connection.driver.webhooks is not None
    except MktgError:
        return False


def _quiet(do: Callable[[Actor, Connection], None]) -> Do:
    """An act that makes no run."""

    def done(actor: Actor, connection: Connection) -> None:
        do(actor, connection)

    return done


ACTS = (
    Act(
        name="push",
        label=_("Push now"),
        said=_("What is due is being sent."),
        permission=SYNC,
        do=operations.push_now,
        group="card",
        fits=_sends,
    ),
    Act(
        name="pull",
        label=_("Pull now"),
        said=_("What has changed is being read."),
        permission=SYNC,
        do=runs.start_pull,
        group="card",
        fits=_reads,
    ),
    Act(
        name="resume",
        label=_("Resume"),
        said=_("It sends again, beginning with what was kept."),
        permission=SYNC,
        do=_quiet(operations.resume),
        group="card",
        fits=lambda connection: connection.paused,
    ),
    Act(
        name="pause",
        label=_("Pause"),
        said=_("It is paused: changes are kept, and nothing is sent."),
        permission=SYNC,
        do=_quiet(operations.pause),
        group="card",
        fits=lambda connection: connection.push_enabled and not connection.paused,
    ),
    Act(
        name="pull_full",
        label=_("Pull everything"),
        said=_("Everything is being read anew."),
        permission=SYNC,
        do=lambda actor, connection: runs.start_pull(actor, connection, full=True),
        fits=_reads,
    ),
    Act(
        name="push_everybody",
        label=_("Push everybody"),
        said=_("Everybody is marked, and whoever differs is being sent."),
        permission=SYNC,
        do=lambda actor, connection: operations.push_now(actor, connection, everybody=True),
        fits=_sends,
    ),
    Act(
        name="reconcile",
        label=_("Preview a reconcile"),
        said=_("Everybody is being compared with what was sent; nothing is sent until it is confirmed."),
        permission=SYNC,
        do=runs.start_reconcile,
        fits=_is_on,
    ),
    Act(
        name="dry_run_on",
        label=_("Start a dry run"),
        said=_("Changes are kept and can be previewed; nothing is sent."),
        permission=SYNC,
        do=lambda actor, connection: operations.set_dry_run(actor, connection, True),
        fits=lambda connection: connection.push_enabled and not connection.dry_run,
    ),
    Act(
        name="dry_run_off",
        label=_("End the dry run and send"),
        said=_("The dry run has ended: what was kept is being sent."),
        permission=SYNC,
        do=lambda actor, connection: operations.set_dry_run(actor, connection, False),
        fits=lambda connection: connection.dry_run,
    ),
    Act(
        name="confirm_site",
        label=_("Confirm that this site writes"),
        said=_("This site is the one that acts for the connection."),
        permission=CONNECT,
        do=_quiet(operations.confirm_site),
        group="site",
        fits=lambda connection: bool(site_address()) and connection.bound_url not in ("", site_address()),
    ),
    Act(
        name="register_webhooks",
        label=_("Register webhooks"),
        said=_("The service is being asked to tell what happens there."),
        permission=CONNECT,
        do=_quiet(operations.register_webhooks),
        group="webhooks",
        fits=_tells,
    ),
    Act(
        name="repair_webhooks",
        label=_("Repair webhooks"),
        said=_("What is missing at the service is being made anew."),
        permission=CONNECT,
        do=_quiet(operations.repair_webhooks),
        group="webhooks",
        fits=_tells,
    ),
    Act(
        name="remove_webhooks",
        label=_("Remove webhooks"),
        said=_("The webhooks are being removed."),
        permission=CONNECT,
        do=_quiet(operations.remove_webhooks),
        group="webhooks",
        fits=_tells,
    ),
)
BY_NAME = {act.name: act for act in ACTS}


def offered(user: Any, connection: Connection, group: str = "card") -> tuple[Act, ...]:
    """The buttons of a group that this user may press and that fit the connection as it is."""
    return tuple(act for act in ACTS if act.group == group and may(user, act.permission) and act.fits(connection))
