"""One way out for every request: one base address, one deadline, one error vocabulary, nothing personal in either."""

from __future__ import annotations

import json as jsonlib
import logging
import math
import re
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import quote, urlencode, urlsplit

import requests
import urllib3

from mktg_integration import __version__
from mktg_integration.exceptions import Action, ConfigurationError, ServiceError
from mktg_integration.http.answers import LastAnswer, note_answer
from mktg_integration.http.auth import Auth
from mktg_integration.http.deadline import DeadlineAdapter, time_left, time_limit
from mktg_integration.http.errors import DEFAULT, ErrorReader, ErrorTable, read_errors
from mktg_integration.http.limits import RateLimiter, Unlimited
from mktg_integration.http.redaction import redact, redact_message

logger = logging.getLogger(__name__)

JSON = Any
QueryValue = str | int | float | bool | None | Collection[str] | Collection[int]
AnswerHook = Callable[[str, int | None, float], None]
"""Told of every attempt: endpoint (template), status (None: no answer), seconds."""

USER_AGENT = f"mktg-integration/{__version__} (+https://github.com/mktg-integration/mktg-integration)"
MAX_BODY = 32 * 1024 * 1024
_CHUNK = 64 * 1024
_REQUEST_ID_HEADERS = ("X-Request-Id", "Request-Id", "X-Correlation-Id", "X-Amzn-RequestId", "CF-Ray")
_NOT_IN_REQUEST_ID = re.compile(r"[^\w.:-]")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer with an expected status. ``payload`` is the parsed JSON, None where the body is empty."""

    status: int
    payload: JSON = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    request_id: str = ""


class Session:
    """Makes the requests of one client to one service; safe to share between threads.

    ``service`` is the provider's name, for errors. ``base_url`` may end in a slash. ``deadline`` is the most seconds
    that a request takes from the first byte sent to the last one read (looking up the host's name is the system's
    own time); ``connect_timeout`` the most for each address of the host. ``limiter`` is asked before each request and
    told after it. ``messages`` reads the service's error bodies. ``max_retry_after`` caps what the service may ask
    us to wait, in seconds. ``max_body`` is the largest answer taken, in bytes.

    Redirects are not followed, cookies not kept, ``.netrc`` not read; the environment's proxies and CA bundle are used.
    Raises ``ConfigurationError`` where ``base_url`` is not an http(s) address or holds credentials.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        auth: Auth,
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 5.0,
        error_table: ErrorTable = DEFAULT,
        messages: ErrorReader = read_errors,
        on_answer: AnswerHook | None = None,
        max_retry_after: float = 3600.0,
        max_body: int = MAX_BODY,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.service = service
        self.base_url = checked_base_url(base_url)
        self.deadline = deadline
        self._auth = auth
        self._limiter = limiter if limiter is not None else Unlimited()
        self._connect_timeout = connect_timeout
        self._errors = error_table
        self._messages = messages
        self._on_answer = on_answer
        self._max_retry_after = max_retry_after
        self._max_body = max_body
        self._headers = {"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})}
        self._local = threading.local()
        self._opened: weakref.WeakSet[requests.Session] = weakref.WeakSet()
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"Session({self.service!r}, {self.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that all threads hold. The session may be used again."""
        with self._opening:
            for opened in list(self._opened):
                opened.close()

    def request(
        self,
        method: str,
        template: str,
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        json: JSON = None,
        form: Mapping[str, str] | None = None,
        expect: Collection[int] = (200,),
        status_alone: bool = False,
    ) -> HttpAnswer:
        """Make one request (two where a refused token was replaced by a newer one) and return its answer.

        ``template`` is the path with ``{name}`` for what ``path`` gives; values are quoted. In ``query`` None is left
        out, booleans are ``true`` and ``false``, a collection repeats its key. ``status_alone``: no form of the answer
        is documented, so a success needs no JSON; a page (HTML, XML) is none all the same, for a proxy wrote it.

        Raises ``ServiceError`` for any status not in ``expect`` and where no whole answer came. ``answered`` is True
        with ``status`` None where the request never left (name not found, connection refused or not made in time): the
        service has done nothing. It is False where the request may have been processed: the connection broke or the
        time was up after it was sent, or the answer did not come whole.
        """
        endpoint = f"{method} {template}"
        url = self.base_url + _filled(template, path or {})
        body, content_type = _body(json, form)
        params = _query(query or {})
        for last in (False, True):
            credentials = self._auth.headers()
            headers = {**self._headers, **credentials}
            if content_type:
                headers["Content-Type"] = content_type
            answer = self._attempt(endpoint, method, url, params, body, headers)
            if answer.status != 401 or 401 in expect or last or not self._auth.refused(credentials):
                break
        if answer.status not in expect:
            self._refuse(endpoint, answer)
        payload = None if status_alone and not answer.is_page else self._json(endpoint, answer)
        return HttpAnswer(answer.status, payload, answer.headers, answer.request_id)

    def _attempt(
        self,
        endpoint: str,
        method: str,
        url: str,
        params: list[tuple[str, str]],
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> _Raw:
        slot = self._limiter.acquire()
        started = time.monotonic()
        status: int | None = None
        try:
            with time_limit(self.deadline):
                answer = self._exchange(method, url, params, body, headers)
            status = answer.status
            note_answer(LastAnswer(endpoint, status, answer.request_id))
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # "from None": the text of these errors holds the filled-in address.
            raise self._lost(endpoint, error) from None
        except _TooLarge as error:
            status = error.status
            raise ServiceError(
                service=self.service,
                endpoint=endpoint,
                action=Action.FAIL,
                status=status,
                code="answer_too_large",
                messages=(f"the answer is larger than {self._max_body} bytes",),
                answered=False,
            ) from None
        finally:
            self._limiter.release(slot)
            self._tell(endpoint, status, time.monotonic() - started)
        return answer

    def _exchange(
        self, method: str, url: str, params: list[tuple[str, str]], body: bytes | None, headers: Mapping[str, str]
    ) -> _Raw:
        def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # Given as "auth", so that requests does not look for credentials in .netrc.
            request.headers.update(headers)
            return request

        left = time_left() or self.deadline
        response = self._session().request(
            method,
            url,
            params=params,
            data=body,
            auth=authorize,
            timeout=(min(self._connect_timeout, left), left),
            allow_redirects=False,
            stream=True,
        )
        try:
            content = b"".join(self._chunks(response))
        finally:
            response.close()
        request_id = next((response.headers[name] for name in _REQUEST_ID_HEADERS if name in response.headers), "")
        return _Raw(
            response.status_code, content, response.headers, _NOT_IN_REQUEST_ID.sub("", redact(request_id))[:64]
        )

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        size = 0
        while chunk := response.raw.read(_CHUNK, decode_content=True):
            size += len(chunk)
            if size > self._max_body:
                raise _TooLarge(response.status_code)
            yield chunk

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            session.mount("https://", DeadlineAdapter())
            session.mount("http://", DeadlineAdapter())
            self._local.session = session
            with self._opening:
                self._opened.add(session)
        return session

    def _tell(self, endpoint: str, status: int | None, seconds: float) -> None:
        logger.debug("%s: %s answered %s in %.3f s", self.service, endpoint, status, seconds)
        if self._on_answer is None:
            return
        try:
            self._on_answer(endpoint, status, seconds)
        except Exception:  # noqa: BLE001 - a broken metric must not make a done call look failed
            logger.warning("%s: the on_answer hook failed for %s", self.service, endpoint)

    def _lost(self, endpoint: str, error: Exception) -> ServiceError:
        code, never_left = _reason(error)
        return ServiceError(
            service=self.service, endpoint=endpoint, action=Action.RETRY, code=code, answered=never_left
        )

    def _refuse(self, endpoint: str, answer: _Raw) -> NoReturn:
        said = self._messages(answer.error_payload())
        raise ServiceError(
            service=self.service,
            endpoint=endpoint,
            action=self._errors.action(answer.status, said.code),
            status=answer.status,
            code=redact_message(said.code),
            messages=tuple(redact_message(message) for message in said.messages),
            request_id=answer.request_id,
            retry_after=retry_after(answer.headers.get("Retry-After"), most=self._max_retry_after),
        )

    def _json(self, endpoint: str, answer: _Raw) -> JSON:
        if not answer.content.strip():
            return None
        try:
            return jsonlib.loads(answer.content)
        except ValueError:
            # Cut short without a length, or a proxy's page: either way nobody knows what the service did.
            raise ServiceError(
                service=self.service,
                endpoint=endpoint,
                action=Action.RETRY,
                status=answer.status,
                code="not_json",
                request_id=answer.request_id,
                answered=False,
            ) from None


class _TooLarge(Exception):  # noqa: N818 - not an error of the package: never leaves this module
    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True, slots=True)
class _Raw:
    status: int
    content: bytes
    headers: Mapping[str, str]
    request_id: str

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace").strip()

    @property
    def is_page(self) -> bool:
        kind = self.headers.get("Content-Type", "").lower()
        return "html" in kind or "xml" in kind or self.text.startswith("<")

    def error_payload(self) -> JSON:
        try:
            return jsonlib.loads(self.text)
        except ValueError:
            return None if self.is_page else self.text


def checked_base_url(url: str) -> str:
    """``url`` without a trailing slash. Raises ``ConfigurationError`` where it is no plain http(s) address."""
    try:
        parts = urlsplit(url.strip())
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is no number or too large
        is_address = False
    if not is_address:
        raise ConfigurationError("BASE_URL must be an http(s) address such as https://api.example.com")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError("BASE_URL must hold no user, password, query or fragment: give host and path only")
    return url.strip().rstrip("/")


def retry_after(value: str | None, *, most: float) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110 section 10.2.3: seconds or a date), at most ``most``."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        seconds = (until - datetime.now(UTC)).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), most)


