"""What one request sends, and what each kind of answer becomes. The transport is mocked."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import requests
import responses
from responses import matchers

from mktg_integration.exceptions import Action, ConfigurationError, ServiceError
from mktg_integration.http import (
    BasicAuth,
    BearerAuth,
    ErrorTable,
    HeaderAuth,
    HttpAnswer,
    NoAuth,
    Session,
    StaticToken,
)

BASE = "https://api.example.com"


class Counting:
    """A limiter that counts, and can refuse."""

    def __init__(self) -> None:
        self.held = 0
        self.granted = 0

    def acquire(self) -> object:
        self.held += 1
        self.granted += 1
        return self.granted

    def release(self, slot: object) -> None:
        self.held -= 1


class Tokens:
    """A token source that has ``newer`` tokens to give."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.refusals: list[str] = []

    def token(self) -> str:
        return self.tokens[0]

    def refused(self, token: str) -> bool:
        self.refusals.append(token)
        if len(self.tokens) == 1:
            return False
        self.tokens.pop(0)
        return True


def session(**options: Any) -> Session:
    options.setdefault("auth", HeaderAuth("X-Api-Key", "sesame-secret"))
    return Session("kit", options.pop("base_url", BASE), **options)


def failure(made: Session, method: str = "GET", template: str = "/v4/things", **kwargs: Any) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        made.request(method, template, **kwargs)
    return caught.value


@pytest.fixture
def mocked() -> Any:
    with responses.RequestsMock() as mock:
        yield mock


def test_a_request_carries_credentials_user_agent_and_json(mocked: responses.RequestsMock) -> None:
    mocked.post(
        f"{BASE}/v4/tags",
        json={"tag": {"id": 1}},
        status=201,
        headers={"X-Request-Id": "r-1"},
        match=[
            matchers.json_params_matcher({"name": "VIP"}),
            matchers.header_matcher(
                {"X-Api-Key": "sesame-secret", "Accept": "application/json", "Content-Type": "application/json"}
            ),
        ],
    )
    answer = session().request("POST", "/v4/tags", json={"name": "VIP"}, expect=(200, 201))
    assert (answer.status, answer.payload, answer.request_id) == (201, {"tag": {"id": 1}}, "r-1")
    assert str(mocked.calls[0].request.headers["User-Agent"]).startswith("mktg-integration/")


@pytest.mark.parametrize("base_url", [BASE, f"{BASE}/"])
def test_path_and_query_are_filled_in_the_documented_forms(mocked: responses.RequestsMock, base_url: str) -> None:
    mocked.get(f"{BASE}/v4/people/a%2Fb%40c")
    session(base_url=base_url).request(
        "GET",
        "/v4/people/{id}",
        path={"id": "a/b@c"},
        query={"include": True, "archived": False, "after": None, "per_page": 5, "ids": [1, 2]},
    )
    assert (
        mocked.calls[0].request.url == f"{BASE}/v4/people/a%2Fb%40c?include=true&archived=false&per_page=5&ids=1&ids=2"
    )


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_path_parameter_cannot_address_something_else(value: str) -> None:
    with pytest.raises(ValueError, match="'id'"):
        session().request("DELETE", "/v4/people/{id}", path={"id": value})


def test_a_form_is_sent_as_a_form(mocked: responses.RequestsMock) -> None:
    mocked.post(f"{BASE}/oauth/token", json={})
    form = {"grant_type": "refresh_token", "refresh_token": "a+b"}
    session(auth=NoAuth()).request("POST", "/oauth/token", form=form)
    sent = mocked.calls[0].request
    assert sent.body == b"grant_type=refresh_token&refresh_token=a%2Bb"
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_an_empty_body_is_none(mocked: responses.RequestsMock) -> None:
    mocked.post(f"{BASE}/v4/things", status=204)
    assert session().request("POST", "/v4/things", expect=(204,)).payload is None


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (302, Action.FAIL),
        (400, Action.REJECT),
        (401, Action.RECONNECT),
        (402, Action.FORBIDDEN),
        (403, Action.FORBIDDEN),
        (404, Action.REJECT),
        (405, Action.FAIL),
        (408, Action.RETRY),
        (409, Action.REJECT),
        (413, Action.WAIT),
        (418, Action.FAIL),
        (422, Action.REJECT),
        (425, Action.RETRY),
        (429, Action.WAIT),
        (500, Action.RETRY),
        (502, Action.RETRY),
        (503, Action.RETRY),
        (599, Action.RETRY),
    ],
)
def test_each_status_has_one_meaning(mocked: responses.RequestsMock, status: int, action: Action) -> None:
    mocked.get(f"{BASE}/v4/things", status=status, headers={"Location": f"{BASE}/elsewhere"})
    error = failure(session())
    assert (error.action, error.status, error.answered) == (action, status, True)


