"""The outbox: what has still to be sent, and what could not be."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.fields import EncryptedJSONField
from mktg_integration.models.keys import KeyField


class Lane(models.IntegerChoices):
    """The order in which rows are claimed."""

    URGENT = 0, _("unsubscribes and erasures")
    LIVE = 1, _("signups and changes")
    BACKFILL = 2, _("backfill")


class Kind(models.TextChoices):
    """What a row asks for. Profiles coalesce: one row a person; the others are one row an occurrence."""

    PROFILE = "profile", _("profile")
    EVENT = "event", _("event")
    PURCHASE = "purchase", _("purchase")
    ERASURE = "erasure", _("erasure")
    SEQUENCE = "sequence", _("entry into a sequence")
    TAG = "tag", _("change of a tag")
    """Of the account: its subject is ``tag:<remote id or digest of the name>`` and no person."""


class OutboxBase(models.Model):
    """What a due row and a dead one have in common."""

    key = KeyField(max_length=191, primary_key=True)
    """``<connection id>:<kind>:<subject>`` for a profile, with the idempotency key behind it for an occurrence. A
    natural key: re-marks are plain upserts, without a second unique index to deadlock on."""
    connection = models.ForeignKey(
        Connection,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="+",
        db_index=False,
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    subject = KeyField(_("person"), max_length=80)
    lane = models.PositiveSmallIntegerField(_("lane"), choices=Lane, default=Lane.LIVE)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    payload = EncryptedJSONField(default=dict)
    """Of an occurrence: what it tells, the address of an erasure. Encrypted; a profile has none."""
    marked_at = models.DateTimeField(_("marked at"))

    class Meta:
        abstract = True


class OutboxRow(OutboxBase):
    """Something that has still to be sent."""

    version = models.BigIntegerField()
    """Random and new with every mark, so that settling never takes a later mark for the one it sent."""
    due_at = models.DateTimeField(_("due at"))
    claim_token = models.CharField(max_length=32, blank=True, default="")
    """The lease token of the drain that has it in flight."""
    claimed_version = models.BigIntegerField(default=0)
    tried_at = models.DateTimeField(null=True)
    """When a call that must not be made twice was last about to be made: it may have been carried out. Of a profile:
    when it was last claimed without being new, so that an earlier call of it may have been carried out."""

    class Meta:
        verbose_name = _("outbox row")
        verbose_name_plural = _("outbox")
        indexes = [models.Index(fields=["connection", "lane", "due_at", "key"], name="mktg_outbox_due")]

    def __str__(self) -> str:
        return self.key


class DeadKind(models.TextChoices):
    REJECTED = "rejected", _("rejected")
    NEEDS_PERSON = "needs_person", _("needs a person")
    HELD = "held", _("waits for confirmation")


class DeadRow(OutboxBase):
    """Something that could not be sent, with the reason. Replayable; a later success of the same key removes it."""

    state = models.CharField(_("state"), max_length=16, choices=DeadKind)
    code = models.CharField(_("code"), max_length=64)
    reason = models.CharField(_("reason"), max_length=500)
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    died_at = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("rejected row")
        verbose_name_plural = _("rejected rows")
        indexes = [
            models.Index(fields=["connection", "state", "code", "key"], name="mktg_dead_order"),
            models.Index(fields=["subject"], name="mktg_dead_subject"),
        ]

    def __str__(self) -> str:
        return self.key


class BulkState(models.TextChoices):
    WAITING = "waiting", _("waits for the callback")
    ANSWERED = "answered", _("answered")
    DONE = "done", _("done")
    LAPSED = "lapsed", _("no callback came in time")
    TOO_LARGE = "too_large", _("too large for the service's queue")


class BulkJob(models.Model):
    """One large request that the service carries out later and answers by a callback.

    Its people's rows wait in the outbox until the callback comes, or until ``due_at``.
    """

    key = KeyField(max_length=32, primary_key=True)
    """Random."""
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    state = models.CharField(_("state"), max_length=16, choices=BulkState, default=BulkState.WAITING)
    size = models.PositiveIntegerField(_("people"))
    subjects = models.JSONField(default=list)
    """Who waits for it. Empty once it is done."""
    call = EncryptedJSONField(default=dict)
    """What was asked for whom. Empty once it is done."""
    answer = EncryptedJSONField(default=dict)
    """The callback's body, until it is taken in."""
    made_at = models.DateTimeField(_("made at"))
    due_at = models.DateTimeField(_("due at"))
    """When the callback should have come."""
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("bulk job")
        verbose_name_plural = _("bulk jobs")
        indexes = [models.Index(fields=["connection", "state"], name="mktg_bulk_state")]

    def __str__(self) -> str:
        return self.key
