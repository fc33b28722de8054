"""What happens once beside events, as plain values: a purchase, an entry into a sequence, a change of a tag."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

JSON = Any

_CURRENCY = re.compile(r"[A-Z]{3}")
_MONEY = ("subtotal", "tax", "shipping", "discount", "total")


@dataclass(frozen=True, kw_only=True, slots=True)
class Product:
    """One line of a purchase. ``product_id`` is the site's id of the product, ``line_id`` that of the line (default:
    the product's). ``unit_price`` is in the purchase's currency."""

    name: str
    product_id: str
    unit_price: Decimal
    quantity: int = 1
    line_id: str = ""
    sku: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """A purchase; ``transaction_id`` is the site's own and tells it from all others. ``currency`` is of three letters
    (ISO 4217), money in its main unit. ``occurred_at`` is ISO 8601, UTC."""

    transaction_id: str
    currency: str
    products: Sequence[Product]
    subtotal: Decimal
    tax: Decimal = Decimal(0)
    shipping: Decimal = Decimal(0)
    discount: Decimal = Decimal(0)
    total: Decimal
    status: str = "paid"
    occurred_at: str

    @classmethod
    def made(
        cls,
        *,
        transaction_id: str,
        currency: str,
        products: Sequence[Product],
        occurred_at: datetime,
        subtotal: Decimal | None = None,
        tax: Decimal = Decimal(0),
        shipping: Decimal = Decimal(0),
        discount: Decimal = Decimal(0),
        total: Decimal | None = None,
        status: str = "paid",
    ) -> Purchase:
        """A purchase that was checked. ``subtotal`` is otherwise the sum of the lines, ``total`` that with tax and
        shipping and without the discount. Raises ``ValueError`` naming what is wrong, ``TypeError`` for money that is
        no ``Decimal``."""
        if not transaction_id.strip() or len(transaction_id) > 255:
            raise ValueError("transaction_id: give the site's own id of the purchase, of at most 255 characters")
        code = currency.strip().upper()
        if not _CURRENCY.fullmatch(code):
            raise ValueError("currency: give the three letters of ISO 4217, such as USD")
        if occurred_at.tzinfo is None:
            raise ValueError("occurred_at: give a time with its zone")
        lines = [_checked(number, product) for number, product in enumerate(products, 1)]
        if not lines:
            raise ValueError("products: a purchase has at least one")
        if len({line.line_id for line in lines}) < len(lines):
            raise ValueError("products: two lines have one line_id; give each its own")
        given = {"subtotal": subtotal, "tax": tax, "shipping": shipping, "discount": discount, "total": total}
        for name, amount in given.items():
            if amount is not None:
                _check_money(name, amount)
        sum_of_lines = sum((line.unit_price * line.quantity for line in lines), Decimal(0))
        before = sum_of_lines if subtotal is None else subtotal
        return cls(
            transaction_id=transaction_id.strip(),
            currency=code,
            products=lines,
            subtotal=before,
            tax=tax,
            shipping=shipping,
            discount=discount,
            total=before + tax + shipping - discount if total is None else total,
            status=status,
            occurred_at=occurred_at.isoformat(),
        )

    def as_json(self) -> dict[str, JSON]:
        """For the outbox; money as text, so that nothing is rounded."""
        lines = [
            {
                "name": line.name,
                "product_id": line.product_id,
                "line_id": line.line_id,
                "unit_price": str(line.unit_price),
                "quantity": line.quantity,
                "sku": line.sku,
            }
            for line in self.products
        ]
        money = {name: str(getattr(self, name)) for name in _MONEY}
        plain = ("transaction_id", "currency", "status", "occurred_at")
        return {**{name: getattr(self, name) for name in plain}, **money, "products": lines}

    @classmethod
    def from_json(cls, told: Mapping[str, JSON]) -> Purchase:
        """The inverse of ``as_json``."""
        lines = [Product(**{**line, "unit_price": Decimal(line["unit_price"])}) for line in told["products"]]
        money = {name: Decimal(told[name]) for name in _MONEY}
        return cls(**{**told, **money, "products": lines})


def _checked(number: int, product: Product) -> Product:
    where = f"products, line {number}"
    if not product.name.strip() or not str(product.product_id).strip():
        raise ValueError(f"{where}: name and product_id must not be empty")
    if isinstance(product.quantity, bool) or not isinstance(product.quantity, int) or product.quantity < 1:
        raise ValueError(f"{where}: quantity must be a whole number from 1")
    _check_money(f"{where}: unit_price", product.unit_price)
    return Product(
        name=product.name,
        product_id=str(product.product_id),
        unit_price=product.unit_price,
        quantity=product.quantity,
        line_id=str(product.line_id or product.product_id),
        sku=product.sku,
    )


def _check_money(name: str, amount: Decimal) -> None:
    if not isinstance(amount, Decimal):
        raise TypeError(f"{name}: give a Decimal, because a float is not the sum that was meant")
    if not amount.is_finite():
        raise ValueError(f"{name}: must be a finite amount")


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceEntry:
    """A person is to enter a sequence, by its name or remote id."""

    sequence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TagChange:
    """A tag of the account is to be made (without ``remote_id``) or renamed."""

    name: str
    remote_id: str = ""


Occurrence = Purchase | SequenceEntry | TagChange


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far an occurrence has come: what a plan has to know of earlier tries and calls.

    ``in_doubt``: an earlier try may have been carried out, so it is to be looked for first. ``is_listed``: that try was
    long enough ago for lists to show what it did. ``known_before`` is the remote id of something of the kind that was
    there before the try, empty where none is known: what is newer in a list has been looked through when it comes.
    ``step`` is what the last call's ``Result.step`` left for the next one.
    """

    in_doubt: bool = False
    is_listed: bool = True
    known_before: str = ""
    step: Mapping[str, JSON] = field(default_factory=dict)
