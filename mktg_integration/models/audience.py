"""The mirror of what contacts can be in, beside tags: forms, sequences, segments."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.live import LiveForeignKey
from mktg_integration.models.mirror import Contact, Mirrored


class Form(Mirrored):
    """A form or landing page."""

    name = models.CharField(_("name"), max_length=255)
    type = models.CharField(_("type"), max_length=32, blank=True)
    format = models.CharField(_("format"), max_length=32, blank=True)
    archived = models.BooleanField(_("archived"), default=False)
    url = models.CharField(_("address"), max_length=500, blank=True)
    members: models.ManyToManyField[Contact, FormMember] = models.ManyToManyField(
        Contact, through="FormMember", related_name="forms"
    )

    class Meta:
        verbose_name = _("form")
        verbose_name_plural = _("forms")
        indexes = [models.Index(fields=["connection", "name"], name="mktg_form_name")]

    def __str__(self) -> str:
        return self.name


class FormMember(Mirrored):
    """A contact was added to a form. The link is loose, as a tagging's is."""

    contact = LiveForeignKey(
        Contact, on_delete=models.CASCADE, db_constraint=False, related_name="form_members", verbose_name=_("contact")
    )
    form = LiveForeignKey(
        Form, on_delete=models.CASCADE, db_constraint=False, related_name="form_members", verbose_name=_("form")
    )
    added_at = models.DateTimeField(_("added at"), null=True)

    class Meta:
        verbose_name = _("form member")
        verbose_name_plural = _("form members")

    def __str__(self) -> str:
        return self.key


class Sequence(Mirrored):
    """A series of emails."""

    name = models.CharField(_("name"), max_length=255)
    hold = models.BooleanField(_("on hold"), default=False)
    repeat = models.BooleanField(_("may be repeated"), default=False)
    members: models.ManyToManyField[Contact, SequenceMember] = models.ManyToManyField(
        Contact, through="SequenceMember", related_name="sequences"
    )

    class Meta:
        verbose_name = _("sequence")
        verbose_name_plural = _("sequences")
        indexes = [models.Index(fields=["connection", "name"], name="mktg_sequence_name")]

    def __str__(self) -> str:
        return self.name


class SequenceMember(Mirrored):
    """A contact was added to a sequence. The link is loose, as a tagging's is."""

    contact = LiveForeignKey(
        Contact,
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="sequence_members",
        verbose_name=_("contact"),
    )
    sequence = LiveForeignKey(
        Sequence,
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="sequence_members",
        verbose_name=_("sequence"),
    )
    added_at = models.DateTimeField(_("added at"), null=True)

    class Meta:
        verbose_name = _("sequence member")
        verbose_name_plural = _("sequence members")

    def __str__(self) -> str:
        return self.key


class Segment(Mirrored):
    """A saved selection of contacts. Services tell its name, not who is in it."""

    name = models.CharField(_("name"), max_length=255)

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        indexes = [models.Index(fields=["connection", "name"], name="mktg_segment_name")]

    def __str__(self) -> str:
        return self.name
