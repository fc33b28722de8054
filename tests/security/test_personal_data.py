"""Ways by which whoever may not see personal data might come by it nevertheless."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from mktg_integration.audit import Actor, record
from mktg_integration.insight import ids
from mktg_integration.models import (
    AuditAction,
    AuditEntry,
    Connection,
    Contact,
    Lead,
    Purchase,
    Run,
    RunKind,
    ServiceAccount,
)
from tests.security.conftest import ADDRESS, Browser

API = "/marketing/api/v1/"


def listed(model: str) -> str:
    return reverse(f"admin:mktg_integration_{model}_changelist")


def test_a_contact_that_is_known_by_its_address_is_masked_wherever_it_is_named(viewer: Browser, ada: Contact) -> None:
    """Its key holds the address, and keys are in links, in check boxes and in titles."""
    client = viewer("sync_people", "erase_people")
    page = client.get(listed("contact"))
    assert page.status_code == 200
    quoted = ADDRESS.replace("@", "_40")
    assert ADDRESS not in page.text
    assert quoted not in page.text


def test_the_boxes_of_a_list_choose_the_rows_that_they_stand_before(viewer: Browser, ada: Contact) -> None:
    client = viewer(sees=True)
    assert ids.shown(ada.pk) in client.get(listed("contact")).text
    data = {"action": "export_csv", "_selected_action": [ids.shown(ada.pk)], "select_across": "0"}
    assert ADDRESS in b"".join(client.post(listed("contact"), data)).decode()


def test_a_stranger_is_acted_on_without_the_address_being_named(
    viewer: Browser, ada: Contact, nameless: Connection
) -> None:
    client = viewer("sync_people", "erase_people")
    change = reverse("admin:mktg_integration_contact_change", args=[quote(ids.shown(ada.pk))])
    page = client.get(change)
    assert ADDRESS not in page.text
    assert ADDRESS.replace("@", "_40") not in page.text
    act = reverse("admin:mktg_integration_contact_act", args=[quote(ids.shown(ada.pk)), "unsubscribe"])
    assert act in page.text
    assert ADDRESS not in client.get(act).text
    answer = client.post(act)
    assert answer["Location"] == change
    assert client.get(change).status_code == 200
    # Nor is one found by an address that is written into the page's own.
    assert client.get(reverse("admin:mktg_integration_contact_change", args=[quote(ada.pk)])).status_code == 302


def test_an_export_holds_no_id_that_is_an_address(viewer: Browser, ada: Contact) -> None:
    data = {"action": "export_csv", "_selected_action": [ids.shown(ada.pk)], "select_across": "1"}
    answer = viewer().post(listed("contact"), data)
    assert ADDRESS not in b"".join(answer).decode()
    answer = viewer(sees=True).post(listed("contact"), data)
    assert ADDRESS in b"".join(answer).decode()


@pytest.mark.parametrize(
    ("model", "field"), [("tagging", "contact"), ("syncstate", "contact"), ("formmember", "contact")]
)
def test_contacts_are_not_listed_for_choosing(viewer: Browser, ada: Contact, model: str, field: str) -> None:
    """Django's own address for choosing rows, which asks for no more than the permission to view them."""
    where = {"app_label": "mktg_integration", "model_name": model, "field_name": field, "term": ""}
    answer = viewer().get(reverse("admin:autocomplete"), where)
    assert ADDRESS not in answer.text
    assert answer.status_code in (403, 404)


@pytest.mark.parametrize("model", ["contact", "lead", "optout", "syncstate", "purchase"])
def test_a_search_does_not_tell_whether_an_address_is_there(
    viewer: Browser, ada: Contact, purchase: Purchase, model: str
) -> None:
    from mktg_integration.mirror import optouts
    from mktg_integration.models import OptOutKind, SyncState

    Lead.objects.create(email=ADDRESS, email_key=ADDRESS)
    optouts.opt_out(ADDRESS, kind=OptOutKind.UNSUBSCRIBED)
    SyncState.objects.create(
        key=f"{ada.connection_id}:user:1", connection=ada.connection, subject="user:1", email_key=ADDRESS
    )

    def found(client: object, term: str) -> int:
        return int(client.get(listed(model), {"q": term}).context["cl"].result_count)  # type: ignore[attr-defined]

    assert found(viewer(sees=True), ADDRESS) == 1
    assert found(viewer(), ADDRESS) == 0
    assert found(viewer(), ADDRESS.upper()) == 0


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("serviceaccount", {"email__startswith": "o"}),
        ("run", {"examples__icontains": "ada"}),
        ("run", {"errors__icontains": "ada"}),
        ("auditentry", {"detail__icontains": "ada"}),
        ("auditentry", {"actor__email__startswith": "a"}),
        ("contact", {"email__startswith": "a"}),
        ("contact", {"raw__email__startswith": "a"}),
        ("lead", {"email_key__startswith": "a"}),
        ("connection", {"credentials__startswith": "gAAAA"}),
        ("webhooksubscription", {"secrets__startswith": "gAAAA"}),
        ("inboxrow", {"body__startswith": "gAAAA"}),
    ],
)  # fmt: skip
def test_an_address_of_a_list_asks_no_column_for_its_letters(
    viewer: Browser, ada: Contact, model: str, lookup: dict[str, str]
) -> None:
    answer = viewer().get(listed(model), lookup)
    assert answer.status_code in (302, 400), "Django takes it for a filter"


