"""Runs: one pull, push or reconcile each, with its counts and its outcome."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection


class RunKind(models.TextChoices):
    PUSH = "push", _("push")
    PULL = "pull", _("pull")
    RECONCILE = "reconcile", _("reconcile")


class RunStatus(models.TextChoices):
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    WAITING = "waiting", _("waiting")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")


class Run(models.Model):
    """One pull, push or reconcile. A push's run is written when it ends, so that a drain stays cheap."""

    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="runs"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=RunKind)
    status = models.CharField(_("status"), max_length=16, choices=RunStatus, default=RunStatus.RUNNING)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    counts = models.JSONField(_("counts"), default=dict)
    detail = models.CharField(_("detail"), max_length=500, blank=True)
    total = models.PositiveBigIntegerField(_("in all"), null=True)
    """How many rows or people it has to go through, where that is known."""
    moved_at = models.DateTimeField(_("last progress"), null=True)
    errors = models.JSONField(_("errors"), default=list)
    """The first of them, each ``{"about", "code", "reason", "status", "request_id"}``, without personal data."""
    examples = models.JSONField(_("examples"), default=dict)
    """Of a reconcile: ``{kind: [subject, …]}``."""
    is_preview = models.BooleanField(_("preview"), default=False)
    """It told what it would do, and did nothing."""
    cancel_requested = models.BooleanField(_("cancel requested"), default=False)
    requested_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="+",
    )

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["connection", "kind", "-started_at"], name="mktg_run_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