def test_a_success_that_the_document_does_not_name_is_not_taken_for_done(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", status=206, json={})
    assert failure(session()).action is Action.FAIL


def test_a_provider_overrides_by_status_and_by_code(mocked: responses.RequestsMock) -> None:
    table = ErrorTable().overridden(statuses={404: Action.FAIL}, codes={(403, "busy"): Action.WAIT})
    mocked.get(f"{BASE}/v4/things", status=403, json={"error": {"code": "busy", "message": "Come back"}})
    error = failure(session(error_table=table))
    assert (error.action, error.code, error.messages) == (Action.WAIT, "busy", ("Come back",))
    assert table.action(404) is Action.FAIL
    assert table.action(403) is Action.FORBIDDEN


@pytest.mark.parametrize(
    ("body", "content_type", "code", "messages"),
    [
        ('{"errors": ["Not Found", "Really"]}', "application/json", "", ("Not Found", "Really")),
        ('{"errors": [{"code": "x", "message": "First"}]}', "application/json", "", ("First",)),
        ('{"error": {"code": "bad", "message": "No"}}', "application/json", "bad", ("No",)),
        ('{"error": "invalid_grant", "error_description": "Used"}', "application/json", "invalid_grant", None),
        ('{"message": "Nope", "code": "n"}', "application/json", "n", ("Nope",)),
        ("Retry later\n", "text/plain", "", ("Retry later",)),
        ("<html><body>secret page</body></html>", "text/html", "", ()),
        ("<html>", "application/json", "", ()),
        ("", "application/json", "", ()),
        ("[1, null]", "application/json", "", ()),
    ],
)
def test_messages_of_every_shape_are_kept_and_pages_are_not(
    mocked: responses.RequestsMock, body: str, content_type: str, code: str, messages: tuple[str, ...] | None
) -> None:
    mocked.get(f"{BASE}/v4/things", status=422, body=body, content_type=content_type)
    error = failure(session())
    assert error.code == code
    if messages is not None:
        assert error.messages == messages


def test_an_error_names_the_template_and_tells_of_nobody(mocked: responses.RequestsMock) -> None:
    mocked.get(
        f"{BASE}/v4/by-email/ada%40example.com",
        status=422,
        json={"errors": ["ada@example.com is taken by 123456789 with key sesame_secret_0123456789"]},
        headers={"X-Request-Id": "ada@example.com <x>"},
    )
    error = failure(session(), "GET", "/v4/by-email/{email}", path={"email": "ada@example.com"})
    assert error.endpoint == "GET /v4/by-email/{email}"
    for secret in ("ada", "123456789", "sesame"):
        assert secret not in str(error)
        assert secret not in repr(error.__dict__)


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=1800), usegmt=True)


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("7", 7, 7), ("0", 0, 0), ("-3", 0, 0), ("99999", 60, 60), ("inf", 60, 60), (in_an_hour(), 60, 60)],
    # The last one is another at each collection, and parallel runs compare the names.
    ids=["seconds", "zero", "negative", "too long", "infinite", "a date"],
)
def test_retry_after_is_read_and_capped(mocked: responses.RequestsMock, header: str, low: float, high: float) -> None:
    mocked.get(f"{BASE}/v4/things", status=429, headers={"Retry-After": header})
    waits = failure(session(max_retry_after=60)).retry_after
    assert waits is not None
    assert low <= waits <= high


@pytest.mark.parametrize("header", ["", "soon", "nan", "Wed, 99 Foo 2026"])
def test_a_retry_after_that_says_nothing_is_none(mocked: responses.RequestsMock, header: str) -> None:
    mocked.get(f"{BASE}/v4/things", status=429, headers={"Retry-After": header})
    assert failure(session()).retry_after is None


