"""One call of a delivery, or the search for the refused ones of its people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from mktg_integration.exceptions import ServiceError
from mktg_integration.providers.base import Call
from mktg_integration.push.bisect import Bisection
from mktg_integration.push.delivered import Delivered


class Job:
    """One call to make, or the search for the refused ones of a batch, one call after the other."""

    def __init__(self, call: Call) -> None:
        self.whole = call
        self.call = call
        self._search: Bisection | None = None
        self._error: ServiceError | None = None
        self._told = 0
        self._refuse: Callable[[Iterable[str], ServiceError, Delivered], None] | None = None
        self.successes_before: int | None = None
        """How many calls had succeeded when this one first met what may be an outage."""

    @property
    def is_searching(self) -> bool:
        return self._search is not None

    @property
    def halvings(self) -> int:
        """How often the whole batch can be halved."""
        return max(len(self.whole.items) - 1, 1).bit_length()

    def unsent(self) -> list[str]:
        """Whom this job has not brought to an end."""
        if self._search is None:
            return list(self.call.items)
        return self._search.unasked() or list(self.call.items)

    def after(
        self,
        *,
        accepted: bool,
        out: Delivered,
        reject: Callable[[Iterable[str], ServiceError, Delivered], None],
        error: ServiceError | None = None,
        told: Collection[str] = (),
    ) -> Job | None:
        """The next call of the search, None when it is over or not needed. ``told``: whose end the answer told."""
        if self._search is None:
            if accepted:
                return None
            self._search = Bisection(list(self.call.items))
            self._refuse = reject
        else:
            self._search.answered(accepted)
        self._error = error or self._error
        keys = self._search.next()
        newly_refused = [key for key in self._search.refused[self._told :] if key not in told]
        self._told = len(self._search.refused)
        if newly_refused and self._error is not None and self._refuse is not None:
            self._refuse(newly_refused, self._error, out)
        if not keys:
            return None
        self.call = self.whole.only(keys)
        return self
