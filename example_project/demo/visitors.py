"""The people who visit the demo site, and how they sign up: over HTTP, through the form that everyone gets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape

import requests

FIRST_NAMES = [
    "Ada",
    "Bela",
    "Chloé",
    "Dara",
    "Emre",
    "Fatou",
    "Goran",
    "Hana",
    "Ines",
    "Jonas",
    "Kira",
    "Liam",
    "Maya",
]
LAST_NAMES = ["Okafor", "Silva", "Novák", "Haddad", "Larsen", "Tanaka", "Moreau"]
CITIES = ["Lisbon", "Kraków", "Nairobi", "Oslo"]
JOB_TITLES = ["Engineer", "Designer", "Teacher"]
COMPANIES = ["Blue Harbour", "North & Sons"]
TOPICS = ["Events", "Product news", "Tutorials"]
AT_A_TIME = 4
_TOPIC = re.compile(r'name="topics"\s+value="(\d+)"[^>]*>\s*([^<]+?)\s*</label>')


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Who signs up, with what."""

    email: str
    first_name: str
    last_name: str = ""
    city: str = ""
    job_title: str = ""
    company: str = ""
    topics: frozenset[str] = frozenset()
    newsletter: bool = True


class SignupError(Exception):
    """The site did not take a signup; the text says what it answered instead."""


def visitors(count: int) -> list[Visitor]:
    """So many people, no two alike: most tick the newsletter, some choose topics, some tell more of themselves."""
    # A domain of its own for each demo, so that one database can see several.
    domain = f"{secrets.token_hex(3)}.example.com"
    return [_visitor(number, domain) for number in range(count)]


def _visitor(number: int, domain: str) -> Visitor:
    def at_times(every: int, names: list[str]) -> str:
        return names[number // every % len(names)] if number % every == 0 else ""

    return Visitor(
        email=f"visitor{number + 1}@{domain}",
        first_name=FIRST_NAMES[number % len(FIRST_NAMES)],
        last_name=at_times(2, LAST_NAMES),
        city=at_times(3, CITIES),
        job_title=at_times(4, JOB_TITLES),
        company=at_times(5, COMPANIES),
        topics=frozenset(name for place, name in enumerate(TOPICS) if number % (place + 2) == 0),
        newsletter=number % 5 != 4,
    )


def sign_up_all(site: str, people: list[Visitor], told: Callable[[int], None]) -> None:
    """Sign everybody up, a few at a time; ``told`` hears how many are done. Raises ``SignupError``."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done, _ in enumerate(pool.map(lambda person: sign_up(site, person), people), start=1):
            told(done)


def sign_up(site: str, person: Visitor) -> None:
    """One visit: read the page, fill in its form, send it. Raises ``SignupError``."""
    with requests.Session() as browser:
        page = browser.get(f"{site}/signup/", timeout=30)
        answer = browser.post(
            f"{site}/signup/",
            data=list(_filled_in(page.text, person, browser.cookies["csrftoken"])),
            headers={"Referer": f"{site}/signup/"},
            allow_redirects=False,
            timeout=60,
        )
    if answer.status_code != 302:
        raise SignupError(f"/signup/ answered {answer.status_code}: {' '.join(_errors(answer.text)) or 'no reason'}")


def _filled_in(page: str, person: Visitor, csrf: str) -> Iterator[tuple[str, str]]:
    password = secrets.token_urlsafe(12)
    yield from {
        "csrfmiddlewaretoken": csrf,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "email": person.email,
        "password1": password,
        "password2": password,
        "city": person.city,
        "job_title": person.job_title,
        "company_name": person.company,
    }.items()
    if person.newsletter:
        yield "newsletter", "on"
    for value, label in _TOPIC.findall(page):
        if unescape(label) in person.topics:
            yield "topics", value


def _errors(page: str) -> list[str]:
    lists = re.findall(r'<ul class="errorlist[^>]*>(.*?)</ul>', page, re.DOTALL)
    return [unescape(text) for found in lists for text in re.findall(r"<li>(.*?)</li>", found, re.DOTALL)]
