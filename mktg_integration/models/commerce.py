"""The mirror of purchases. Money is ``Decimal``, in the purchase's currency."""

from __future__ import annotations

from decimal import Decimal

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.models.keys import KeyField
from mktg_integration.models.mirror import Mirrored

DIGITS = 18
PLACES = 4
"""Of money: more than any currency has, because unit prices may be fractions of its smallest coin."""


class Purchase(Mirrored):
    """A purchase. Its buyer is known by address: whoever has the address is found by ``email_key``."""

    transaction_id = models.CharField(_("transaction"), max_length=255)
    status = models.CharField(_("status"), max_length=32, blank=True)
    email = models.CharField(_("email"), max_length=254)
    email_key = KeyField(max_length=254, editable=False)
    currency = models.CharField(_("currency"), max_length=3)
    transaction_time = models.DateTimeField(_("time"), null=True)
    subtotal = models.DecimalField(_("subtotal"), max_digits=DIGITS, decimal_places=PLACES, default=Decimal(0))
    discount = models.DecimalField(_("discount"), max_digits=DIGITS, decimal_places=PLACES, default=Decimal(0))
    tax = models.DecimalField(_("tax"), max_digits=DIGITS, decimal_places=PLACES, default=Decimal(0))
    total = models.DecimalField(_("total"), max_digits=DIGITS, decimal_places=PLACES, default=Decimal(0))

    class Meta:
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")
        indexes = [
            models.Index(fields=["connection", "transaction_id"], name="mktg_purchase_transaction"),
            models.Index(fields=["connection", "-transaction_time"], name="mktg_purchase_time"),
            models.Index(fields=["email_key"], name="mktg_purchase_email"),
        ]

    def __str__(self) -> str:
        return self.transaction_id


class PurchaseItem(Mirrored):
    """One line of a purchase."""

    purchase = models.ForeignKey(
        Purchase, on_delete=models.CASCADE, db_constraint=False, related_name="items", verbose_name=_("purchase")
    )
    position = models.PositiveIntegerField(_("position"))
    name = models.CharField(_("name"), max_length=255)
    product = models.CharField(_("product"), max_length=255, blank=True)
    line = models.CharField(_("line"), max_length=255, blank=True)
    sku = models.CharField(_("SKU"), max_length=255, blank=True)
    quantity = models.BigIntegerField(_("quantity"), default=1)
    unit_price = models.DecimalField(_("unit price"), max_digits=DIGITS, decimal_places=PLACES, default=Decimal(0))

    class Meta:
        verbose_name = _("purchase item")
        verbose_name_plural = _("purchase items")
        indexes = [models.Index(fields=["connection", "product"], name="mktg_item_product")]

    def __str__(self) -> str:
        return self.name
