"""What is let in, what is not, and that nothing of it gives anything away."""

from __future__ import annotations

import gzip
import hmac
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.urls import reverse

from mktg_integration.inbound.addresses import address_of, find, renew_address, token_of
from mktg_integration.models import Connection, InboundAddress, InboxRow, WebhookSubscription
from tests.inbound.conftest import TASKS, WHSEC, Mailbox, batch, signature, subscriber

ACTIVATE = "subscriber.subscriber_activate"
BODY = json.dumps({"subscriber": subscriber()}).encode()
APPLY = "mktg_integration.tasks.apply_inbox"


def test_a_delivery_is_stored_as_it_came_and_answered(mailbox: Mailbox) -> None:
    body = b'{"subscriber":  {"id": 1, "caf\xc3\xa9": "\xff"}}'
    assert mailbox.post(mailbox.url("subscriber.tag_add", "30"), body).status_code == 200

    row = InboxRow.objects.get()
    assert (row.event, row.parameter, row.state) == ("subscriber.tag_add", "30", "pending")
    assert row.body["raw"].encode("utf-8", "surrogateescape") == body
    # In hexadecimal digits, where no word of the body can stand by chance.
    assert "subscriber" not in str(InboxRow.objects.values_list("key").get())


def test_what_is_stored_is_encrypted(mailbox: Mailbox) -> None:
    mailbox.post(mailbox.url(ACTIVATE), BODY)
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM mktg_integration_inboxrow")
        assert "person1" not in cursor.fetchone()[0]


def test_a_burst_wakes_one_task(mailbox: Mailbox) -> None:
    for _ in range(5):
        mailbox.post(mailbox.url(ACTIVATE), BODY)
    assert [(APPLY, (mailbox.connection.pk,))] == TASKS


def test_after_the_task_has_begun_another_delivery_wakes_another(mailbox: Mailbox) -> None:
    mailbox.post(mailbox.url(ACTIVATE), BODY)
    mailbox.apply()
    mailbox.post(mailbox.url(ACTIVATE), BODY)
    assert len(TASKS) == 2


# Whose address is it


def wrong_tokens(mailbox: Mailbox) -> list[str]:
    right = mailbox.token
    number, _, secret = right.partition("-")
    return [
        "x",
        f"{number}-",
        f"{number}-{secret[:-1]}",
        f"{number}-{secret}x",
        f"{int(number) + 1}-{secret}",
        f"-{secret}",
        secret,
        f"{'9' * 30}-{secret}",
        f"٣-{secret}",
    ]


def test_an_unknown_address_is_not_there(mailbox: Mailbox) -> None:
    for token in wrong_tokens(mailbox):
        for name, named in (("webhook", {"token": token, "event": ACTIVATE}), ("bulk-callback", {"token": token})):
            url = reverse(f"mktg_integration:{name}", kwargs=named)
            assert mailbox.post(url, BODY).status_code == 404, token
    assert not InboxRow.objects.exists()


