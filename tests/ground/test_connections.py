"""Connections that settings declare; binding to the site; opening one."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from mktg_integration.connections import bind, open_client, public_url_matches, sync_declared
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.http import Unlimited
from mktg_integration.models import Connection, ConnectionSource, ConnectionState, WaitReason
from mktg_integration.rates import SharedLimiter
from tests.ground.conftest import PAPER
from tests.ground.paper import Book

pytestmark = pytest.mark.django_db


def test_declared_connections_get_rows_and_states(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={"news": PAPER, "shop": PAPER})

    told = sync_declared()

    assert told.created == ("news", "shop")
    assert ConnectionState.objects.count() == 2
    news = Connection.objects.get(name="news")
    assert (news.provider, news.source, news.push_enabled) == ("paper", ConnectionSource.SETTINGS, True)
    assert news.credentials == {}, "credentials stay in settings"
    assert news.account().credentials == {"PENCIL": "2B"}


def test_once_more_changes_nothing_and_costs_two_statements(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={f"news{number}": PAPER for number in range(20)})
    sync_declared()

    with CaptureQueriesContext(database) as statements:
        told = sync_declared()

    assert told == ((), (), ())
    assert len([one for one in statements if "SAVEPOINT" not in one["sql"]]) == 2


def test_no_longer_declared_means_no_longer_pushed_to(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={"news": PAPER, "shop": PAPER})
    sync_declared()

    marketing(CONNECTIONS={"shop": PAPER})
    assert sync_declared().disabled == ("news",)
    assert not Connection.objects.get(name="news").push_enabled
    with pytest.raises(ConfigurationError, match="no longer has 'news'"):
        Connection.objects.get(name="news").account()

    marketing(CONNECTIONS={"news": PAPER, "shop": PAPER})
    assert sync_declared().enabled == ("news",)
    assert Connection.objects.get(name="news").push_enabled


def test_what_staff_switched_off_stays_off(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={"news": PAPER})
    sync_declared()
    Connection.objects.update(push_enabled=False)

    sync_declared()

    assert not Connection.objects.get().push_enabled


def test_a_connection_keeps_its_provider(book: Book, marketing: Any) -> None:
    Connection.objects.create(name="news", provider="kit", source=ConnectionSource.SETTINGS)
    marketing(CONNECTIONS={"news": PAPER})

    with pytest.raises(ConfigurationError, match=r'\["news"\].*declare the new account under another name'):
        sync_declared()


def test_a_stored_connection_is_not_taken_over(book: Book, marketing: Any) -> None:
    Connection.objects.create(name="news", provider="paper", credentials={"PENCIL": "HB"})
    marketing(CONNECTIONS={"news": PAPER})

    with pytest.raises(ConfigurationError, match="rename or delete one of the two"):
        sync_declared()

    assert Connection.objects.get().credentials == {"PENCIL": "HB"}


@pytest.mark.parametrize("declared", [{}, {"PROVIDER": "papyrus"}, {"PROVIDER": 3}, "paper"])
def test_an_unknown_provider_is_named_with_its_connection(book: Book, marketing: Any, declared: Any) -> None:
    marketing(CONNECTIONS={"news": declared})

    with pytest.raises(ConfigurationError, match=r'CONNECTIONS"\]\["news"\].*PROVIDER'):
        sync_declared()

    assert not Connection.objects.exists()


def test_stored_connections_get_their_states_too() -> None:
    stored = Connection.objects.create(name="stored", provider="paper")

    sync_declared()

    assert stored.state.wait_reason == WaitReason.NONE


@pytest.mark.django_db(transaction=True)
def test_migrate_makes_the_rows(book: Book, marketing: Any) -> None:
    marketing(CONNECTIONS={"news": PAPER})

    call_command("migrate", verbosity=0)

    assert Connection.objects.get().name == "news"


# The site's own address


def test_the_first_use_binds_a_connection_to_the_site(connect: Any, marketing: Any) -> None:
    news = connect("news")
    marketing(PUBLIC_URL="https://Example.com/")

    assert public_url_matches(news)
    assert Connection.objects.get().bound_url == "https://example.com"
    assert public_url_matches(Connection.objects.get())


def test_a_copy_elsewhere_may_not_write_until_a_person_confirms(connect: Any, marketing: Any) -> None:
    news = connect("news")
    marketing(PUBLIC_URL="https://example.com")
    public_url_matches(news)

    marketing(PUBLIC_URL="https://staging.example.com")
    assert not public_url_matches(news)
    ConnectionState.objects.update(wait_reason=WaitReason.COPY)

    bind(news)
    assert public_url_matches(Connection.objects.get())
    assert ConnectionState.objects.get().wait_reason == WaitReason.NONE


def test_two_sites_that_start_at_once_do_not_both_bind(connect: Any, marketing: Any) -> None:
    here, there = connect("news"), Connection.objects.get(name="news")
    marketing(PUBLIC_URL="https://one.example.com")
    assert public_url_matches(here)

    marketing(PUBLIC_URL="https://two.example.com")
    assert not public_url_matches(there)


def test_without_an_address_copies_are_not_told_apart(connect: Any) -> None:
    assert public_url_matches(connect("news"))
    assert Connection.objects.get().bound_url == ""


# Opening


def test_a_client_that_no_rate_holds(connect: Any) -> None:
    opened = open_client(connect("news", LINES=3))

    assert opened.driver.name == "paper"
    assert opened.options == {"LINES": 3}
    assert isinstance(opened.client.limiter, Unlimited)


def test_a_client_that_shares_the_sites_rate(connect: Any, book: Book) -> None:
    book.rate = (5, 60.0)

    client = open_client(connect("news")).client
    client.write("ada@example.com")

    assert isinstance(client.limiter, SharedLimiter)
    assert book.addresses == ["ada@example.com"]


def test_missing_credentials_are_told_before_any_call(book: Book) -> None:
    stored = Connection.objects.create(name="stored", provider="paper")

    with pytest.raises(ConfigurationError, match="PENCIL"):
        open_client(stored)
