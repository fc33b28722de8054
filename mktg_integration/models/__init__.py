"""The tables, by concern."""

from mktg_integration.models.connections import Connection, ConnectionSource, ConnectionState, RateSlot, WaitReason
from mktg_integration.models.mirror import Company, Contact, CustomField, Tag, Tagging
from mktg_integration.models.outbox import DeadKind, DeadRow, Kind, Lane, OutboxRow
from mktg_integration.models.people import ExplicitActs, Lead, OptOut, OptOutKind, SyncState
from mktg_integration.models.runs import Run, RunKind, RunStatus

__all__ = [
    "Company",
    "Connection",
    "ConnectionSource",
    "ConnectionState",
    "Contact",
    "CustomField",
    "DeadKind",
    "DeadRow",
    "ExplicitActs",
    "Kind",
    "Lane",
    "Lead",
    "OptOut",
    "OptOutKind",
    "OutboxRow",
    "RateSlot",
    "Run",
    "RunKind",
    "RunStatus",
    "SyncState",
    "Tag",
    "Tagging",
    "WaitReason",
]
