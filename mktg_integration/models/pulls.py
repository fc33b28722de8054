"""How far each stream of a connection has been read."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField
from mktg_integration.models.leases import Leased


class PullState(Leased):
    """The lease of a connection's pull: one at a time. Apart from the drain's, because the two go on side by side."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="pull_state", db_constraint=False
    )

    class Meta:
        verbose_name = _("pull state")
        verbose_name_plural = _("pull states")

    def __str__(self) -> str:
        return f"pull of connection {self.connection_id}"


class PullPhase(models.TextChoices):
    IDLE = "", _("finished")
    READING = "reading", _("reading")
    SWEEPING = "sweeping", _("marking what is gone")


class PullCheckpoint(models.Model):
    """One stream of one connection: its unfinished reading, if there is one, and through when it is known."""

    key = KeyField(max_length=120, primary_key=True)
    """``<connection id>:<stream>``."""
    connection = models.ForeignKey(
        Connection,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="checkpoints",
    )
    stream = models.CharField(_("resource"), max_length=64)
    table = models.CharField(max_length=64)
    """Name of the model that the stream fills."""
    phase = models.CharField(_("phase"), max_length=16, choices=PullPhase, blank=True, default=PullPhase.IDLE)
    reading = models.CharField(max_length=32, blank=True, default="", editable=False)
    """A random name of the unfinished reading; its pages carry it."""
    full = models.BooleanField(_("full"), default=False)
    started_at = models.DateTimeField(_("started at"), null=True)
    since = models.DateTimeField(_("changes since"), null=True)
    missing = models.BigIntegerField(_("not seen"), default=0)
    """Rows that the last full reading did not see and that are too many to be taken for gone without a person."""
    read_through = models.DateTimeField(_("read through"), null=True)
    """All changes up to then that the service's lists can tell of have been read."""
    confirmed_through = models.DateTimeField(_("confirmed through"), null=True)
    """As of then the whole table is what the service told, rows that a reading found unchanged (and did not write)
    among them: an answer from before is no news."""
    finished_at = models.DateTimeField(_("finished at"), null=True)
    full_at = models.DateTimeField(_("read in full at"), null=True)
    """When a full reading last came to its end, even if it then asked about deletions."""

    class Meta:
        verbose_name = _("pull checkpoint")
        verbose_name_plural = _("pull checkpoints")

    def __str__(self) -> str:
        return self.key


class PullPage(models.Model):
    """A page that was written, of an unfinished reading: committed with its rows, so that whoever goes on begins after
    the last one. Removed when the reading ends."""

    key = KeyField(max_length=80, primary_key=True)
    """``<reading>:<number>``: of two who write one page, the second fails."""
    reading = models.CharField(max_length=32)
    number = models.PositiveIntegerField()
    parent = KeyField(max_length=150, blank=True)
    cursor = models.TextField(blank=True)
    """What asks for the next one; empty where the list (of this parent) ends."""
    seen = models.BinaryField(default=bytes)
    """Of a full reading: eight bytes of each row's hashed key, so that what it did not see can be told in the end."""

    class Meta:
        verbose_name = _("pull page")
        verbose_name_plural = _("pull pages")
        indexes = [models.Index(fields=["reading", "number"], name="mktg_pullpage_order")]

    def __str__(self) -> str:
        return self.key
