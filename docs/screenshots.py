"""Makes the pictures of ``docs/images/``: ``python docs/screenshots.py [NAME …]``.

They show the example site's demo: its sandbox, site and cluster are started, the same people sign up each time, some
things go wrong, and a headless Chromium looks at the pages. Needs the extra ``dev`` and Chromium.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from example_project.demo.report import Screen  # noqa: E402
from example_project.demo.run import Demo  # noqa: E402
from example_project.demo.visitors import FIRST_NAMES, LAST_NAMES, Visitor, sign_up, visitors  # noqa: E402

IMAGES = ROOT / "docs" / "images"
WIDTH, TALLEST = 1280, 1500
MOST_BYTES = 150_000
SITE = "https://www.example.com"
VISITORS, EARLIER = 24, 2400
# Each with what it ends below, where it does not show the whole page.
PICTURES = {
    "run": "",
    "deliveries": "#changelist",
    "contact": ".mktg-section",
    "reconcile": ".mktg-run-examples >> nth=0",
    "figures": ".mktg-chart >> nth=1",
    "preferences": "main",
    "connection": "section:has(#mktg-webhooks)",
    "home": ".mktg-cards",
}
SETTINGS = """
from example_project.settings import *

MKTG_INTEGRATION["TOPICS"] = {
    "letter": {"TAG": "Monthly letter", "LABEL": "The letter, once a month"},
    "offers": {"TAG": "Offers", "LABEL": "Offers and discounts"},
    "surveys": {"TAG": "Surveys", "LABEL": "A survey, twice a year"},
}
"""


def main(names: list[str]) -> None:
    """Raises ``ValueError`` where a picture is larger than a page of documents should carry."""
    with tempfile.TemporaryDirectory(prefix="mktg-pictures-") as folder:
        Path(folder, "pictured_settings.py").write_text(SETTINGS)
        demo = Demo(Path(folder), VISITORS, 120, Screen(sys.stderr))
        demo.people = [named(number, person) for number, person in enumerate(demo.people)]
        path = os.pathsep.join([folder, demo.children.environ["PYTHONPATH"]])
        demo.children.environ.update(
            PUBLIC_URL=SITE, PYTHONPATH=path, DJANGO_SETTINGS_MODULE="pictured_settings", LANGUAGE_CODE="en"
        )
        with demo.children:
            demo.start()
            fill_kit(demo.sandbox)
            demo.sign_up_and_wait()
            # Playwright's loop runs in this thread; the database is asked between its steps.
            os.environ.update(demo.children.environ, DJANGO_ALLOW_ASYNC_UNSAFE="1")
            sys.path.insert(0, folder)
            story = Story(demo)
            with sync_playwright() as playwright:
                program = shutil.which("chromium") or shutil.which("chromium-browser")
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                story.tell(browser.new_page(viewport={"width": WIDTH, "height": 800}, base_url=demo.site), names)
                browser.close()


def named(number: int, person: Visitor) -> Visitor:
    """The same people each time, with addresses that fit their names."""
    last_name = LAST_NAMES[number % len(LAST_NAMES)]
    plain = f"{person.first_name}.{last_name}".lower().replace("é", "e").replace("á", "a")
    return replace(person, last_name=last_name, email=f"{plain}{number // 13 or ''}@example.com")


def fill_kit(sandbox: str) -> None:
    """Who was at Kit before the site was: enough for three pages of a pull."""
    chance = random.Random(7)
    world = requests.get(f"{sandbox}/_sandbox/world", timeout=30).json()
    for number in range(1, EARLIER + 1):
        since = date(2026, 1, 5) + timedelta(days=chance.randrange(300))
        name = chance.choice(FIRST_NAMES)
        world["kit"]["subscribers"].append({
            "id": number, "email_address": f"reader{number:04}@example.org", "first_name": name,
            "state": "cancelled" if chance.random() < 0.06 else "active",
            "created_at": f"{since}T10:00:00Z", "updated_at": f"{since}T10:00:00Z",
        })  # fmt: skip
    requests.put(f"{sandbox}/_sandbox/world", json=world, timeout=30).raise_for_status()


class Story:
    """What happens at the site, in the order of the pictures."""

    def __init__(self, demo: Demo) -> None:
        import django

        django.setup()
        self.demo = demo
        from mktg_integration.models import Connection

        self.kit = Connection.objects.get(name="kit")

    def tell(self, page: Page, names: list[str]) -> None:
        page.add_init_script("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")
        page.goto("/admin/login/")
        page.fill("#id_username", "demo")
        page.fill("#id_password", self.demo.password)
        page.click("input[type=submit]")
        for name, end in PICTURES.items():
            steps: Callable[[Page], None] = getattr(self, name)
            steps(page)
            if not names or name in names:
                picture(page, name, end)

    def run(self, page: Page) -> None:
        """A pull of everything from a Kit that takes its time."""
        rule = self._fail(service="kit", path="^/v4/subscribers$", effect="slow", seconds=4)
        page.goto(f"/admin/mktg_integration/connection/{self.kit.pk}/change/")
        page.click("text=Pull everything")
        page.wait_for_selector("[data-stream=contacts] >> text=/^[12]000/", timeout=60_000)
        # Until the words tell of the contacts, too.
        page.wait_for_timeout(1000)
        page.reload()
        self._mend(rule)

    def deliveries(self, page: Page) -> None:
        """Two people whom ConvertLoop refuses, and one whom two services cannot forget by themselves."""
        page.wait_for_selector(".mktg-run-done", timeout=60_000)
        rule = self._fail(service="convertloop", method="POST", effect="status", status=422)
        for person in visitors(VISITORS + 2)[VISITORS:]:
            sign_up(self.demo.site, named(30 + len(person.first_name), person))
        self._until(lambda: self._count("DeadRow") >= 2)
        self._mend(rule)
        from mktg_integration.audit import Actor
        from mktg_integration.operations import people

        people.forget(Actor(None, "admin"), self._person(9))
        with suppress(TimeoutError):
            self._until(lambda: self._count("DeadRow") >= 4, 15)
        page.goto("/admin/mktg_integration/deadrow/")

    def contact(self, page: Page) -> None:
        from mktg_integration.audit import Actor
        from mktg_integration.models import Contact
        from mktg_integration.operations import people

        people.tag(Actor(None, "admin"), [self._person(0)], "Speaker", self.kit)
        page.wait_for_timeout(5000)
        contact = Contact.objects.get(connection=self.kit, email=self.demo.people[0].email)
        page.goto(f"/admin/mktg_integration/contact/{contact.pk.replace(':', '_3A')}/change/")

    def reconcile(self, page: Page) -> None:
        """Some people were changed behind the signals' back."""
        from django.contrib.auth.models import User

        from example_project.accounts.models import Member

        Member.objects.filter(pk__in=list(Member.objects.order_by("pk").values_list("pk", flat=True)[:4])).update(
            city="Porto"
        )
        names = [f"{name}{number}" for number in (1, 2) for name in ("Alba", "Ben", "Carla", "Dan", "Eva", "Finn")]
        User.objects.bulk_create(User(username=n, email=f"{n.lower()}@example.com", first_name=n[:-1]) for n in names)
        page.goto(f"/admin/mktg_integration/connection/{self.kit.pk}/change/")
        page.click("text=Preview a reconcile")
        page.wait_for_selector("text=Nothing was sent so far", timeout=60_000)

    def figures(self, page: Page) -> None:
        from mktg_integration.models import Contact, DailyFigures

        DailyFigures.objects.all().delete()
        chance = random.Random(3)
        active, today = Contact.objects.filter(connection=self.kit, status="active").count(), date.today()
        rows = []
        for n in range(90):
            joined, left = chance.randrange(4, 14) + (25 if n in (20, 21, 61) else 0), chance.randrange(0, 5)
            sent = joined + chance.randrange(0, 12)
            rows.append(DailyFigures(
                key=f"{self.kit.pk}:{today - timedelta(days=n)}", connection=self.kit, day=today - timedelta(days=n),
                active=active, joined=joined, unsubscribed=left, sent=sent, postponed=chance.randrange(0, 4),
                rejected=chance.choice([0, 0, 0, 1, 2]), outbox=sent // 3 + (60 if n in (20, 21) else 0),
            ))  # fmt: skip
            active -= joined - left
        DailyFigures.objects.bulk_create(rows)
        page.goto(f"/admin/mktg_integration/dailyfigures/?connection={self.kit.pk}&days=90")

    def preferences(self, page: Page) -> None:
        from django.contrib.auth.models import User

        from mktg_integration import shortcuts

        user = User.objects.get(pk=self._person(0).partition(":")[2])
        page.set_viewport_size({"width": WIDTH, "height": 700})
        page.goto(shortcuts.preference_url(user).removeprefix(SITE))

    def connection(self, page: Page) -> None:
        page.set_viewport_size({"width": WIDTH, "height": 800})
        page.goto(f"/admin/mktg_integration/connection/{self.kit.pk}/change/")
        page.click("text=Register webhooks")
        page.wait_for_timeout(5000)
        page.goto(f"/admin/mktg_integration/connection/{self.kit.pk}/change/")

    def home(self, page: Page) -> None:
        page.goto("/admin/mktg_integration/")

    def _person(self, number: int) -> str:
        from django.contrib.auth.models import User

        return f"user:{User.objects.get(email=self.demo.people[number].email).pk}"

    def _count(self, model: str) -> int:
        from mktg_integration import models

        return int(getattr(models, model).objects.count())

    def _fail(self, **rule: Any) -> int:
        answer = requests.post(f"{self.demo.sandbox}/_sandbox/faults", json=rule, timeout=10)
        answer.raise_for_status()
        return int(answer.json()["ids"][0])

    def _mend(self, rule: int) -> None:
        requests.delete(f"{self.demo.sandbox}/_sandbox/faults", params={"id": rule}, timeout=10).raise_for_status()

    def _until(self, true: Callable[[], bool], seconds: float = 60) -> None:
        ends_at = time.monotonic() + seconds
        while not true():
            if time.monotonic() > ends_at:
                raise TimeoutError(self.demo.children.log("cluster").read_text()[-2000:])
            time.sleep(0.3)


def picture(page: Page, name: str, end: str) -> None:
    """Write ``docs/images/NAME.png`` in few colours."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    page.wait_for_load_state("networkidle")
    box = page.locator(end).bounding_box() if end else None
    tall = int(page.evaluate("document.documentElement.scrollHeight"))
    height = min(int(box["y"] + box["height"]) + 16 if box else tall, tall, TALLEST)
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})
    with Image.open(path) as taken:
        few = taken.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path} has {size} bytes; make its page shorter")
    sys.stderr.write(f"{path.relative_to(ROOT)}: {size} bytes, {height} of {tall} pixels high\n")


if __name__ == "__main__":
    main(sys.argv[1:])
