"""The page of one person: what is shown, to whom, and what its buttons do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from mktg_integration.encryption import address_hash
from mktg_integration.models import (
    AuditEntry,
    Connection,
    Contact,
    ExplicitActs,
    Form,
    InboxRow,
    Kind,
    Lead,
    OptOut,
    OutboxRow,
)
from tests.push.conftest import Connect, send

SignUp = Callable[..., Any]


def person_url(subject: str, *act: str) -> str:
    return reverse(f"admin:mktg_integration_contact_person{'_act' if act else ''}", args=[subject, *act])


def contact_url(contact: Contact, *act: str) -> str:
    return reverse(f"admin:mktg_integration_contact_{'act' if act else 'change'}", args=[contact.pk, *act])


def visitor(*permissions: str) -> Client:
    user = User.objects.create_user("visitor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def tell(connection: Connection, event: str, body: str) -> None:
    """The service told something, and it was applied."""
    row: dict[str, Any] = {"body": {"raw": body}}
    InboxRow.objects.create(
        key=event, connection=connection, kind="webhook", event=event, state="applied", received_at=timezone.now(),
        due_at=timezone.now(), **row,
    )  # fmt: skip


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


@pytest.fixture
def refuse_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a page called a service")

    return lambda: monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", refuse)


@pytest.fixture
def kit(connect: Connect, staff: Client) -> Connection:
    return connect("kit")["kit"]


@pytest.fixture
def stranger(kit: Connection) -> Contact:
    """A contact that the service told of and that is nobody's here."""
    return Contact.objects.create(
        key=f"{kit.pk}:99", connection=kit, remote_id="99", email="stranger@example.com",
        email_key="stranger@example.com", status="active", first_name="Strange", seen_at=timezone.now(),
        values={"first_name": "Strange"},
    )  # fmt: skip


# What is shown


@pytest.mark.parametrize("service", ["kit", "conversion", "convertloop"])
def test_a_person_is_shown_beside_the_mirror_of_each_service(
    connect: Connect, staff: Client, sign_up: SignUp, refuse_calls: Callable[[], None], service: str
) -> None:
    connection = connect(service)[service]
    user = sign_up("ada", groups=("VIP",), plan="gold")
    send(connection)
    contact = Contact.objects.get()
    refuse_calls()

    for page in (staff.get(person_url(f"user:{user.pk}")), staff.get(contact_url(contact))):
        assert page.status_code == 200
        assert "ada@example.com" in page.text
        assert "The service has all that is wanted of this person." in page.text
        assert "in step" in page.text
        assert "this site" in page.text
    is_read = service == "kit"
    assert ("known, as sent" not in page.text) == is_read


