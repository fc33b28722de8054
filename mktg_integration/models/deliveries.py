"""Attempts that did not go well, and the one that then did."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField
from mktg_integration.models.outbox import Kind


class Outcome(models.TextChoices):
    DONE = "done", _("done")
    LATER = "later", _("is tried again")
    REJECTED = "rejected", _("rejected")
    NEEDS_PERSON = "needs_person", _("needs a person")
    HELD = "held", _("waits for confirmation")


class Attempt(models.Model):
    """One attempt to send one row. Kept for rows that failed at least once, so that a drain without failures writes
    none; what went well the first time is told by ``SyncState``. Holds no address and nothing of a body."""

    key = KeyField(max_length=191)
    """Of the outbox row."""
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    subject = KeyField(_("person"), max_length=80)
    at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("outcome"), max_length=16, choices=Outcome)
    call = models.CharField(_("call"), max_length=128, blank=True)
    """Method and template of the endpoint."""
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    code = models.CharField(_("code"), max_length=64, blank=True)
    reason = models.CharField(_("reason"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        indexes = [
            models.Index(fields=["key", "at"], name="mktg_attempt_key"),
            models.Index(fields=["subject", "at"], name="mktg_attempt_subject"),
            models.Index(fields=["at"], name="mktg_attempt_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.key} {self.outcome}"
