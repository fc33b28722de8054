"""The tables, by concern."""

from mktg_integration.models.accounts import AccountSnapshot, ServiceAccount, Webhook
from mktg_integration.models.audience import Form, FormMember, Segment, Sequence, SequenceMember
from mktg_integration.models.audit import AuditAction, AuditEntry
from mktg_integration.models.commerce import Purchase, PurchaseItem
from mktg_integration.models.connections import Connection, ConnectionSource, ConnectionState, RateSlot, WaitReason
from mktg_integration.models.deliveries import Attempt, Outcome
from mktg_integration.models.figures import DailyFigures, Heartbeat
from mktg_integration.models.inbox import InboundAddress, InboxKind, InboxRow, InboxState, WebhookSubscription
from mktg_integration.models.mail import Broadcast, BroadcastStats, EmailTemplate
from mktg_integration.models.mirror import Company, Contact, CustomField, Tag, Tagging
from mktg_integration.models.oauth import OAuthToken
from mktg_integration.models.outbox import BulkJob, BulkState, DeadKind, DeadRow, Kind, Lane, OutboxRow
from mktg_integration.models.people import ExplicitActs, Lead, OptOut, OptOutKind, SyncState
from mktg_integration.models.pulls import PullCheckpoint, PullPage, PullPhase, PullState
from mktg_integration.models.runs import Run, RunKind, RunStatus

__all__ = [
    "AccountSnapshot",
    "Attempt",
    "AuditAction",
    "AuditEntry",
    "Broadcast",
    "BroadcastStats",
    "BulkJob",
    "BulkState",
    "Company",
    "Connection",
    "ConnectionSource",
    "ConnectionState",
    "Contact",
    "CustomField",
    "DailyFigures",
    "DeadKind",
    "DeadRow",
    "EmailTemplate",
    "ExplicitActs",
    "Form",
    "FormMember",
    "Heartbeat",
    "InboundAddress",
    "InboxKind",
    "InboxRow",
    "InboxState",
    "Kind",
    "Lane",
    "Lead",
    "OAuthToken",
    "OptOut",
    "OptOutKind",
    "OutboxRow",
    "Outcome",
    "PullCheckpoint",
    "PullPage",
    "PullPhase",
    "PullState",
    "Purchase",
    "PurchaseItem",
    "RateSlot",
    "Run",
    "RunKind",
    "RunStatus",
    "Segment",
    "Sequence",
    "SequenceMember",
    "ServiceAccount",
    "SyncState",
    "Tag",
    "Tagging",
    "WaitReason",
    "Webhook",
    "WebhookSubscription",
]
