"""``events/`` and ``purchases/``: what a person did, told by the site's other programs. Each once for its key."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration import shortcuts
from mktg_integration.api.base import ApiView
from mktg_integration.api.mirror import PURCHASES, MirrorViews, PurchaseFilter, PurchaseSerializer
from mktg_integration.api.openapi import documented
from mktg_integration.models import Connection, Purchase
from mktg_integration.models.commerce import DIGITS, PLACES
from mktg_integration.people import person_of
from mktg_integration.permissions import APP, SYNC
from mktg_integration.providers.occurrences import Product

KEY_HEADER = "Idempotency-Key"


class WhoSerializer(serializers.Serializer[Any]):
    """``person``: ``user:<pk>`` or ``lead:<id>``; or an ``email``: of an address without an account a lead is made."""

    person = serializers.CharField(max_length=80, required=False)
    email = serializers.EmailField(max_length=254, required=False)
    connection = serializers.PrimaryKeyRelatedField(
        queryset=Connection.objects.defer("credentials"),
        required=False,
        allow_null=True,
        default=None,
        help_text="The id of the one that is to be told; else all that can be.",
    )
    occurred_at = serializers.DateTimeField(required=False, help_text="Default: now.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("person" in attrs) == ("email" in attrs):
            raise serializers.ValidationError(_("Name either the person or the email."))
        attrs["who"] = attrs.get("email") or _person(attrs["person"])
        return attrs


class EventSerializer(WhoSerializer):
    """What somebody did."""

    name = serializers.CharField(max_length=255)
    data = serializers.DictField(required=False, default=dict, help_text="What belongs to it, as JSON.")  # type: ignore[assignment]
    key = serializers.CharField(
        max_length=255,
        required=False,
        help_text=f"The same event has the same key, however often it is told. Or the header {KEY_HEADER}.",
    )


def _money(**kwargs: Any) -> serializers.DecimalField:
    return serializers.DecimalField(max_digits=DIGITS, decimal_places=PLACES, **kwargs)


class ProductSerializer(serializers.Serializer[Any]):
    """One line of a purchase."""

    name = serializers.CharField(max_length=255)
    product_id = serializers.CharField(max_length=255)
    unit_price = _money()
    quantity = serializers.IntegerField(min_value=1, default=1)
    line_id = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")
    sku = serializers.CharField(max_length=255, required=False, allow_blank=True, default="")


class NewPurchaseSerializer(WhoSerializer):
    """What somebody bought; ``transaction_id`` is the site's own, and the same however often it is told."""

    transaction_id = serializers.CharField(max_length=255)
    currency = serializers.RegexField(r"^[A-Za-z]{3}$", help_text="Three letters, ISO 4217.")
    products = ProductSerializer(many=True, allow_empty=False)
    subtotal = _money(required=False)
    tax = _money(default=Decimal(0))
    shipping = _money(default=Decimal(0))
    discount = _money(default=Decimal(0))
    total = _money(required=False)


class QueuedSerializer(serializers.Serializer[Any]):
    """Noted; the services hear of it a moment later."""

    key = serializers.CharField()


class EventsView(ApiView):
    """Events."""

    needs = {"post": SYNC}

    @documented(request=EventSerializer, responses={202: QueuedSerializer}, summary="Somebody did something")
    def post(self, request: Request) -> Response:
        given = _checked(EventSerializer, request)
        key = given.get("key") or request.headers.get(KEY_HEADER, "").strip()
        if not key:
            said = _(
                "Give a key (here, or as the header %(header)s): without one a repeated request is a second event."
            )
            raise serializers.ValidationError({"key": [said % {"header": KEY_HEADER}]})
        _told(
            lambda: shortcuts.track(
                given["who"],
                given["name"],
                given["data"],
                occurred_at=given.get("occurred_at"),
                key=key,
                connection=_name(given["connection"]),
            )
        )
        return Response({"key": key}, status=202)


class PurchaseViewSet(MirrorViews[Purchase]):
    """Purchases as the services have them; and new ones, for the services."""

    queryset = PURCHASES
    serializer_class = PurchaseSerializer
    filterset_class = PurchaseFilter
    needs = {"list": f"{APP}.view_purchase", "retrieve": f"{APP}.view_purchase", "create": SYNC}

    @documented(request=NewPurchaseSerializer, responses={202: QueuedSerializer}, summary="Somebody bought something")
    def create(self, request: Request) -> Response:
        given = _checked(NewPurchaseSerializer, request)
        money = {name: given[name] for name in ("subtotal", "tax", "shipping", "discount", "total") if name in given}
        _told(
            lambda: shortcuts.record_purchase(
                given["who"],
                transaction_id=given["transaction_id"],
                currency=given["currency"],
                products=[Product(**line) for line in given["products"]],
                occurred_at=given.get("occurred_at"),
                connection=_name(given["connection"]),
                **money,
            )
        )
        return Response({"key": given["transaction_id"]}, status=202)


def _checked(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    given = kind(data=request.data)
    given.is_valid(raise_exception=True)
    values: dict[str, Any] = given.validated_data
    return values


def _person(subject: str) -> Any:
    try:
        found = person_of(subject)
    except ValueError:
        raise serializers.ValidationError({"person": [_("Name a person as user:<pk> or lead:<id>.")]}) from None
    if found is None:
        raise serializers.ValidationError({"person": [_("There is no such person any more.")]})
    return found


def _name(connection: Connection | None) -> str | None:
    return connection.name if connection is not None else None


def _told(tell: Callable[[], None]) -> None:
    try:
        tell()
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from None
