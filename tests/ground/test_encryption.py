"""Secrets at rest: never in clear, never given back as ciphertext, and rotated."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError
from django.core.management import call_command
from django.db import connection as database

from mktg_integration import encryption
from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.models import (
    BulkJob,
    Connection,
    DeadRow,
    InboundAddress,
    InboxRow,
    Kind,
    OAuthToken,
    OutboxRow,
    WebhookSubscription,
)

SECRET = "kit_5ecret"
NEW_KEY = Fernet.generate_key().decode()


@pytest.fixture
def stored(db: None) -> Connection:
    return Connection.objects.create(name="stored", provider="kit", credentials={"API_KEY": SECRET})


def column() -> str:
    with database.cursor() as cursor:
        cursor.execute("SELECT credentials FROM mktg_integration_connection")
        (value,) = cursor.fetchone()
    return str(value)


def keys(settings: Any) -> list[str]:
    return list(settings.MKTG_INTEGRATION["ENCRYPTION_KEYS"])


def test_a_secret_is_read_back_and_is_not_in_the_table(stored: Connection) -> None:
    assert Connection.objects.get().credentials == {"API_KEY": SECRET}
    assert SECRET not in column()
    assert "API_KEY" not in column()


def test_nothing_is_stored_as_nothing(db: None) -> None:
    Connection.objects.create(name="stored", provider="kit")

    assert column() == ""
    assert Connection.objects.get().credentials == {}


def test_a_wrong_key_raises_and_never_gives_ciphertext(stored: Connection, marketing: Any) -> None:
    marketing(ENCRYPTION_KEYS=[NEW_KEY])

    with pytest.raises(DecryptionError, match="ENCRYPTION_KEYS") as caught:
        Connection.objects.get()

    assert column() not in str(caught.value)
    assert Connection.objects.defer("credentials").get().name == "stored"


def test_no_keys_are_told_with_how_to_make_one(marketing: Any) -> None:
    marketing(ENCRYPTION_KEYS=[])
    with pytest.raises(ConfigurationError, match="generate_key"):
        encryption.encrypt("x")

    marketing(ENCRYPTION_KEYS=["too short"])
    with pytest.raises(ConfigurationError, match="no Fernet key") as caught:
        encryption.encrypt("x")
    assert "too short" not in str(caught.value)


def test_the_column_cannot_be_searched(stored: Connection) -> None:
    with pytest.raises(FieldError, match="encrypted"):
        Connection.objects.filter(credentials={"API_KEY": SECRET}).exists()
    with pytest.raises(FieldError, match="encrypted"):
        Connection.objects.filter(credentials__contains="kit").exists()


def test_no_dump_shows_a_secret_and_it_loads_again(stored: Connection) -> None:
    out = StringIO()
    call_command("dumpdata", "mktg_integration.connection", stdout=out)
    Connection.objects.all().delete()

    assert SECRET not in out.getvalue()
    for dumped in serializers.deserialize("json", out.getvalue()):
        dumped.save()
    assert Connection.objects.get().credentials == {"API_KEY": SECRET}


def test_nothing_that_is_printed_shows_a_secret(stored: Connection) -> None:
    account = stored.account()

    assert account.credentials == {"API_KEY": SECRET}
    for shown in (repr(stored), str(stored), repr(account), str(account)):
        assert SECRET not in shown


def test_admin_pages_show_no_secret(stored: Connection, admin_client: Any) -> None:
    for page in ("", f"{stored.pk}/change/"):
        answer = admin_client.get(f"/admin/mktg_integration/connection/{page}")
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode()
        assert column() not in answer.content.decode()


def test_an_address_is_known_by_a_keyed_hash(settings: Any, marketing: Any) -> None:
    known = encryption.address_hash("Ada@Example.com ")

    assert known == encryption.address_hash("ada@example.com")
    assert "ada" not in known
    marketing(ENCRYPTION_KEYS=[NEW_KEY])
    assert encryption.address_hash("ada@example.com") == known, "rotating the encryption keys changes no hash"
    marketing(HASH_KEY="another")
    assert encryption.address_hash("ada@example.com") != known


# Rotation


@pytest.fixture
def secrets(stored: Connection) -> None:
    given: dict[str, Any] = {
        "connection": stored,
        "kind": Kind.ERASURE,
        "subject": "user:1",
        "payload": {"email": "ada@example.com"},
        "marked_at": "2026-11-21T00:00:00Z",
    }
    OutboxRow.objects.create(key="due", version=1, due_at="2026-11-21T00:00:00Z", **given)
    DeadRow.objects.create(key="dead", state="rejected", code="x", died_at="2026-11-21T00:00:00Z", **given)
    OAuthToken.objects.create(connection=stored, pair={"access_token": SECRET})
    InboundAddress.objects.create(connection=stored, secret={"token": SECRET})
    WebhookSubscription.objects.create(key="1:signed", connection=stored, secrets={"secrets": [SECRET]})
    now = given["marked_at"]
    InboxRow.objects.create(key="in", connection=stored, body={"raw": SECRET}, received_at=now, due_at=now)
    secret = {"raw": SECRET}
    BulkJob.objects.create(key="b", connection=stored, size=1, call=secret, answer=secret, made_at=now, due_at=now)
    OutboxRow.objects.create(key="plain", version=1, due_at="2026-11-21T00:00:00Z", **{**given, "payload": {}})


def test_all_secrets_are_rotated_to_the_newest_key(secrets: None, settings: Any, marketing: Any, run: Any) -> None:
    marketing(ENCRYPTION_KEYS=[NEW_KEY, *keys(settings)])

    told = run("mktg_rotate_keys")

    assert told["error"] == ""
    assert {name: counts["rotated"] for name, counts in told["fields"].items()} == {
        "mktg_integration.Connection.credentials": 1,
        "mktg_integration.OutboxRow.payload": 1,
        "mktg_integration.DeadRow.payload": 1,
        "mktg_integration.OAuthToken.pair": 1,
        "mktg_integration.InboundAddress.secret": 1,
        "mktg_integration.WebhookSubscription.secrets": 1,
        "mktg_integration.InboxRow.body": 1,
        "mktg_integration.BulkJob.call": 1,
        "mktg_integration.BulkJob.answer": 1,
    }
    marketing(ENCRYPTION_KEYS=[NEW_KEY])
    assert Connection.objects.get().credentials == {"API_KEY": SECRET}
    assert OutboxRow.objects.get(key="due").payload == DeadRow.objects.get().payload == {"email": "ada@example.com"}
    assert {counts["current"] for counts in run("mktg_rotate_keys")["fields"].values()} == {1}


def test_a_dry_run_rotates_nothing(secrets: None, settings: Any, marketing: Any, run: Any) -> None:
    before = column()
    marketing(ENCRYPTION_KEYS=[NEW_KEY, *keys(settings)])

    told = run("mktg_rotate_keys", "--dry-run")

    assert told["fields"]["mktg_integration.Connection.credentials"]["rotated"] == 1
    assert column() == before


def test_a_secret_that_no_key_reads_is_told_and_the_others_are_rotated(
    secrets: None, settings: Any, marketing: Any, run: Any
) -> None:
    lost = Fernet(Fernet.generate_key()).encrypt(json.dumps({}).encode()).decode()
    with database.cursor() as cursor:
        cursor.execute("UPDATE mktg_integration_deadrow SET payload = %s", [lost])
    marketing(ENCRYPTION_KEYS=[NEW_KEY, *keys(settings)])

    told = run("mktg_rotate_keys")

    assert "DeadRow.payload: 1 cannot be read" in told["error"]
    assert told["ok"] is False
    assert told["fields"]["mktg_integration.DeadRow.payload"] == {"rotated": 0, "current": 0, "unreadable": 1}
    assert told["fields"]["mktg_integration.OutboxRow.payload"]["rotated"] == 1


def test_a_secret_that_changes_meanwhile_is_not_overwritten(secrets: None, settings: Any, marketing: Any) -> None:
    from mktg_integration.models.fields import encrypted_fields, rotated

    (model, field), *_ = encrypted_fields()
    old = column()
    Connection.objects.update(credentials={"API_KEY": "newer"})
    marketing(ENCRYPTION_KEYS=[NEW_KEY, *keys(settings)])

    assert not rotated(model, field, Connection.objects.get().pk, old)
    assert Connection.objects.get().credentials == {"API_KEY": "newer"}
