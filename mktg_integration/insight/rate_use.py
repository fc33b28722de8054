"""How much of each connection's documented rate is in use right now."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.db.models import Count
from django.db.models.functions import Cast
from django.utils import timezone

from mktg_integration import encryption
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection, OAuthToken, RateSlot
from mktg_integration.rates import bucket_for


class RateUse(NamedTuple):
    """``used`` of ``limit`` requests in the rolling window of ``seconds``."""

    used: int
    limit: int
    seconds: float

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return min(self.used / self.limit, 1.0)


def rate_uses(connections: Sequence[Connection]) -> dict[int, RateUse]:
    """By connection; three statements for all. Left out are those without a documented rate, and those whose
    credentials cannot be read."""
    pks = [connection.pk for connection in connections]
    credentials = _unsealed(Connection, "credentials", pks)
    pairs = _unsealed(OAuthToken, "pair", pks)
    tokens = {token.pk: token for token in OAuthToken.objects.filter(pk__in=pks).defer("pair")} if pairs else {}
    rates: dict[int, tuple[str, int, float]] = {}
    for connection in connections:
        if credentials.get(connection.pk) is None or pairs.get(connection.pk, {}) is None:
            continue
        # A copy: what is opened here is for no page.
        one = copy.copy(connection)
        one._state = copy.copy(connection._state)
        one._state.fields_cache = {"oauth": _token(tokens.get(one.pk), pairs.get(one.pk))}
        one.credentials = credentials[one.pk]
        try:
            account = one.account()
            rate = one.driver.rate_slots(account)
            if rate is not None:
                rates[one.pk] = (bucket_for(account, one.driver), *rate)
        except MktgError:
            continue
    in_use = RateSlot.objects.filter(bucket__in={rate[0] for rate in rates.values()}, free_at__gt=timezone.now())
    used = dict(in_use.order_by().values_list("bucket").annotate(count=Count("pk")))
    return {pk: RateUse(used.get(bucket, 0), limit, seconds) for pk, (bucket, limit, seconds) in rates.items()}


def _unsealed(model: type[models.Model], name: str, pks: Sequence[int]) -> dict[int, Mapping[str, Any] | None]:
    """The encrypted column of each row, None where no key reads it: one wrong key must not hide the others."""
    rows = model._default_manager.filter(pk__in=pks).annotate(sealed=Cast(name, models.TextField()))
    found: dict[int, Mapping[str, Any] | None] = {}
    for pk, sealed in rows.values_list("pk", "sealed"):
        try:
            found[pk] = json.loads(encryption.decrypt(sealed)) if sealed else {}
        except MktgError:
            found[pk] = None
    return found


def _token(token: OAuthToken | None, pair: Mapping[str, Any] | None) -> OAuthToken | None:
    if token is not None:
        token.pair = dict(pair or {})
    return token
