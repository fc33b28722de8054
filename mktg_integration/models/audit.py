"""Who did what to a connection or a person, by admin, API or command."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField


class AuditAction(models.TextChoices):
    CONNECTED = "connected", _("connected")
    CHANGED = "changed", _("changed")
    DISCONNECTED = "disconnected", _("disconnected")
    PAUSED = "paused", _("paused")
    RESUMED = "resumed", _("resumed")
    SITE_CONFIRMED = "site_confirmed", _("confirmed the site that writes")
    WEBHOOKS = "webhooks", _("changed webhooks")
    RUN_STARTED = "run_started", _("started a run")
    RUN_CANCELLED = "run_cancelled", _("cancelled a run")
    RUN_RESUMED = "run_resumed", _("resumed a run")
    REPLAYED = "replayed", _("replayed")
    CONFIRMED = "confirmed", _("confirmed")
    DISCARDED = "discarded", _("discarded")
    DONE_BY_HAND = "done_by_hand", _("said to be done by hand")
    SYNCED = "synced", _("had people sent")
    TAGGED = "tagged", _("tagged")
    UNTAGGED = "untagged", _("untagged")
    SUBSCRIBED = "subscribed", _("subscribed")
    UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
    FORGOTTEN = "forgotten", _("had a person forgotten")
    EXPORTED = "exported", _("exported")
    VIEWED = "viewed", _("looked at an address")


class AuditEntry(models.Model):
    """One act. Never changed; ``detail`` holds counts, names of connections and reasons, no personal data."""

    at = models.DateTimeField(_("at"), default=timezone.now, editable=False)
    action = models.CharField(_("action"), max_length=32, choices=AuditAction)
    actor = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
    )
    via = models.CharField(_("by way of"), max_length=16, blank=True)
    """``admin``, ``api``, ``command``, ``link`` (a preference link) or ``oauth``."""
    connection = models.ForeignKey(
        Connection, null=True, on_delete=models.SET_NULL, db_constraint=False, related_name="+"
    )
    connection_name = models.CharField(_("connection"), max_length=64, blank=True)
    """Outlives the connection."""
    subject = KeyField(_("person"), max_length=80, blank=True)
    detail = models.JSONField(_("detail"), default=dict)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ["-at", "-pk"]
        indexes = [
            models.Index(fields=["-at"], name="mktg_audit_recent"),
            models.Index(fields=["subject", "-at"], name="mktg_audit_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"
