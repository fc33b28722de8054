"""Kit v4, "Purchases" (OAuth only)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, moment

_ALL = "/v4/purchases"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductBody:
    """A line of a purchase. ``pid`` is the site's id of the product, ``lid`` that of the line, unique in it."""

    name: str
    pid: str
    lid: str
    quantity: int
    unit_price: Decimal
    sku: str | None = None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"name": self.name, "pid": self.pid, "lid": self.lid, "quantity": self.quantity}
        return {**body, "sku": self.sku, "unit_price": float(self.unit_price)}


@dataclass(frozen=True, kw_only=True, slots=True)
class PurchaseBody:
    """A purchase to record. ``currency`` has three letters; ``transaction_time`` is aware; ``shipping`` is whole."""

    email_address: str
    transaction_id: str
    currency: str
    products: Sequence[ProductBody]
    first_name: str | None = None
    status: str | None = "paid"
    subtotal: Decimal | None = None
    tax: Decimal | None = None
    shipping: int | None = None
    discount: Decimal | None = None
    total: Decimal | None = None
    transaction_time: datetime | str | None = None

    def as_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "email_address": self.email_address,
            "transaction_id": self.transaction_id,
            "currency": self.currency,
            "products": [product.as_json() for product in self.products],
        }
        optional = {
            "first_name": self.first_name,
            "status": self.status,
            "shipping": self.shipping,
            "transaction_time": moment(self.transaction_time),
        }
        money = {"subtotal": self.subtotal, "tax": self.tax, "discount": self.discount, "total": self.total}
        body |= {name: value for name, value in optional.items() if value is not None}
        return body | {name: float(value) for name, value in money.items() if value is not None}


class Purchases(KitBase):
    def list_purchases(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.Purchase]:
        """ "List purchases", the newest first."""
        return self._list(
            _ALL,
            schemas.PurchasePage,
            lambda page: page.purchases,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def get_purchase(self, purchase_id: int | str) -> schemas.Purchase:
        """ "Get a purchase"."""
        return self._get(_ALL + "/{id}", schemas.PurchaseAnswer, path={"id": purchase_id}).purchase

    def create_purchase(self, purchase: PurchaseBody) -> schemas.Purchase:
        """ "Create a purchase" and its products where they do not exist. Not idempotent by its document: after a lost
        answer look for the ``transaction_id`` before it is sent again. Raises ``ValueError`` for a time without a zone.
        """
        body = {"purchase": purchase.as_json()}
        return self._send("POST", _ALL, schemas.PurchaseAnswer, json=body, expect=(201,))[0].purchase