def test_the_secret_is_compared_in_constant_time(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where there is no such connection: the time does not tell which there are."""
    compared: list[tuple[bytes, bytes]] = []
    original = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return bool(original(one, other))

    monkeypatch.setattr("mktg_integration.inbound.addresses.hmac.compare_digest", compare)
    assert find(mailbox.token) is not None
    assert find("424242-x") is None
    assert len(compared) == 2
    assert {len(side) for pair in compared for side in pair} == {32}


def test_an_address_without_a_secret_is_nobodys(mailbox: Mailbox) -> None:
    InboundAddress.objects.update(secret={})
    assert find(f"{mailbox.connection.pk}-") is None


def test_a_renewed_address_ends_the_old_one(mailbox: Mailbox) -> None:
    old = mailbox.url(ACTIVATE)
    renew_address(mailbox.connection)
    assert mailbox.post(old, BODY).status_code == 404
    assert mailbox.post(mailbox.url(ACTIVATE), BODY).status_code == 200


def test_each_connection_has_an_address_of_its_own(mailbox: Mailbox) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    assert token_of(address_of(other)).partition("-")[2] != mailbox.token.partition("-")[2]


# What it is


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_nothing_but_json(mailbox: Mailbox, kind: str) -> None:
    assert mailbox.post(mailbox.url(ACTIVATE), BODY, kind).status_code == 415
    assert not InboxRow.objects.exists()


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "application/vnd.kit+json"])
def test_json_by_its_names(mailbox: Mailbox, kind: str) -> None:
    assert mailbox.post(mailbox.url(ACTIVATE), BODY, kind).status_code == 200


def test_nothing_compressed(mailbox: Mailbox) -> None:
    answer = mailbox.post(mailbox.url(ACTIVATE), gzip.compress(BODY), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_ten_megabytes(mailbox: Mailbox) -> None:
    assert mailbox.post(mailbox.url(ACTIVATE), b" " * 10_000_000).status_code == 413
    assert not InboxRow.objects.exists()


def test_a_body_longer_than_it_says(mailbox: Mailbox, marketing: Callable[..., None]) -> None:
    """The length is not taken on trust."""
    marketing(INBOUND_BYTES=100)
    answer = mailbox.client.generic("POST", mailbox.url(ACTIVATE), b" " * 101, "application/json", CONTENT_LENGTH="99")
    assert answer.status_code in (200, 413)
    assert all(len(row.body["raw"]) <= 100 for row in InboxRow.objects.all())


def test_as_large_as_allowed(mailbox: Mailbox, marketing: Callable[..., None]) -> None:
    marketing(INBOUND_BYTES=3_000_000)
    assert mailbox.post(mailbox.url(ACTIVATE), b" " * 3_000_000).status_code == 200, "more than Django's own limit"
    assert mailbox.post(mailbox.url(ACTIVATE), b" " * 3_000_001).status_code == 413


@pytest.mark.parametrize("method", ["get", "put", "delete", "head", "options"])
def test_nothing_but_post(mailbox: Mailbox, method: str) -> None:
    answer = getattr(mailbox.client, method)(mailbox.url(ACTIVATE))
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


# Signatures


def test_a_signed_delivery(mailbox: Mailbox) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    assert mailbox.tell_signed(body).status_code == 200
    assert InboxRow.objects.get().kind == "signed"


def test_two_signatures_while_a_secret_is_rotated(mailbox: Mailbox) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    assert mailbox.tell_signed(body, signature(body, "whsec_new", WHSEC), "1").status_code == 200
    assert mailbox.tell_signed(body, signature(body, WHSEC, "whsec_new"), "2").status_code == 200
    mailbox.sign("whsec_new", WHSEC)
    assert mailbox.tell_signed(body, signature(body, "whsec_new"), "3").status_code == 200
    assert mailbox.tell_signed(body, signature(body, WHSEC), "4").status_code == 200


def forged(body: bytes) -> dict[str, str]:
    now = time.time()
    good = signature(body, WHSEC)
    moment, _, mark = good.partition(",")
    return {
        "another secret": signature(body, "whsec_guess"),
        "of another body": signature(body + b" ", WHSEC),
        "too old": signature(body, WHSEC, at=now - 301),
        "of the future": signature(body, WHSEC, at=now + 301),
        "without a time": mark,
        "without a mark": moment,
        "with two times": f"{moment},t={int(now) - 100},{mark}",
        "with a time that is none": f"t=now,{mark}",
        "with another time": f"t={int(now) - 100},{mark}",
        "of another version": good.replace("v1=", "v0="),
        "empty mark": f"{moment},v1=",
        "not ascii": f"{moment},v1=é",
        "nonsense": "x",
    }


@pytest.mark.parametrize("how", sorted(forged(b"")))
def test_a_forged_delivery_is_refused_and_counted(mailbox: Mailbox, how: str) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    assert mailbox.tell_signed(body, forged(body)[how]).status_code == 401
    assert not InboxRow.objects.exists()
    assert InboundAddress.objects.get().refused == 1


def test_an_unsigned_delivery_to_the_signed_address(mailbox: Mailbox) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    assert mailbox.post(mailbox.url("signed"), body).status_code == 401


def test_no_secret_is_no_open_door(mailbox: Mailbox) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    for secrets in ({"secrets": []}, {}):
        WebhookSubscription.objects.update(secrets=secrets)
        assert mailbox.tell_signed(body, signature(body, "")).status_code == 401


def test_a_replayed_delivery_is_stored_once(mailbox: Mailbox) -> None:
    body = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    assert mailbox.tell_signed(body).status_code == 200
    assert mailbox.tell_signed(body, signature(body, WHSEC, at=time.time() - 60)).status_code == 200
    assert InboxRow.objects.count() == 1


# When we cannot


def test_a_database_that_fails_has_the_service_repeat_it(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = mailbox.url(ACTIVATE)

    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("person1@example.com")

    monkeypatch.setattr(InboxRow.objects, "using", fail)
    with caplog.at_level(logging.DEBUG):
        answer = mailbox.post(url, BODY)
    assert answer.status_code == 503
    assert "could not be stored (DatabaseError)" in caplog.text
    assert "person1" not in caplog.text


def test_a_task_engine_that_fails_loses_nothing(mailbox: Mailbox, marketing: Callable[..., None]) -> None:
    marketing(TASK_ENGINE="tests.inbound.test_receipt.no_engine")
    assert mailbox.post(mailbox.url(ACTIVATE), BODY).status_code == 200
    assert InboxRow.objects.count() == 1


def no_engine(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    raise OSError("the queue is gone")


def test_the_address_is_in_no_log(mailbox: Mailbox, caplog: pytest.LogCaptureFixture) -> None:
    secret = mailbox.token.partition("-")[2]
    signed = batch(("subscriber.created", {"subscriber": subscriber()}, time.time()))
    with caplog.at_level(logging.DEBUG):
        mailbox.post(mailbox.url(ACTIVATE), BODY)
        mailbox.post(mailbox.url(ACTIVATE), BODY, "text/plain")
        mailbox.post(mailbox.url(ACTIVATE), b" " * 10_000_000)
        mailbox.client.get(mailbox.url(ACTIVATE))
        mailbox.tell_signed(signed, "forged")
        mailbox.post(mailbox.url(ACTIVATE).replace(secret, secret[:-1]), BODY)
        mailbox.apply()
    assert "signature is missing" in caplog.text
    assert secret[:-1] not in caplog.text
    assert "person1" not in caplog.text
