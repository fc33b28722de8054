"""The inbox: where services reach the site, what they were asked to tell, and bodies as received."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.fields import EncryptedJSONField
from mktg_integration.models.keys import KeyField
from mktg_integration.models.leases import Leased


class InboundAddress(Leased):
    """The unguessable part of a connection's webhook and callback addresses. Its lease is the right to apply."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="inbound", db_constraint=False
    )
    secret = EncryptedJSONField(default=dict)
    """``{"token": …}``."""
    woken_at = models.DateTimeField(null=True, editable=False)
    """Since when a task to apply what came is queued; expires, should it be lost."""
    refused = models.PositiveIntegerField(_("refused signatures"), default=0, editable=False)
    last_received_at = models.DateTimeField(_("last received"), null=True, editable=False)

    class Meta:
        verbose_name = _("inbound address")
        verbose_name_plural = _("inbound addresses")

    def __str__(self) -> str:
        return f"inbound address of connection {self.connection_id}"


class WebhookSubscription(models.Model):
    """One webhook that the service is to have for a connection, and what it is there."""

    key = KeyField(max_length=100, primary_key=True)
    """``<connection id>:<digest of event and parameter>``; ``<connection id>:signed`` for the signed kind."""
    connection = models.ForeignKey(
        Connection,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        related_name="webhook_subscriptions",
        db_constraint=False,
    )
    event = models.CharField(_("event"), max_length=100)
    parameter = models.TextField(_("parameter"), blank=True)
    remote_id = KeyField(_("remote id"), max_length=150, blank=True)
    """Empty while the service does not have it."""
    secrets = EncryptedJSONField(default=dict)
    """``{"secrets": [newest, …]}`` of the signed kind: more than one while a secret is rotated."""
    registered_at = models.DateTimeField(_("registered at"), null=True)

    class Meta:
        verbose_name = _("webhook subscription")
        verbose_name_plural = _("webhook subscriptions")

    def __str__(self) -> str:
        return f"{self.event} {self.parameter}".strip()


class InboxKind(models.TextChoices):
    WEBHOOK = "webhook", _("webhook")
    SIGNED = "signed", _("signed webhook")
    CALLBACK = "callback", _("callback")


class InboxState(models.TextChoices):
    PENDING = "pending", _("to be applied")
    APPLIED = "applied", _("applied")
    UNREADABLE = "unreadable", _("not understood")


class InboxRow(models.Model):
    """One delivery as it was received, kept for a while after it was applied."""

    key = KeyField(max_length=100, primary_key=True)
    """Random; for a delivery that can be told from its repetition a digest, so that the repetition is not stored."""
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=InboxKind)
    event = models.CharField(_("event"), max_length=100, blank=True)
    parameter = models.CharField(_("parameter"), max_length=150, blank=True)
    body = EncryptedJSONField(default=dict)
    """``{"raw": …}``, the bytes as text, those that are no UTF-8 as surrogates."""
    received_at = models.DateTimeField(_("received at"))
    due_at = models.DateTimeField(_("due at"))
    state = models.CharField(_("state"), max_length=16, choices=InboxState, default=InboxState.PENDING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    applied_at = models.DateTimeField(_("applied at"), null=True)

    class Meta:
        verbose_name = _("inbox row")
        verbose_name_plural = _("inbox")
        indexes = [
            models.Index(fields=["connection", "state", "due_at"], name="mktg_inbox_due"),
            models.Index(fields=["state", "received_at"], name="mktg_inbox_age"),
        ]

    def __str__(self) -> str:
        return self.key
