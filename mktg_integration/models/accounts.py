"""The mirror of an account itself: who it is, its figures day by day, the webhooks that it keeps."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.mirror import Mirrored


class ServiceAccount(Mirrored):
    """The account that a connection's credentials belong to. Colours and profile are in ``raw``."""

    name = models.CharField(_("name"), max_length=255)
    plan = models.CharField(_("plan"), max_length=64, blank=True)
    email = models.CharField(_("email"), max_length=254, blank=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name


class AccountSnapshot(Mirrored):
    """The account's figures on one day of its own time zone; each is of the last ``days`` days, ``subscribers`` alone
    is the number there are."""

    account = models.ForeignKey(
        ServiceAccount,
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="snapshots",
        verbose_name=_("account"),
    )
    day = models.DateField(_("day"))
    days = models.PositiveIntegerField(_("days"))
    subscribers = models.BigIntegerField(_("subscribers"))
    new_subscribers = models.BigIntegerField(_("new subscribers"))
    cancellations = models.BigIntegerField(_("cancellations"))
    net_new_subscribers = models.BigIntegerField(_("net new subscribers"))
    emails_sent = models.BigIntegerField(_("emails sent"))
    emails_opened = models.BigIntegerField(_("emails opened"))
    emails_clicked = models.BigIntegerField(_("emails clicked"))

    class Meta:
        verbose_name = _("account snapshot")
        verbose_name_plural = _("account snapshots")
        indexes = [models.Index(fields=["connection", "-day"], name="mktg_snapshot_day")]

    def __str__(self) -> str:
        return self.key


class Webhook(Mirrored):
    """A webhook that the service keeps. ``target_url`` is without path and query, which may carry a secret."""

    event = models.CharField(_("event"), max_length=64)
    parameter = models.CharField(_("parameter"), max_length=255, blank=True)
    target_url = models.CharField(_("target"), max_length=255)

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.event
