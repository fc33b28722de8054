"""What this site keeps of its people beside Django's user."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Topic(models.Model):
    """Something to hear about; its name is a tag at the services."""

    name = models.CharField(_("name"), max_length=60, unique=True)

    class Meta:
        verbose_name = _("topic")
        verbose_name_plural = _("topics")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Company(models.Model):
    name = models.CharField(_("name"), max_length=120, unique=True)
    domain = models.CharField(_("domain"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("company")
        verbose_name_plural = _("companies")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Plan(models.TextChoices):
    UNSET = "", _("not chosen")
    FREE = "free", _("free")
    PRO = "pro", _("pro")


class NewsletterConsent(models.TextChoices):
    """Not having ticked a box is no refusal, so there are three."""

    UNKNOWN = "", _("never asked")
    GRANTED = "granted", _("wants the newsletter")
    REFUSED = "refused", _("does not want the newsletter")


class Member(models.Model):
    """A user's profile, with the evidence of what was said of the newsletter: who said it, when, and how."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="member")
    job_title = models.CharField(_("job title"), max_length=80, blank=True)
    city = models.CharField(_("city"), max_length=80, blank=True)
    plan = models.CharField(_("plan"), max_length=8, choices=Plan, blank=True, default=Plan.UNSET)
    company = models.ForeignKey(Company, verbose_name=_("company"), null=True, blank=True, on_delete=models.SET_NULL)
    topics = models.ManyToManyField(Topic, verbose_name=_("topics"), through="Interest", blank=True)
    signup_source = models.CharField(_("signup source"), max_length=60, blank=True)
    email_confirmed_at = models.DateTimeField(_("email confirmed at"), null=True, blank=True, editable=False)

    newsletter = models.CharField(
        _("newsletter"), max_length=8, choices=NewsletterConsent, blank=True, default=NewsletterConsent.UNKNOWN
    )
    newsletter_said_by = models.CharField(_("said by"), max_length=60, blank=True)
    newsletter_said_at = models.DateTimeField(_("said at"), null=True, blank=True)
    newsletter_said_how = models.CharField(_("said how"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")

    def __str__(self) -> str:
        return f"member {self.pk}"

    def say(self, newsletter: NewsletterConsent, *, who: str, how: str, when: datetime | None = None) -> None:
        """Note what was said of the newsletter, with its evidence. Does not save."""
        self.newsletter = newsletter
        self.newsletter_said_by = who
        self.newsletter_said_at = when or timezone.now()
        self.newsletter_said_how = how


class Interest(models.Model):
    """A member wants to hear about a topic."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE)
    topic = models.ForeignKey(Topic, on_delete=models.CASCADE)

    class Meta:
        verbose_name = _("interest")
        verbose_name_plural = _("interests")
        constraints = [models.UniqueConstraint(fields=["member", "topic"], name="accounts_one_interest_a_topic")]

    def __str__(self) -> str:
        return f"{self.member_id}: {self.topic_id}"
