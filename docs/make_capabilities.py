"""Writes ``capabilities.md`` from what the providers say of themselves: ``python docs/make_capabilities.py``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mktg_integration.providers.base import Capability, Provider, Verb
from mktg_integration.providers.registry import BUILT_IN, get_provider

PAGE = Path(__file__).with_name("capabilities.md")
INTRODUCTION = """\
# What each service can do

Made of the code by `python docs/make_capabilities.py`; `mktg_doctor` tells the same of your own connections.

A call that names no connection goes to every one whose service can do it; one that names a connection whose service
cannot is an error. Unsubscribes and erasures are never left out: where a service has no way, the row waits as "needs a
person".
"""


def page() -> str:
    """The whole page."""
    providers = [get_provider(name) for name in sorted(BUILT_IN)]
    told = {provider.label: {one.name: one for one in provider.capabilities()} for provider in providers}
    rows = [["", *told], ["---"] * (len(told) + 1)]
    rows += [[f"`{verb}`", *(_mark(capabilities.get(verb)) for capabilities in told.values())] for verb in Verb]
    rows.append(["people in one call", *(f"{provider.people_per_call:,}" for provider in providers)])
    rows.append(["lists contacts", *("yes" if provider.introduces else "no" for provider in providers)])
    one_by_one = [type(provider).look_up is not Provider.look_up for provider in providers]
    rows.append(["reads one contact", *("yes" if reads else "no" for reads in one_by_one)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    notes = "\n".join(_notes(label, capabilities.values()) for label, capabilities in told.items())
    return f"{INTRODUCTION}\n{table}\n{notes}\n"


def _mark(capability: Capability | None) -> str:
    return "yes" if capability is not None and capability.supported else "no"


def _notes(label: str, capabilities: Iterable[Capability]) -> str:
    lines = [
        f"`{one.name}`\n: {one.note}\n" for one in capabilities if one.note and not one.note.endswith("no such thing")
    ]
    return f"\n## {label}\n\n" + "\n".join(lines).rstrip("\n")


if __name__ == "__main__":
    PAGE.write_text(page())