def _filled(template: str, path: Mapping[str, object]) -> str:
    values = {name: quote(str(value), safe="") for name, value in path.items()}
    for name, value in values.items():
        # Dot segments are resolved by the transport and would address something else.
        if value in ("", ".", ".."):
            raise ValueError(f"path parameter {name!r} must not be empty, '.' or '..'")
    return template.format_map(values)


def _query(query: Mapping[str, QueryValue]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None:
            continue
        several = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        pairs += [(name, str(one).lower() if isinstance(one, bool) else str(one)) for one in several]
    return pairs


def _body(json: JSON, form: Mapping[str, str] | None) -> tuple[bytes | None, str]:
    if form is not None:
        return (urlencode(form).encode(), "application/x-www-form-urlencoded")
    if json is not None:
        return (jsonlib.dumps(json, allow_nan=False, separators=(",", ":")).encode(), "application/json")
    return (None, "")


def _reason(error: Exception) -> tuple[str, bool]:
    """A short code, and whether the request surely never left."""
    if isinstance(error, requests.ConnectTimeout):
        return "connect_timeout", True
    if isinstance(error, requests.exceptions.ProxyError):
        return "proxy_unreachable", True
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "certificate_refused", True
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        return "unreachable", True
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if any(isinstance(cause, timeouts) for cause in causes):
        return "deadline", False
    return "connection_lost", False


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: requests and urllib3 nest theirs in arguments, ``reason`` and context."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
