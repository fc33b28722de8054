"""Figures of each day, for the charts, and the signs of life of those who work."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField


class DailyFigures(models.Model):
    """One day of one connection, in the site's time zone; written by a schedule, never by a drain."""

    key = KeyField(max_length=40, primary_key=True)
    """``<connection id>:<YYYY-MM-DD>``."""
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    day = models.DateField(_("day"))
    active = models.PositiveIntegerField(_("active contacts"), default=0)
    """At the time of the last measuring of the day, as far as the mirror knows."""
    joined = models.PositiveIntegerField(_("new contacts"), default=0)
    unsubscribed = models.PositiveIntegerField(_("unsubscribed"), default=0)
    sent = models.PositiveIntegerField(_("sent"), default=0)
    rejected = models.PositiveIntegerField(_("rejected"), default=0)
    postponed = models.PositiveIntegerField(_("tried again"), default=0)
    outbox = models.PositiveIntegerField(_("in the outbox"), default=0)
    """The most that was seen at a measuring."""

    class Meta:
        verbose_name = _("daily figures")
        verbose_name_plural = _("daily figures")
        indexes = [models.Index(fields=["connection", "day"], name="mktg_figures_day")]

    def __str__(self) -> str:
        return self.key


class Heartbeat(models.Model):
    """When something that has to run by the clock last did (``worker``: any task that the schedule queued)."""

    name = models.CharField(max_length=64, primary_key=True)
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.name
