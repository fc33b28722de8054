"""What is wrong with ``TOPICS`` is said before anybody opens the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.utils.translation import gettext_lazy as _

from mktg_integration.checks import TAG


def found() -> list[str]:
    return [one.msg for one in run_checks(tags=[TAG]) if one.id == "mktg_integration.E008"]


@pytest.mark.parametrize(
    "topics",
    [
        {"news": "Newsletter"},
        {"news": {}},
        {"news": {"TAG": " "}},
        {"news": {"TAG": "x" * 256}},
        {"news": {"TAG": "Newsletter", "TITLE": "News"}},
        {"our news": {"TAG": "Newsletter"}},
    ],
)
def test_a_topic_that_cannot_be_used_is_named(topics: dict[str, Any], marketing: Callable[..., None]) -> None:
    marketing(TOPICS=topics)
    (message,) = found()
    assert next(iter(topics)) in message


def test_a_topic_needs_a_tag_and_may_have_a_label(marketing: Callable[..., None]) -> None:
    marketing(TOPICS={"news": {"TAG": "Newsletter"}, "offers": {"TAG": "Offers", "LABEL": _("Offers")}})
    assert found() == []
