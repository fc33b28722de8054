"""What is known of a person beside the mapping: leads, explicit acts, opt-outs, and what was last sent where."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField
from mktg_integration.models.mirror import Contact


class Lead(models.Model):
    """A person without an account, as a newsletter form makes one: a stored profile."""

    email = models.CharField(_("email"), max_length=254)
    email_key = KeyField(_("address"), max_length=254, unique=True, editable=False)
    first_name = models.CharField(_("first name"), max_length=255, blank=True)
    last_name = models.CharField(_("last name"), max_length=255, blank=True)
    fields = models.JSONField(_("fields"), default=dict, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    pid = models.CharField(max_length=255, blank=True, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="mktg_leads",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("lead")
        verbose_name_plural = _("leads")

    def __str__(self) -> str:
        return f"lead {self.pk}"


class ExplicitActs(models.Model):
    """What the site's own code said of one person beyond the mapping: ``subscribe``, ``unsubscribe``, tags.

    ``scope`` is ``*`` for all connections, or one connection's id; of two, the later consent holds.
    """

    key = KeyField(max_length=120, primary_key=True)
    """``<scope>:<subject>``."""
    subject = KeyField(_("person"), max_length=80, db_index=True)
    scope = models.CharField(_("where"), max_length=32, default="*")
    consent = models.CharField(_("consent"), max_length=16, blank=True)
    consent_who = models.CharField(_("who noted the consent"), max_length=255, blank=True)
    consent_when = models.DateTimeField(_("consent given at"), null=True)
    consent_how = models.CharField(_("how the person agreed"), max_length=255, blank=True)
    form = models.CharField(max_length=255, blank=True, default="")
    """The form that asks for the confirmation of ``subscribe(form=…)``, by name or remote id."""
    tags = models.JSONField(_("tags"), default=dict)
    """``{"<name>": true to add | false to remove}``."""
    pid = models.CharField(max_length=255, blank=True, default="", editable=False)
    """Under what ConvertLoop knows the visitor who became this person, where the site may remember it."""

    class Meta:
        verbose_name = _("explicit acts")
        verbose_name_plural = _("explicit acts")

    def __str__(self) -> str:
        return self.key


class OptOutKind(models.TextChoices):
    UNSUBSCRIBED = "unsubscribed", _("unsubscribed")
    BOUNCED = "bounced", _("bounced")
    COMPLAINED = "complained", _("complained")
    FORGOTTEN = "forgotten", _("forgotten")
    LIFTED = "lifted", _("lifted by an explicit subscribe")


class OptOut(models.Model):
    """An address that must not be subscribed by any push, until an explicit ``subscribe()`` lifts it.

    Known by a keyed hash only, so it outlives the person's data. ``scope`` is ``*`` or a connection's id.
    """

    key = KeyField(max_length=100, primary_key=True)
    """``<scope>:<address_hash>``."""
    address_hash = models.CharField(_("hash of the address"), max_length=64, db_index=True)
    scope = models.CharField(_("where"), max_length=32)
    kind = models.CharField(_("kind"), max_length=16, choices=OptOutKind)
    source = models.CharField(_("told by"), max_length=64, blank=True)
    """A connection's name, or ``site``."""
    at = models.DateTimeField(_("at"))

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")

    def __str__(self) -> str:
        return f"{self.kind} ({self.scope})"


class SyncState(models.Model):
    """One person at one connection: which contact is theirs, and what was last sent."""

    key = KeyField(max_length=120, primary_key=True)
    """``<connection id>:<subject>``."""
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    subject = KeyField(_("person"), max_length=80)
    contact = models.ForeignKey(
        Contact, null=True, on_delete=models.SET_NULL, db_constraint=False, related_name="sync_states"
    )
    email_key = KeyField(_("address"), max_length=254, blank=True)
    sent = models.JSONField(default=dict)
    """The last sent ``Snapshot``: email, values, company, tags, consent, evidence."""
    owned_tags = models.JSONField(_("tags added by this site"), default=list)
    """Names of the tags that we added."""
    sent_at = models.DateTimeField(_("last sent"), null=True)
    status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True, default="")
    note = models.CharField(_("left out at the last push"), max_length=500, blank=True)
    """What was left out at the last push, and why."""

    class Meta:
        verbose_name = _("sync state")
        verbose_name_plural = _("sync states")
        indexes = [
            models.Index(fields=["subject"], name="mktg_syncstate_subject"),
            models.Index(fields=["connection", "email_key"], name="mktg_syncstate_email"),
        ]

    def __str__(self) -> str:
        return self.key