def test_who_has_no_contact_has_a_page_too(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    page = staff.get(person_url(f"user:{user.pk}"))
    assert "Waits in the outbox to be sent." in page.text
    assert "differs: would be sent" in page.text
    assert "No tags are known." in page.text


def test_who_is_gone_or_was_never_there(kit: Connection, staff: Client) -> None:
    assert "is not there any more" in staff.get(person_url("user:4711")).text
    assert staff.get(person_url("user:nonsense")).status_code == 404
    assert staff.get(person_url("nobody:1")).status_code == 404


def test_a_contact_that_is_nobodys_here_says_so(staff: Client, stranger: Contact) -> None:
    page = staff.get(contact_url(stranger))
    assert "Nobody of this site" in page.text
    assert "stranger@example.com" in page.text


def test_differences_are_said_in_words(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada", plan="gold")
    send(kit)
    Contact.objects.update(values={**Contact.objects.get().values, "first_name": "Augusta"})
    user.preference.plan = "silver"
    user.preference.save()
    page = staff.get(person_url(f"user:{user.pk}")).text
    assert "differs: would be sent" in page
    assert "differs: changed at the service, left alone" in page
    assert "mktg-field--drift" in page


def test_history_tells_opt_outs_staff_and_deliveries(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    send(kit)
    contact = Contact.objects.get()
    OptOut.objects.create(
        key=f"*:{address_hash(user.email)}", address_hash=address_hash(user.email), scope="*", kind="complained",
        source="kit", at=timezone.now(),
    )  # fmt: skip
    tell(kit, "subscriber.tag_add", f'{{"subscriber": {{"id": {contact.remote_id}}}}}')
    tell(kit, "of_another", '{"subscriber": {"id": 987654}}')
    staff.post(person_url(f"user:{user.pk}", "sync"))

    page = staff.get(person_url(f"user:{user.pk}")).text

    assert "complained, everywhere" in page
    assert "subscriber.tag_add" in page
    assert "of_another" not in page
    assert "had people sent" in page


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_a_delivery_however_deep_breaks_no_page(depth: int, kit: Connection, stranger: Contact, staff: Client) -> None:
    tell(kit, "of_the_contact", f'{{"subscriber": {{"id": {stranger.remote_id}}}}}')
    tell(kit, "deep", "[" * depth + f'{{"id": {stranger.remote_id}}}' + "]" * depth)
    page = staff.get(contact_url(stranger)).text
    assert "of_the_contact" in page
    assert depth > 900 or "deep" in page


def test_a_page_costs_the_same_however_many_contacts_there_are(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    def statements() -> int:
        with CaptureQueriesContext(database) as captured:
            assert staff.get(person_url(f"user:{user.pk}")).status_code == 200
        return len(captured)

    user = sign_up("ada", groups=("VIP",))
    sign_up("eve", groups=("VIP",))
    send(kit)
    few = statements()
    for number in range(20):
        sign_up(f"person{number}", groups=("VIP", "Beta"))
    send(kit)
    assert statements() == few


# To whom


def test_personal_data_is_masked_without_the_permission(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada", email="ada.lovelace@example.com", plan="gold")
    send(kit)
    contact = Contact.objects.get()
    client = visitor("view_contact", "sync_people")
    pages = [
        client.get(person_url(f"user:{user.pk}")),
        client.get(contact_url(contact)),
        client.get(reverse("admin:mktg_integration_contact_changelist")),
        client.get(person_url(f"user:{user.pk}", "tag")),
    ]
    for page in pages:
        assert page.status_code == 200
        for secret in ("lovelace", "Ada", ">gold<", f"user:{user.pk} ("):
            assert secret not in page.text, secret
    assert "You do not have" not in pages[0].text
    assert "masked" in pages[0].text
    assert "Ada" in staff.get(contact_url(contact)).text


def test_pages_are_for_those_who_may_view_contacts(kit: Connection, sign_up: SignUp) -> None:
    user = sign_up("ada")
    client = visitor("sync_people", "erase_people")
    assert client.get(person_url(f"user:{user.pk}")).status_code == 403
    assert client.post(person_url(f"user:{user.pk}", "sync")).status_code == 403
    assert Client().get(person_url(f"user:{user.pk}")).status_code == 302


@pytest.mark.parametrize("act", ["sync", "tag", "untag", "subscribe", "unsubscribe", "forget"])
def test_each_button_asks_for_its_permission(kit: Connection, sign_up: SignUp, act: str) -> None:
    user = sign_up("ada")
    OutboxRow.objects.all().delete()
    held = "sync_people" if act == "forget" else "erase_people"
    client = visitor("view_contact", held)
    given = {"name": "VIP", "how": "call", "when_0": "2026-01-01", "when_1": "10:00", "sure": "on"}

    assert client.post(person_url(f"user:{user.pk}", act), given).status_code == 403
    assert person_url(f"user:{user.pk}", act) not in client.get(person_url(f"user:{user.pk}")).text
    assert not OutboxRow.objects.filter(subject=f"user:{user.pk}").exists()
    assert not AuditEntry.objects.exists()


# What the buttons do


def test_sync_now_makes_a_postponed_mark_due(kit: Connection, staff: Client, sign_up: SignUp, tasks: list[Any]) -> None:
    user = sign_up("ada")
    OutboxRow.objects.update(due_at=timezone.now() + timedelta(hours=1), attempts=3)
    answer = staff.post(person_url(f"user:{user.pk}", "sync"), follow=True)
    assert said(answer) == ["The person is being sent."]
    assert OutboxRow.objects.get().due_at <= timezone.now()
    assert ("mktg_integration.tasks.drain", (kit.pk,)) in tasks
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.via) == ("synced", f"user:{user.pk}", "admin")


def test_a_look_at_the_sync_button_does_nothing(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    assert staff.get(person_url(f"user:{user.pk}", "sync")).status_code == 405
    assert staff.get(person_url(f"user:{user.pk}", "nonsense")).status_code == 404
    assert not AuditEntry.objects.exists()


READ_AGAIN = "Read again from the service"
REFRESH = "mktg_integration.tasks.refresh_contact"


def refresh_url(contact: Contact) -> str:
    return reverse("admin:mktg_integration_contact_refresh", args=[quote(contact.pk)])


def test_a_contact_is_read_again_from_either_page(
    kit: Connection, staff: Client, sign_up: SignUp, tasks: list[Any]
) -> None:
    user = sign_up("ada")
    send(kit)
    contact, tasks[:] = Contact.objects.get(), []
    own_page = reverse("admin:mktg_integration_contact_change", args=[quote(contact.pk)])
    for page, given in ((person_url(f"user:{user.pk}"), {"page": "person"}), (own_page, {})):
        shown = staff.get(page).text
        assert READ_AGAIN in shown
        assert refresh_url(contact) in shown
        answer = staff.post(refresh_url(contact), given, follow=True)
        assert answer.request["PATH_INFO"] == page
        assert said(answer) == ["The contact is being read again; it is here in a moment."]
    assert tasks == [(REFRESH, (kit.pk, contact.pk))] * 2


def test_a_contact_that_cannot_be_read_has_no_button(
    connect: Connect, staff: Client, sign_up: SignUp, tasks: list[Any]
) -> None:
    connections = connect("kit", "convertloop")
    sign_up("ada")
    for connection in connections.values():
        send(connection)
    Contact.objects.filter(connection=connections["kit"]).update(deleted_at=timezone.now())
    tasks.clear()
    told = []
    for contact in Contact.objects.order_by("connection__name"):
        assert READ_AGAIN not in staff.get(contact_url(contact)).text
        told += said(staff.post(refresh_url(contact), follow=True))
    assert [text.partition(":")[0].partition(",")[0] for text in told] == [
        "ConvertLoop has no way to read a contact", "The contact is gone at the service",
    ]  # fmt: skip
    assert tasks == []


def test_who_may_have_a_contact_read_again(kit: Connection, sign_up: SignUp, tasks: list[Any]) -> None:
    sign_up("ada")
    send(kit)
    contact = Contact.objects.get()
    tasks.clear()
    client = visitor("view_contact", "erase_people")
    assert READ_AGAIN not in client.get(contact_url(contact)).text
    assert client.post(refresh_url(contact)).status_code == 403
    client.logout()
    assert client.post(refresh_url(contact)).status_code == 302
    assert tasks == []


def test_a_look_at_the_refresh_button_reads_nothing(kit: Connection, staff: Client, stranger: Contact) -> None:
    assert staff.get(refresh_url(stranger)).status_code == 405


def test_a_tag_is_added_and_taken_away(kit: Connection, staff: Client, sign_up: SignUp, mktg_sandbox: Any) -> None:
    user = sign_up("ada")
    staff.post(person_url(f"user:{user.pk}", "tag"), {"name": "Gold", "connection": kit.pk})
    send(kit)
    assert "Gold" in staff.get(person_url(f"user:{user.pk}")).text

    staff.post(person_url(f"user:{user.pk}", "untag"), {"name": "Gold", "connection": kit.pk})
    send(kit)

    assert mktg_sandbox.people("kit")[0]["tags"] == []
    assert [entry.detail for entry in AuditEntry.objects.order_by("pk")] == [
        {"people": 1, "tag": "Gold"}, {"people": 1, "tag": "Gold"},
    ]  # fmt: skip


def test_nobody_is_subscribed_without_evidence(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada", newsletter=None)
    url = person_url(f"user:{user.pk}", "subscribe")
    assert "How did the person agree?" in staff.get(url).text
    for given in ({}, {"how": "", "when_0": "2026-01-01", "when_1": "10:00"}, {"how": "a call"}):
        assert staff.post(url, given).status_code == 200
    late = staff.post(url, {"how": "a call", "when_0": "2099-01-01", "when_1": "10:00"})
    assert "future" in late.text
    assert not ExplicitActs.objects.exists()

    staff.post(url, {"how": "a call", "when_0": "2026-01-01", "when_1": "10:00"})

    act = ExplicitActs.objects.get()
    root = User.objects.get(username="root")
    assert (act.consent, act.consent_how, act.consent_who) == ("granted", "a call", f"user:{root.pk}")
    assert act.consent_when is not None
    assert act.consent_when.year == 2026


def test_a_form_is_asked_for_where_the_service_has_some(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    url = person_url(f"user:{user.pk}", "subscribe")
    assert 'name="form"' not in staff.get(url).text
    Form.objects.create(key=f"{kit.pk}:1", remote_id="1", connection=kit, name="News", seen_at=timezone.now())
    assert 'name="form"' in staff.get(url).text


def test_unsubscribe_says_what_happens_first(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    url = person_url(f"user:{user.pk}", "unsubscribe")
    assert "No service mails the person any more" in staff.get(url).text
    assert not OptOut.objects.exists()
    staff.post(url)
    assert OptOut.objects.get().kind == "unsubscribed"
    assert AuditEntry.objects.get().action == "unsubscribed"


def test_forgetting_is_confirmed(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    send(kit)
    url = person_url(f"user:{user.pk}", "forget")
    assert "It cannot be undone." in staff.get(url).text
    assert staff.post(url).status_code == 200
    assert not OutboxRow.objects.exists()

    staff.post(url, {"sure": "on"})

    assert OutboxRow.objects.get().kind == Kind.ERASURE
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject) == ("forgotten", f"user:{user.pk}")
    assert "ada" not in str(entry.detail)


def test_who_is_gone_is_forgotten_by_the_addresses_that_services_know(
    kit: Connection, staff: Client, sign_up: SignUp, marketing: Any
) -> None:
    marketing(ON_USER_DELETE="keep")
    user = sign_up("ada")
    send(kit)
    subject = f"user:{user.pk}"
    user.delete()

    staff.post(person_url(subject, "forget"), {"sure": "on"})

    assert OptOut.objects.get().kind == "forgotten"
    assert OutboxRow.objects.filter(kind=Kind.ERASURE).exists()


def test_a_stranger_is_tagged_by_the_address_and_keeps_the_name(
    staff: Client, stranger: Contact, mktg_sandbox: Any
) -> None:
    answer = staff.post(contact_url(stranger, "tag"), {"name": "VIP"}, follow=True)
    assert said(answer) == ["The tag is being added."]
    lead = Lead.objects.get()
    assert (lead.email, lead.first_name) == ("stranger@example.com", "Strange")
    assert AuditEntry.objects.get().subject == f"lead:{lead.pk}"


def test_a_stranger_has_nothing_to_be_sent(staff: Client, stranger: Contact) -> None:
    answer = staff.post(contact_url(stranger, "sync"), follow=True)
    assert said(answer) == ["Nobody of this site has this address, so there is nothing to send."]
    assert not Lead.objects.exists()


def test_a_connection_that_is_off_is_said_to_be(kit: Connection, staff: Client, sign_up: SignUp) -> None:
    user = sign_up("ada")
    Connection.objects.update(push_enabled=False)
    answer = staff.post(person_url(f"user:{user.pk}", "sync"), {"connection": kit.pk}, follow=True)
    assert said(answer) == ["kit is switched off: nothing is sent over it."]
