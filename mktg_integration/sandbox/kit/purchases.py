"""Purchases (reference: "Purchases"). A subscriber and products that do not exist yet are made.

The document calls ``transaction_id`` unique without saying what a second purchase with one is answered; here 422.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ..wire import Response
from .broadcasts import Moment
from .core import Event, Kit
from .errors import Refused, invalid
from .objects import LineItem, Product, Purchase
from .paging import PageQuery, paginate
from .requests import Keys, blank
from .router import answer, routes


def _whole(number: float) -> float:
    if not number.is_integer():
        raise PydanticCustomError("integer_type", "must be an integer")
    return number


Whole = Annotated[float, AfterValidator(_whole)]
"""An integer, which some languages write as ``5.0``."""


class ProductBody(Keys):
    name: str
    pid: str
    lid: str
    quantity: int
    sku: str | None = None
    unit_price: float


class PurchaseValues(Keys):
    email_address: str | None = None
    first_name: str | None = None
    transaction_id: str | None = None
    status: str | None = None
    subtotal: float | None = None
    tax: float | None = None
    shipping: Whole | None = None
    discount: float | None = None
    total: float | None = None
    currency: str | None = None
    transaction_time: Moment | None = None
    products: Annotated[list[ProductBody], Field(default_factory=list)]


class PurchaseBody(PurchaseValues):
    """``{"purchase": {...}}``, or, as Kit's own PHP client sends it, the purchase bare."""

    purchase: PurchaseValues | None = None


@routes("GET /v4/purchases")
def list_purchases(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.purchases.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"purchases": [asdict(row) for row in page.rows], "pagination": page.pagination})


@routes("GET /v4/purchases/{id}")
def get_purchase(kit: Kit, id: int) -> Response:
    return answer(200, {"purchase": asdict(kit.found(kit.world.purchases, id))})


@routes("POST /v4/purchases")
def create_purchase(kit: Kit, body: PurchaseBody) -> Response:
    given = body.purchase or body
    if body.purchase is not None and body.model_fields_set != {"purchase"}:
        raise Refused(422, "Purchase is given twice", undocumented="body keys beside purchase")
    email = _checked(kit, given)
    subscriber = kit.subscriber_by_email(email)
    if subscriber is None:
        subscriber = kit.create_subscriber(email, given.first_name)
    price = sum(item.quantity * item.unit_price for item in given.products)
    subtotal = round(price, 2) if given.subtotal is None else given.subtotal
    tax, discount = given.tax or 0, given.discount or 0
    total = round(subtotal + tax + (given.shipping or 0) - discount, 2) if given.total is None else given.total
    row = Purchase(
        id=kit.world.next_id("purchases"),
        transaction_id=given.transaction_id or "",
        status=given.status or "paid",
        email_address=subscriber.email_address,
        currency=(given.currency or "").upper(),
        transaction_time=given.transaction_time or kit.now,
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        total=total,
        products=[LineItem(**item.model_dump()) for item in given.products],
    )
    kit.world.purchases.put(row.id, row)
    kit.events.append(Event("purchase_create", {"purchase": asdict(row)}))
    for pid, name in {item.pid: item.name for item in given.products}.items():
        kit.raise_event("product_purchase", subscriber, _product(kit, pid, name).id)
    response = answer(201, {"purchase": asdict(row)})
    return response if body.purchase is not None else replace(response, undocumented="body without purchase")


def _checked(kit: Kit, given: PurchaseValues) -> str:
    """The buyer's address, or 422 with everything that is wrong."""
    errors: list[str] = []
    email = ""
    try:
        email = kit.checked_email(given.email_address)
    except Refused as refused:
        errors += refused.errors
    if blank(given.transaction_id):
        errors.append("Transaction cannot be blank")
    elif any(row.transaction_id == given.transaction_id for row in kit.world.purchases):
        errors.append("Transaction has already been taken")
    if blank(given.currency):
        errors.append("Currency cannot be blank")
    elif len(given.currency or "") != 3:
        errors.append("Currency is invalid")
    if given.status not in (None, "paid"):
        errors.append("Status is not supported")
    if not given.products:
        errors.append("Products cannot be blank")
    if len({item.lid for item in given.products}) != len(given.products):
        errors.append("Products must each have a unique lid")
    if errors:
        raise invalid(*errors)
    return email


def _product(kit: Kit, pid: str, name: str) -> Product:
    """The product of that ``pid``, made where there is none."""
    for row in kit.world.products:
        if row.pid == pid:
            return row
    row = Product(id=kit.world.next_id("products"), pid=pid, name=name)
    kit.world.products.put(row.id, row)
    return row