def test_who_did_it_by_a_link_or_the_api_is_not_named(viewer: Browser, db: None) -> None:
    """People who choose for themselves are among the actors, and a site's user names may be addresses."""
    customer = User.objects.create_user(ADDRESS, email=ADDRESS)
    record(Actor(customer, "api"), AuditAction.UNSUBSCRIBED, subject=f"user:{customer.pk}")
    person = reverse("admin:mktg_integration_contact_person", args=[f"user:{customer.pk}"])
    for page in (listed("auditentry"), person):
        assert ADDRESS not in viewer().get(page).text
        assert ADDRESS in viewer(sees=True).get(page).text
    entry = reverse("admin:mktg_integration_auditentry_change", args=[1])
    assert ADDRESS not in viewer().get(entry).text


def test_the_owner_of_an_account_is_masked_in_the_admin_as_in_the_api(viewer: Browser, nameless: Connection) -> None:
    row = ServiceAccount.objects.create(
        key=f"{nameless.pk}:1", connection=nameless, remote_id="1", name="Shop", email=ADDRESS,
        raw={"primary_email_address": ADDRESS}, seen_at=timezone.now(),
    )  # fmt: skip
    change = reverse("admin:mktg_integration_serviceaccount_change", args=[row.pk])
    for page in (listed("serviceaccount"), change, f"{API}accounts/"):
        answer = viewer().get(page)
        assert answer.status_code == 200
        assert ADDRESS not in answer.text
        assert ADDRESS in viewer(sees=True).get(page).text


def test_purchases_are_not_found_by_an_address(viewer: Browser, purchase: Purchase) -> None:
    """An id that was not sealed is none: else it would tell whether somebody is there, and be logged."""
    client = viewer()
    by_address = client.get(f"{API}purchases/", {"contact": f"{purchase.connection_id}:{ADDRESS}"})
    assert by_address.json()["results"] == []
    contact = client.get(f"{API}contacts/").json()["results"][0]
    assert ADDRESS not in str(contact)
    assert len(client.get(f"{API}purchases/", {"contact": contact["id"]}).json()["results"]) == 1


def test_the_pages_of_a_run_name_no_address(viewer: Browser, nameless: Connection, ada: Contact) -> None:
    run = Run.objects.create(
        connection=nameless, kind=RunKind.RECONCILE, started_at=timezone.now(), is_preview=True, status="done",
        finished_at=timezone.now(), counts={"missing": 1, "extra": 1},
        examples={"missing": ["user:1"], "extra": [ada.pk]},
    )  # fmt: skip
    User.objects.create_user(ADDRESS, pk=1, email=ADDRESS)
    for page in (reverse("admin:mktg_integration_run_change", args=[run.pk]), f"{API}runs/{run.pk}/", f"{API}runs/"):
        assert ADDRESS not in viewer().get(page).text
        assert ADDRESS.replace("@", "_40") not in viewer().get(page).text
    # The link of somebody who may see people leads to the contact, and holds no address either.
    found = viewer(sees=True).get(reverse("admin:mktg_integration_run_change", args=[run.pk]))
    change = reverse("admin:mktg_integration_contact_change", args=[quote(ids.shown(ada.pk))])
    assert change in found.text
    assert ADDRESS in viewer(sees=True).get(change).text
    assert ADDRESS not in viewer().get(change).text


MASKABLE = ["sync", "tag", "untag", "subscribe", "unsubscribe", "forget"]


@pytest.mark.parametrize("act", MASKABLE)
def test_what_is_answered_to_an_act_names_no_address(viewer: Browser, ada: Contact, act: str) -> None:
    """By the API: in the answer, in what is refused, and in what is audited and logged."""
    client = viewer("sync_people", "erase_people")
    address = f"{API}contacts/{ids.shown(ada.pk)}/{act}/"
    for body in ("{}", '{"name": "VIP", "how": "a call"}', '{"name": "", "how": ""}', '{"connection": 999}'):
        answer = client.post(address, body, content_type="application/json")
        assert answer.status_code in (202, 400, 404, 409)
        assert ADDRESS not in answer.text
        browsed = client.post(address, body, content_type="application/json", headers={"Accept": "text/html"})
        assert ADDRESS not in browsed.text
    for entry in AuditEntry.objects.all():
        assert ADDRESS not in f"{entry.subject} {entry.detail}"


@pytest.mark.parametrize("path", ["contacts/", "purchases/", "runs/", "outbox/", "rejected/", "audit/", "accounts/"])
def test_the_browsable_api_masks_as_well(viewer: Browser, ada: Contact, purchase: Purchase, path: str) -> None:
    for where in (f"{API}{path}", f"{API}contacts/{ids.shown(ada.pk)}/"):
        answer = viewer("sync_people").get(where, headers={"Accept": "text/html"})
        assert answer.status_code == 200
        assert ADDRESS not in answer.text
        assert "Ada" not in answer.text


def test_an_export_of_a_person_takes_the_permission(viewer: Browser, ada: Contact) -> None:
    address = f"{API}contacts/{ids.shown(ada.pk)}/export/"
    assert viewer("sync_people", "erase_people").get(address).status_code == 403
    assert viewer().post(f"{API}contacts/search/", {"email": ADDRESS}).status_code == 403
    answer = viewer(sees=True).get(address)
    assert ADDRESS in answer.text
    assert AuditEntry.objects.get().action == AuditAction.EXPORTED


def test_a_log_of_the_admin_names_nobody(viewer: Browser, ada: Contact, nameless: Connection) -> None:
    client = viewer("sync_people", "erase_people", "connect_accounts", "change_connection")
    person = reverse("admin:mktg_integration_contact_act", args=[quote(ids.shown(ada.pk)), "forget"])
    client.post(person, {"sure": "on"})
    client.post(reverse("admin:mktg_integration_connection_change", args=[nameless.pk]), {"name": "loop-2"})
    for entry in LogEntry.objects.all():
        assert ADDRESS not in f"{entry.object_id} {entry.object_repr} {entry.change_message}"