def test_a_date_in_the_past_means_now(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert failure(session()).retry_after == 0


def test_a_refused_token_is_replaced_once(mocked: responses.RequestsMock) -> None:
    tokens = Tokens("old", "new")
    url = f"{BASE}/v4/things"
    mocked.get(url, status=401, match=[matchers.header_matcher({"Authorization": "Bearer old"})])
    mocked.get(url, json=[], match=[matchers.header_matcher({"Authorization": "Bearer new"})])
    limiter = Counting()
    assert session(auth=BearerAuth(tokens), limiter=limiter).request("GET", "/v4/things").payload == []
    assert tokens.refusals == ["old"]
    assert limiter.granted == 2


def test_a_token_refused_twice_needs_a_reconnect(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", status=401)
    tokens = Tokens("one", "two", "three")
    assert failure(session(auth=BearerAuth(tokens))).action is Action.RECONNECT
    assert tokens.refusals == ["one"]
    assert len(mocked.calls) == 2


def test_a_token_without_successor_is_not_tried_again(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", status=401)
    assert failure(session(auth=BearerAuth(Tokens("only")))).action is Action.RECONNECT
    assert len(mocked.calls) == 1


def test_basic_credentials(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", json={}, match=[matchers.header_matcher({"Authorization": "Basic aWQ6a2V5"})])
    session(auth=BasicAuth("id", "key")).request("GET", "/v4/things")


def test_the_slot_is_given_back_whatever_happens(mocked: responses.RequestsMock) -> None:
    limiter = Counting()
    made = session(limiter=limiter)
    mocked.get(f"{BASE}/v4/things", body=requests.ConnectionError("https://api.example.com/?email=ada@example.com"))
    mocked.get(f"{BASE}/v4/things", status=500)
    mocked.get(f"{BASE}/v4/things", body=RuntimeError("a defect"))
    failure(made)
    failure(made)
    with pytest.raises(RuntimeError):
        made.request("GET", "/v4/things")
    assert (limiter.granted, limiter.held) == (3, 0)


def test_a_transport_error_does_not_drag_its_address_along(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", body=requests.ConnectionError("https://api.example.com/?email=ada@example.com"))
    error = failure(session())
    assert error.__suppress_context__
    assert error.__cause__ is None
    assert "ada" not in str(error)


def test_an_answer_that_is_not_json_may_have_been_done(mocked: responses.RequestsMock) -> None:
    mocked.post(f"{BASE}/v4/things", body='{"tag": {"id"', content_type="application/json")
    error = failure(session(), "POST", json={})
    assert (error.action, error.code, error.answered) == (Action.RETRY, "not_json", False)


def test_an_endless_answer_is_cut(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/v4/things", body=b"[" + b"1," * 100_000)
    error = failure(session(max_body=1000))
    assert (error.action, error.code, error.answered) == (Action.FAIL, "answer_too_large", False)


def test_the_hook_hears_of_every_attempt_and_cannot_break_one(
    mocked: responses.RequestsMock, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[tuple[str, int | None]] = []

    def hook(endpoint: str, status: int | None, seconds: float) -> None:
        heard.append((endpoint, status))
        assert seconds >= 0
        raise RuntimeError("the metrics are down")

    mocked.get(f"{BASE}/v4/things/1", json={})
    mocked.get(f"{BASE}/v4/things/1", body=requests.ConnectionError())
    made = session(on_answer=hook)
    made.request("GET", "/v4/things/{id}", path={"id": 1})
    failure(made, "GET", "/v4/things/{id}", path={"id": 1})
    assert heard == [("GET /v4/things/{id}", 200), ("GET /v4/things/{id}", None)]
    assert "on_answer" in caplog.text


def test_nothing_personal_is_logged(mocked: responses.RequestsMock, caplog: pytest.LogCaptureFixture) -> None:
    mocked.get(f"{BASE}/v4/by-email/ada%40example.com", json={"email": "ada@example.com"})
    with caplog.at_level(logging.DEBUG):
        answer = session().request("GET", "/v4/by-email/{email}", path={"email": "ada@example.com"})
    assert "GET /v4/by-email/{email} answered 200" in caplog.text
    assert "ada" not in caplog.text
    assert "ada" not in repr(answer)


@pytest.mark.parametrize("thing", [HeaderAuth("X", "sesame"), BasicAuth("u", "sesame"), session()])
def test_no_repr_shows_a_secret(thing: object) -> None:
    assert "sesame" not in repr(thing)


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://x.example",
        "https://",
        "https://u:p@x.example",
        f"{BASE}?a=b",
        "http://[::1",
        "http://x.example:99999",
    ],
)
def test_a_wrong_base_url_is_a_clear_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="BASE_URL"):
        session(base_url=url)


@pytest.mark.parametrize("secret", ["sesame\n", "sesame\r\nX: y", "sés\u2028ame", "sesame\x00"])
@pytest.mark.parametrize("make", [lambda secret: HeaderAuth("X-Key", secret), StaticToken])
def test_a_secret_that_no_header_can_carry_is_refused_and_not_shown(make: Any, secret: str) -> None:
    with pytest.raises(ConfigurationError, match="characters that cannot be sent") as refused:
        make(secret)

    assert "ame" not in str(refused.value)


def test_netrc_adds_no_credentials(
    mocked: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.example.com login ada password sesame\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    mocked.get(f"{BASE}/v4/things", json={})
    session().request("GET", "/v4/things")
    assert "Authorization" not in mocked.calls[0].request.headers


def test_an_answer_is_plain_data() -> None:
    assert HttpAnswer(200, {"a": 1}, {}) == HttpAnswer(200, {"a": 1}, {})
