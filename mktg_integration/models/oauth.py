"""The tokens of connections made by OAuth, apart from ``Connection``, whose row users' saves read."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.conf import settings
from mktg_integration.models.connections import Connection
from mktg_integration.models.fields import EncryptedJSONField
from mktg_integration.models.leases import Leased


class OAuthToken(Leased):
    """The token pair that a connection uses now. Its lease is the right to refresh it."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="oauth", db_constraint=False
    )
    pair = EncryptedJSONField(default=dict)
    """``{"access_token": …, "refresh_token": …}``; empty once it was disconnected."""
    version = models.BigIntegerField(default=0, editable=False)
    """Random and new with every pair, so that nothing late is taken for what concerns the present one."""
    origin = models.CharField(max_length=64, blank=True, editable=False)
    """A keyed hash of the refresh token in settings that it began with. Another one there begins anew."""
    issued_at = models.DateTimeField(_("token issued at"), null=True, editable=False)
    expires_at = models.DateTimeField(_("token expires at"), null=True, editable=False)
    """Of the access token; None: not known."""
    asked_at = models.DateTimeField(null=True, editable=False)
    """When a refresh was asked for whose answer has not been stored: its refresh token may be spent."""
    refused_at = models.DateTimeField(_("refresh refused at"), null=True, editable=False)
    """The service takes this pair's refresh token no more: the account has to be connected again."""
    disconnected_at = models.DateTimeField(_("disconnected at"), null=True, editable=False)

    class Meta:
        verbose_name = _("OAuth token")
        verbose_name_plural = _("OAuth tokens")

    def __str__(self) -> str:
        return f"OAuth token of connection {self.connection_id}"

    def is_due(self, now: datetime) -> bool:
        """Whether the access token is to be replaced: ``REFRESH_SECONDS`` before its end, of a short-lived one when a
        quarter of its time is left."""
        if self.expires_at is None:
            return False
        lifetime = self.expires_at - (self.issued_at or self.expires_at)
        early = min(timedelta(seconds=settings.REFRESH_SECONDS), lifetime / 4)
        return now >= self.expires_at - early
