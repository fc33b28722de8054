"""HTML pages for people: one that lists the services, and one per service that shows who is in it."""

from __future__ import annotations

import json
import time
from html import escape
from typing import Any

from .core import Core
from .requestlog import Entry
from .wire import Request, Response

MAX_PEOPLE = 500
MAX_REQUESTS = 25
TITLES = {"kit": "Kit", "conversion": "Conversion", "convertloop": "ConvertLoop"}
_CURRENT = ' aria-current="page"'

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5c6675; --line: #dfe3e8; --paper: #fff; --tint: #f5f7f9;
  --accent: #1f5fa8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --line: #323a46; --paper: #14181e;
  --tint: #1c222a; --accent: #7fb2ee; --bad: #ff8a80; } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
nav { display: flex; flex-wrap: wrap; gap: 1.25rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line) }
a { color: var(--accent) } nav a[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none }
h1 { font-size: 1.5rem; margin: 1.25rem 0 .25rem } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p, .soft { color: var(--soft) } p { margin: .25rem 0 } code { font-size: .92em }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0 0 }
dl div { background: var(--tint); border: 1px solid var(--line); border-radius: .5rem; padding: .5rem 1rem }
dt { color: var(--soft); font-size: .85rem } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums }
.bad { color: var(--bad) }
.scroll { overflow-x: auto } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 500; font-size: .85rem }
td.number { font-variant-numeric: tabular-nums }
"""


def answer(sandbox: Core, request: Request) -> Response | None:
    """The page at a path; None where there is none."""
    if request.method not in ("GET", "HEAD"):
        return None
    name = request.path.strip("/")
    if request.path == "/":
        return _page("Sandbox", _overview(sandbox))
    if name in sandbox.services:
        return _page(TITLES[name], _service(sandbox, name), current=name)
    if request.path == "/favicon.ico":
        return Response(204)
    return None


def _page(title: str, content: str, current: str = "") -> Response:
    links = "".join(
        f'<a href="{path}"{_CURRENT if name == current else ""}>{label}</a>'
        for name, path, label in [("", "/", "Sandbox"), *((n, f"/{n}/", t) for n, t in TITLES.items())]
    )
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · sandbox</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><nav>{links}</nav><main><h1>{escape(title)}</h1>{content}</main></body></html>"
    )
    headers = {"Cache-Control": "no-store"}
    return Response(200, html.encode(), "text/html; charset=utf-8", headers)


def _overview(sandbox: Core) -> str:
    stats = sandbox.stats()
    rows = [
        [
            f'<a href="/{name}/">{TITLES[name]}</a>',
            f"<code>{escape(sandbox.url + service.prefix)}</code>",
            str(len(sandbox.people(name))),
            str(stats[name]["calls"]),
            _warning(stats[name]["undocumented"]),
        ]
        for name, service in sandbox.services.items()
    ]
    about = "<p>Stand-ins for three marketing services, on this machine only. Nothing here reaches the real ones.</p>"
    table = _table(["Service", "Base URL", "People", "Requests", "Undocumented"], rows)
    return f"{about}{table}<h2>Latest requests</h2>{_requests(sandbox.log.latest(MAX_REQUESTS))}"


def _service(sandbox: Core, name: str) -> str:
    people = sandbox.people(name)
    counts = sandbox.stats()[name]
    figures = {
        "People": str(len(people)),
        "Requests": str(counts["calls"]),
        "Rate limited": str(counts["rate_limited"]),
        "Undocumented": _warning(counts["undocumented"]),
    }
    boxes = "".join(f"<div><dt>{label}</dt><dd>{value}</dd></div>" for label, value in figures.items())
    reasons = "".join(
        f'<p class="bad">{escape(reason)} ({count} ×)</p>' for reason, count in counts["undocumented_reasons"].items()
    )
    base = f"<p><code>{escape(sandbox.url + sandbox.services[name].prefix)}</code></p>"
    requests = _requests(sandbox.log.latest(MAX_REQUESTS, name), with_service=False)
    return f"{base}<dl>{boxes}</dl>{reasons}<h2>People</h2>{_people(people)}<h2>Latest requests</h2>{requests}"


def _people(people: list[dict[str, Any]]) -> str:
    if not people:
        return "<p>Nobody yet.</p>"
    columns = list(people[0])
    # The newest are the ones that someone who looks is looking for.
    shown = people[: -MAX_PEOPLE - 1 : -1]
    rows = [[escape(_text(person.get(column))) for column in columns] for person in shown]
    more = f"<p>The newest {MAX_PEOPLE} of {len(people)}.</p>" if len(people) > MAX_PEOPLE else ""
    return more + _table([column.replace("_", " ").capitalize() for column in columns], rows)


def _requests(entries: list[Entry], *, with_service: bool = True) -> str:
    if not entries:
        return "<p>None yet.</p>"
    rows = []
    for entry in entries:
        status = "dropped" if entry.status is None else str(entry.status)
        rows.append(
            [
                str(entry.number),
                time.strftime("%H:%M:%S", time.localtime(entry.time)),
                *([TITLES.get(entry.service, "elsewhere")] if with_service else []),
                f"<code>{escape(entry.operation or entry.method + ' (undocumented)')}</code>",
                status if status.startswith("2") else f'<span class="bad">{status}</span>',
                "" if entry.items is None else str(entry.items),
                f'<span class="bad">{escape(entry.undocumented or "")}</span>',
            ]
        )
    service = ["Service"] if with_service else []
    return _table(["No.", "Time", *service, "Operation", "Status", "Items", "Undocumented"], rows)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _text(value: Any) -> str:
    """A cell: lists joined, objects as ``key: value`` pairs, nothing for what is unset."""
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(part)}" for key, part in value.items() if part not in (None, ""))
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return value if isinstance(value, str) else json.dumps(value)


def _warning(count: int) -> str:
    return f'<span class="bad">{count}</span>' if count else "0"
