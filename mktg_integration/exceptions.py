"""The errors that this package raises. None carries a credential, an address or a body."""

from __future__ import annotations

from enum import StrEnum

from django.core.exceptions import ImproperlyConfigured


class MktgError(Exception):
    """Base of every error of this package."""


class ConfigurationError(MktgError, ImproperlyConfigured):
    """A setting or an option of a connection is wrong; the text names it and says what to do."""


class DecryptionError(MktgError):
    """A stored secret cannot be read with the keys in ``MKTG_INTEGRATION["ENCRYPTION_KEYS"]``."""


class CopyError(MktgError):
    """This site is not the one that the connection is bound to (``PUBLIC_URL``), so it may not act for it."""


class ProfileError(MktgError):
    """A person's profile cannot be sent: names the field and what is wrong with it, never its value."""


class UnsupportedError(MktgError):
    """The provider cannot do what was asked; the text says what it can."""


class NotNowError(MktgError):
    """What was asked cannot be done as things are (a run that has ended, an act that is under way); says why."""


class MalformedAnswerError(MktgError):
    """A service's answer is not what its document says. Names the service, the endpoint and the keys."""


class Action(StrEnum):
    """What a failed call means for the work that it carried."""

    RETRY = "retry"
    """An outage or a lost answer: the same call may go through later."""
    WAIT = "wait"
    """The service asks us to slow down (429, 413): the connection waits, nothing is counted against a row."""
    RECONNECT = "reconnect"
    """The credential is refused (401): the connection waits until a person reconnects it."""
    FORBIDDEN = "forbidden"
    """The account may not do this (403, a full plan): the connection waits and says why."""
    REJECT = "reject"
    """The service understood and refused what was sent: a person's data, or what the whole mapping gets wrong."""
    FAIL = "fail"
    """A defect of ours or an unknown status: not retried by itself."""


class ServiceError(MktgError):
    """A call to a service that did not succeed.

    ``service`` is the provider's name, ``endpoint`` the template (never a filled-in path), ``status`` the HTTP
    status or None where no answer came, ``code`` a short machine-readable word, ``messages`` the service's own
    messages with addresses and long digits blanked out, ``retry_after`` seconds or None.
    ``answered`` is False where the request left and no whole answer came back, so the work may have been done.
    """

    def __init__(
        self,
        *,
        service: str,
        endpoint: str,
        action: Action,
        status: int | None = None,
        code: str = "",
        messages: tuple[str, ...] = (),
        request_id: str = "",
        retry_after: float | None = None,
        answered: bool = True,
    ) -> None:
        self.service = service
        self.endpoint = endpoint
        self.action = action
        self.status = status
        self.code = code
        self.messages = messages
        self.request_id = request_id
        self.retry_after = retry_after
        self.answered = answered
        super().__init__(self._text())

    def _text(self) -> str:
        parts = [f"{self.service}: {self.endpoint}"]
        parts.append(f"status {self.status}" if self.status is not None else "no answer")
        if self.code:
            parts.append(self.code)
        if self.messages:
            parts.append("; ".join(self.messages))
        if self.request_id:
            parts.append(f"request {self.request_id}")
        return ", ".join(parts)
