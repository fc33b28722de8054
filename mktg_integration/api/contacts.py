"""``contacts/``: people as the services know them, and what staff may have done with one of them.

No address is ever part of an address: a request's line is logged by servers, so a search by address is a ``POST``, and
a contact that a service knows by its address alone has a sealed id (``ids``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypedDict

import django_filters
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration import audit
from mktg_integration.api.base import actor_of
from mktg_integration.api.me import ExportSerializer, as_file
from mktg_integration.api.mirror import COMMON, MirroredFilter, MirroredSerializer, MirrorViews, of_connection
from mktg_integration.api.openapi import documented
from mktg_integration.insight import ids
from mktg_integration.insight.contacts import subject_of
from mktg_integration.mirror.links import user_pk
from mktg_integration.models import AuditAction, Connection, Contact, Tag, Tagging
from mktg_integration.models.mirror import STATUS_CHOICES
from mktg_integration.operations import people
from mktg_integration.operations.contacts import read_anew
from mktg_integration.permissions import APP, ERASE, SYNC, VIEW_PERSONAL_DATA
from mktg_integration.preferences.export import export_of_contact
from mktg_integration.profile import normal_email

VIEW = f"{APP}.view_contact"
MOST_FOUND = 100
FEW = 5000
"""Of a tag's members, whose keys are sorted for each page."""


class ContactSerializer(MirroredSerializer[Contact]):
    """A contact in a list. ``subject`` is whose it is (``user:<pk>``, ``lead:<id>``, empty: nobody's here)."""

    personal: tuple[str, ...] = ("email", "first_name", "values")

    class Meta:
        model = Contact
        fields: tuple[str, ...] = (*COMMON, "email", "status", "first_name", "values", "subject", "last_pushed_at")


class ContactTag(TypedDict):
    """A tag that a contact has; ``name`` is empty while the service has not told it."""

    id: str
    name: str
    tagged_at: datetime | None


class ContactDetailSerializer(ContactSerializer):
    """A contact with its tags, its company and the service's answer."""

    tags = serializers.SerializerMethodField()
    personal = (*ContactSerializer.personal, "company_values", "raw")

    class Meta(ContactSerializer.Meta):
        fields = (*ContactSerializer.Meta.fields, "company_values", "tags", "raw")

    def get_tags(self, row: Contact) -> list[ContactTag]:
        rows = Tagging.objects.filter(contact_id=row.pk, deleted_at=None).order_by("pk")
        found = list(rows.only("key", "tag_id", "tagged_at"))
        # Loose: a tagging may have been told before its tag.
        names = dict(Tag.objects.filter(pk__in=[one.tag_id for one in found]).values_list("pk", "name"))
        return [
            ContactTag(id=ids.shown(one.tag_id), name=names.get(one.tag_id, ""), tagged_at=one.tagged_at)
            for one in found
        ]


