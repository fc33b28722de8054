"""The mirror of what a service mails: templates, broadcasts, and how these fared."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.mirror import Mirrored


class EmailTemplate(Mirrored):
    name = models.CharField(_("name"), max_length=255)
    category = models.CharField(_("category"), max_length=64, blank=True)
    is_default = models.BooleanField(_("default"), default=False)

    class Meta:
        verbose_name = _("email template")
        verbose_name_plural = _("email templates")

    def __str__(self) -> str:
        return self.name


class Broadcast(Mirrored):
    """One email to many. A draft has neither ``send_at`` nor ``published_at``; the content is in ``raw``."""

    subject = models.CharField(_("subject"), max_length=255, blank=True)
    preview_text = models.CharField(_("preview text"), max_length=255, blank=True)
    public = models.BooleanField(_("public"), default=False)
    published_at = models.DateTimeField(_("published at"), null=True)
    send_at = models.DateTimeField(_("to be sent at"), null=True)
    template = models.ForeignKey(
        EmailTemplate,
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="broadcasts",
        verbose_name=_("email template"),
    )

    class Meta:
        verbose_name = _("broadcast")
        verbose_name_plural = _("broadcasts")
        indexes = [models.Index(fields=["connection", "-send_at"], name="mktg_broadcast_sent")]

    def __str__(self) -> str:
        return self.subject or self.remote_id


class BroadcastStats(Mirrored):
    """How a broadcast fared, as last told. Rates are in percent, ``progress`` is a share from 0 to 1."""

    broadcast = models.OneToOneField(
        Broadcast,
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="stats",
        verbose_name=_("broadcast"),
    )
    status = models.CharField(_("status"), max_length=32, blank=True)
    recipients = models.BigIntegerField(_("recipients"), default=0)
    open_rate = models.FloatField(_("open rate"), default=0.0)
    click_rate = models.FloatField(_("click rate"), default=0.0)
    unsubscribes = models.BigIntegerField(_("unsubscribes"), default=0)
    total_clicks = models.BigIntegerField(_("clicks"), default=0)
    progress = models.FloatField(_("progress"), default=0.0)

    class Meta:
        verbose_name = _("broadcast statistics")
        verbose_name_plural = _("broadcast statistics")

    def __str__(self) -> str:
        return self.key
