"""Runs: one pull, push or reconcile each, with its counts and its outcome."""

from __future__ import annotations

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


class Run(models.Model):
    """One pull, push or reconcile. A push's run is written when it ends, so that a drain stays cheap."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, db_constraint=False, related_name="runs")
    kind = models.CharField(_("kind"), max_length=16, choices=RunKind)
    status = models.CharField(_("status"), max_length=16, choices=RunStatus, default=RunStatus.RUNNING)
    started_at = models.DateTimeField(_("started at"))
    finished_at = models.DateTimeField(_("finished at"), null=True)
    counts = models.JSONField(_("counts"), default=dict)
    detail = models.CharField(_("detail"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["connection", "kind", "-started_at"], name="mktg_run_recent")]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