class ContactFilter(MirroredFilter):
    """``status`` goes with a ``connection``; ``tag`` is a tag's id, ``subject`` a person (``user:<pk>``)."""

    status = django_filters.ChoiceFilter(choices=STATUS_CHOICES, method="of_status", label="Status at the service")
    tag = django_filters.CharFilter(method="with_tag", label="Id of a tag")
    subject = django_filters.CharFilter(method="of_person", label="Whose contact it is: user:<pk> or lead:<id>")

    def of_status(self, rows: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        connection = self.form.cleaned_data.get("connection")
        if connection is None:
            raise serializers.ValidationError({"status": [_("Name the connection too.")]})
        # As the index has them.
        return rows.filter(connection_id=int(connection), status=value)

    def with_tag(self, rows: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        key = ids.key_of(value)
        connection_id = key.partition(":")[0]
        if not connection_id.isascii() or not connection_id.isdigit():
            return rows.none()
        members = Tagging.objects.filter(tag_id=key, deleted_at=None)
        rows = rows.filter(of_connection(int(connection_id)))
        if members[:FEW].count() < FEW:
            return rows.filter(pk__in=members.values("contact_id"))
        # So many that a page of them is found soon in the order of the contacts, without sorting all. Not EXISTS, of
        # which MariaDB makes a join that reads them all first.
        theirs = Subquery(members.filter(contact_id=OuterRef("pk")).values("pk")[:1])
        return rows.alias(tagging=theirs).filter(tagging__isnull=False)

    def of_person(self, rows: QuerySet[Contact], name: str, value: str) -> QuerySet[Contact]:
        """Whose it is by what was pushed, or by its address alone. Few rows, each found by an index of its own."""
        keys = list(rows.filter(subject=value).values_list("pk", flat=True)[:MOST_FOUND])
        user = _storable(user_pk(value))
        if user is not None:
            keys += rows.filter(user_id=user, subject="").values_list("pk", flat=True)[:MOST_FOUND]
        return rows.filter(pk__in=keys)


class SearchSerializer(serializers.Serializer[Any]):
    """The whole address, however its letters are written."""

    email = serializers.CharField(max_length=254)


class ScopeSerializer(serializers.Serializer[Any]):
    """``connection``: the id of the one that is meant; else all of them."""

    connection = serializers.PrimaryKeyRelatedField(
        queryset=Connection.objects.defer("credentials"), required=False, allow_null=True, default=None
    )


class TagNameSerializer(ScopeSerializer):
    name = serializers.CharField(max_length=255)


class EvidenceSerializer(ScopeSerializer):
    """How it is known that the person agreed to be mailed; without it nobody is subscribed."""

    how = serializers.CharField(max_length=255, help_text="Such as: signed the list at the fair.")
    when = serializers.DateTimeField(required=False, help_text="When the person agreed; default now.")
    who = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default="", help_text="Who said so; default: who asks."
    )
    form = serializers.CharField(
        max_length=255,
        required=False,
        allow_blank=True,
        default="",
        help_text="The form that asks the person to confirm, by its name or id at the service.",
    )


class AcceptedSerializer(serializers.Serializer[Any]):
    """Noted; the services hear of it a moment later."""

    person = serializers.CharField(help_text="Whom it was noted for; empty where the contact is nobody's here.")


class ContactViewSet(MirrorViews[Contact]):
    """Contacts, and what may be done with one. Without the permission to see personal data they are masked."""

    queryset = Contact.objects.all()
    serializer_class = ContactSerializer
    filterset_class = ContactFilter
    needs = {
        "list": VIEW,
        "retrieve": VIEW,
        "search": (VIEW, VIEW_PERSONAL_DATA),
        "sync": (VIEW, SYNC),
        "refresh": (VIEW, SYNC),
        "tag": (VIEW, SYNC),
        "untag": (VIEW, SYNC),
        "subscribe": (VIEW, SYNC),
        "unsubscribe": (VIEW, SYNC),
        "forget": (VIEW, ERASE),
        "export": (VIEW, VIEW_PERSONAL_DATA),
    }

    def get_queryset(self) -> QuerySet[Contact]:
        rows = super().get_queryset()
        return rows.select_related("connection").defer("connection__credentials") if self.detail else rows

    def get_serializer_class(self) -> Any:
        return ContactDetailSerializer if self.action == "retrieve" else super().get_serializer_class()

    @documented(request=SearchSerializer, responses=ContactSerializer(many=True), summary="Contacts of an address")
    @action(detail=False, methods=["post"], filterset_class=None, pagination_class=None)
    def search(self, request: Request) -> Response:
        """Of all connections, those that are gone too. In the body, because addresses of requests are logged."""
        given = _given(SearchSerializer, request)
        found = Contact.objects.filter(email_key=normal_email(given["email"])).order_by("pk")[:MOST_FOUND]
        return Response(self.get_serializer(found, many=True).data)

    @documented(request=ScopeSerializer, responses={202: AcceptedSerializer}, summary="Have the person sent now")
    @action(detail=True, methods=["post"])
    def sync(self, request: Request, pk: str) -> Response:
        connection = _given(ScopeSerializer, request)["connection"]
        contact = self.get_object()
        people.sync(actor_of(request), [_who(contact)], None if connection is None else [connection])
        return _accepted(contact)

    @documented(request=None, responses={202: AcceptedSerializer}, summary="Have the contact read at its service")
    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, pk: str) -> Response:
        """In the background; nothing changes there. Not of a service that has no way to read a contact."""
        contact = self.get_object()
        read_anew(actor_of(request), [contact])
        return _accepted(contact)

    @documented(request=TagNameSerializer, responses={202: AcceptedSerializer}, summary="Give the person a tag")
    @action(detail=True, methods=["post"])
    def tag(self, request: Request, pk: str) -> Response:
        given = _given(TagNameSerializer, request)
        contact = self.get_object()
        people.tag(actor_of(request), [_who(contact)], given["name"], given["connection"])
        return _accepted(contact)

    @documented(request=TagNameSerializer, responses={202: AcceptedSerializer}, summary="Take a tag from the person")
    @action(detail=True, methods=["post"])
    def untag(self, request: Request, pk: str) -> Response:
        given = _given(TagNameSerializer, request)
        contact = self.get_object()
        people.untag(actor_of(request), [_who(contact)], given["name"], given["connection"])
        return _accepted(contact)

    @documented(request=EvidenceSerializer, responses={202: AcceptedSerializer}, summary="The person agreed")
    @action(detail=True, methods=["post"])
    def subscribe(self, request: Request, pk: str) -> Response:
        """The one act that lifts an earlier opt-out, so it asks how the person agreed."""
        given = _given(EvidenceSerializer, request)
        contact = self.get_object()
        evidence = people.Evidence(how=given["how"], when=given.get("when") or timezone.now(), who=given["who"])
        people.subscribe(actor_of(request), _who(contact), evidence, given["connection"], given["form"])
        return _accepted(contact)

    @documented(request=ScopeSerializer, responses={202: AcceptedSerializer}, summary="Unsubscribe the person")
    @action(detail=True, methods=["post"])
    def unsubscribe(self, request: Request, pk: str) -> Response:
        given = _given(ScopeSerializer, request)
        contact = self.get_object()
        people.unsubscribe(actor_of(request), [_who(contact)], given["connection"])
        return _accepted(contact)

    @documented(request=None, responses={202: AcceptedSerializer}, summary="Have the person forgotten")
    @action(detail=True, methods=["post"])
    def forget(self, request: Request, pk: str) -> Response:
        """At every service and in the mirror. The user's own row is the site's to delete."""
        contact = self.get_object()
        people.forget(actor_of(request), _who(contact))
        return _accepted(contact)

    @documented(responses=ExportSerializer, summary="All that is held of the person")
    @action(detail=True, methods=["get"])
    def export(self, request: Request, pk: str) -> Response:
        contact = self.get_object()
        told = export_of_contact(contact)
        audit.record(
            actor_of(request), AuditAction.EXPORTED, connection=contact.connection, subject=subject_of(contact)
        )
        return as_file(told)


def _storable(user: Any) -> Any:
    """A user's key that the column can hold, else None."""
    try:
        get_user_model()._meta.pk.run_validators(user)
    except ValidationError:
        return None
    return user


def _given(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values


def _who(contact: Contact) -> str:
    """Whom an act is meant for: whose contact it is, else whoever has its address."""
    return subject_of(contact) or contact.email


def _accepted(contact: Contact) -> Response:
    return Response({"person": subject_of(contact)}, status=202)
