"""The mirror: what each provider last told of its contacts, tags and fields. Only ``mirror`` writes these tables."""

from __future__ import annotations

from typing import Self

from django.conf import settings as django_settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.connections import Connection
from mktg_integration.models.keys import KeyField
from mktg_integration.models.live import LiveForeignKey
from mktg_integration.records import ContactStatus

STATUS_CHOICES = [
    (ContactStatus.ACTIVE.value, _("active")),
    (ContactStatus.INACTIVE.value, _("inactive")),
    (ContactStatus.UNSUBSCRIBED.value, _("unsubscribed")),
    (ContactStatus.BOUNCED.value, _("bounced")),
    (ContactStatus.COMPLAINED.value, _("complained")),
    (ContactStatus.UNREAD.value, _("not told")),
]


class Mirrored(models.Model):
    """What all mirrored rows have. ``key`` is made of connection and remote id, so a page is written without a
    look-up; ``seen_at`` is the time as of which the row is true and guards against older answers."""

    key = KeyField(max_length=191, primary_key=True)
    connection = models.ForeignKey(
        Connection, verbose_name=_("connection"), on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )
    remote_id = KeyField(_("remote id"), max_length=150)
    raw = models.JSONField(_("as answered"), default=dict)
    digest = models.CharField(max_length=32, editable=False)
    seen_at = models.DateTimeField(_("last seen"), editable=False)
    remote_created_at = models.DateTimeField(_("created at the service"), null=True)
    deleted_at = models.DateTimeField(_("gone since"), null=True, editable=False)

    class Meta:
        abstract = True


class ContactQuerySet(models.QuerySet["Contact"]):
    """``Contact.objects.active().with_tag("VIP")``."""

    def present(self) -> Self:
        """Those that are still at the service, as far as it has told."""
        return self.filter(deleted_at=None)

    def active(self) -> Self:
        """Those that the service may mail."""
        return self.present().filter(status=ContactStatus.ACTIVE.value)

    def with_tag(self, name: str) -> Self:
        """Those that have a tag of this name, as written or as services that ignore case compare it; each once."""
        keys = [name.strip(), name.strip().casefold()]
        taggings = Tagging.objects.filter(
            contact=models.OuterRef("pk"), deleted_at=None, tag__name_key__in=keys, tag__deleted_at=None
        )
        return self.filter(models.Exists(taggings))


class Contact(Mirrored):
    """A person as a service knows one (Kit: subscriber)."""

    connection = models.ForeignKey(
        Connection,
        verbose_name=_("connection"),
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,  # the indexes below begin with it
        related_name="+",
    )
    email = models.CharField(_("email"), max_length=254)
    email_key = KeyField(max_length=254, editable=False)
    """The address in the form in which addresses are compared."""
    status = models.CharField(_("status"), max_length=16, choices=STATUS_CHOICES)
    first_name = models.CharField(_("first name"), max_length=255, blank=True)
    values = models.JSONField(_("fields"), default=dict)
    """In the provider's normal form."""
    company_values = models.JSONField(default=dict)
    subject = KeyField(_("person"), max_length=80, blank=True)
    """Whose contact it is (``user:<pk>`` or ``lead:<id>``); a contact has one owner."""
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="mktg_contacts",
    )
    last_pushed_at = models.DateTimeField(_("last sent"), null=True, editable=False)
    tags: models.ManyToManyField[Tag, Tagging] = models.ManyToManyField(
        "Tag", through="Tagging", related_name="contacts"
    )

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        indexes = [
            models.Index(fields=["connection", "email_key"], name="mktg_contact_email"),
            models.Index(fields=["email_key"], name="mktg_contact_any_email"),
            models.Index(fields=["connection", "status", "key"], name="mktg_contact_status"),
            models.Index(fields=["subject"], name="mktg_contact_subject"),
        ]

    def __str__(self) -> str:
        return self.key


class Tag(Mirrored):
    """A tag (ConvertLoop: segment)."""

    name = models.CharField(_("name"), max_length=255)
    name_key = KeyField(max_length=255, editable=False)
    """The name in the form in which the service compares names."""
    ours = models.BooleanField(_("created by this site"), default=False)
    members_read_at = models.DateTimeField(null=True, editable=False)
    """When its members had been read for the first time, so that we know which taggings are ours."""

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        indexes = [models.Index(fields=["connection", "name_key"], name="mktg_tag_name")]

    def __str__(self) -> str:
        return self.name


class Tagging(Mirrored):
    """A contact has a tag. The link is loose: a tagging may arrive before its contact.

    The row of a tag that was taken away stays, for the sake of its time; ``contact.tags`` and ``tags__name`` pass it
    over.
    """

    contact = LiveForeignKey(
        Contact, on_delete=models.CASCADE, db_constraint=False, related_name="taggings", verbose_name=_("contact")
    )
    tag = LiveForeignKey(
        Tag, on_delete=models.CASCADE, db_constraint=False, related_name="taggings", verbose_name=_("tag")
    )
    tagged_at = models.DateTimeField(_("tagged at"), null=True)

    class Meta:
        verbose_name = _("tagging")
        verbose_name_plural = _("taggings")

    def __str__(self) -> str:
        return self.key


class CustomField(Mirrored):
    """A custom field that the account has."""

    field_key = KeyField(_("key"), max_length=255)
    label = models.CharField(_("label"), max_length=255)

    class Meta:
        verbose_name = _("custom field")
        verbose_name_plural = _("custom fields")
        indexes = [models.Index(fields=["connection", "field_key"], name="mktg_customfield_key")]

    def __str__(self) -> str:
        return self.label


class Company(Mirrored):
    """A company, by the site's own id."""

    name = models.CharField(_("name"), max_length=255, blank=True)
    domain = models.CharField(_("domain"), max_length=255, blank=True)
    values = models.JSONField(_("fields"), default=dict)

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")

    def __str__(self) -> str:
        return self.name or self.remote_id
