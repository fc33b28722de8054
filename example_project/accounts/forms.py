"""The forms of the site's pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, BaseUserCreationForm, UsernameField
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from example_project.accounts.models import Company, Interest, Member, NewsletterConsent, Topic
from mktg_integration.shortcuts import subscribe, unsubscribe

THE_PERSON = "the person"


class AboutForm(forms.Form):
    """What signup and profile page ask alike, kept in the member's row."""

    job_title = forms.CharField(label=_("Job title"), max_length=80, required=False)
    city = forms.CharField(label=_("City"), max_length=80, required=False)
    company_name = forms.CharField(label=_("Company"), max_length=120, required=False)
    topics = forms.ModelMultipleChoiceField(
        label=_("Topics"), queryset=Topic.objects.all(), required=False, widget=forms.CheckboxSelectMultiple
    )

    def fill(self, member: Member) -> None:
        """Take job title, city and company over; does not save."""
        member.job_title = self.cleaned_data["job_title"].strip()
        member.city = self.cleaned_data["city"].strip()
        name = self.cleaned_data["company_name"].strip()
        member.company = Company.objects.get_or_create(name=name)[0] if name else None

    def choose_topics(self, member: Member) -> None:
        wanted = set(self.cleaned_data["topics"])
        chosen = set(member.topics.all())
        Interest.objects.filter(member=member, topic__in=chosen - wanted).delete()
        Interest.objects.bulk_create(Interest(member=member, topic=topic) for topic in wanted - chosen)


class SignupForm(AboutForm, BaseUserCreationForm):  # type: ignore[type-arg]
    """A new account. The address is the name to log in with."""

    email = forms.EmailField(label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    newsletter = forms.BooleanField(label=_("Send me the newsletter"), required=False)
    source = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)

    field_order = [
        "first_name",
        "last_name",
        "email",
        "password1",
        "password2",
        "job_title",
        "city",
        "company_name",
        "topics",
    ]

    class Meta:
        model = User
        fields = ["first_name", "last_name", "email"]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.filter(username=email.lower()).exists():
            raise forms.ValidationError(_("There is an account with this address already."))
        return email

    def save(self, commit: bool = True) -> User:
        """Make the user and the member in one transaction, so that services are told of both at once."""
        user: User = super().save(commit=False)
        user.username = self.cleaned_data["email"].lower()
        if not commit:
            return user
        with transaction.atomic():
            user.save()
            member = Member(user=user, signup_source=self.cleaned_data["source"])
            self.fill(member)
            if self.cleaned_data["newsletter"]:
                # Consent by the mapping, not by subscribe(): the address is not confirmed yet, and nobody may bring
                # back an address that opted out by typing it here.
                member.say(NewsletterConsent.GRANTED, who=THE_PERSON, how="signup form")
            member.save()
            self.choose_topics(member)
        return user


class LoginForm(AuthenticationForm):
    username = UsernameField(label=_("Email"), widget=forms.TextInput(attrs={"autocomplete": "username"}))

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        return name.lower() if "@" in name else name


class ProfileForm(AboutForm):
    """Names, topics, and the newsletter box, which is an explicit act whenever it changes."""

    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    newsletter = forms.BooleanField(label=_("Send me the newsletter"), required=False)

    field_order = ["first_name", "last_name", "job_title", "city", "company_name"]

    def __init__(self, data: Any = None, *, user: User) -> None:
        self.user = user
        self.member = Member.objects.filter(user=user).select_related("company").first() or Member(user=user)
        super().__init__(data, initial=self._shown())

    def save(self) -> None:
        """Save user and member in one transaction, and say what changed of the newsletter."""
        self.user.first_name = self.cleaned_data["first_name"]
        self.user.last_name = self.cleaned_data["last_name"]
        with transaction.atomic():
            self.user.save()
            self.fill(self.member)
            if "newsletter" in self.changed_data:
                self._say(self.cleaned_data["newsletter"])
            self.member.save()
            self.choose_topics(self.member)

    def _say(self, wants: bool) -> None:
        said = NewsletterConsent.GRANTED if wants else NewsletterConsent.REFUSED
        self.member.say(said, who=THE_PERSON, how="profile page")
        act = subscribe if wants else unsubscribe
        act(self.user, who=THE_PERSON, how="profile page", when=self.member.newsletter_said_at)

    def _shown(self) -> dict[str, Any]:
        return {
            "first_name": self.user.first_name,
            "last_name": self.user.last_name,
            "job_title": self.member.job_title,
            "city": self.member.city,
            "company_name": self.member.company.name if self.member.company else "",
            "topics": list(self.member.topics.all()) if self.member.pk else [],
            "newsletter": self.member.newsletter == NewsletterConsent.GRANTED,
        }


class NewsletterForm(forms.Form):
    """For people without an account."""

    email = forms.EmailField(label=_("Email"), widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)

    def save(self) -> None:
        subscribe(
            self.cleaned_data["email"],
            who=THE_PERSON,
            how="newsletter form",
            first_name=self.cleaned_data["first_name"].strip(),
        )
