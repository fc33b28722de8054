"""``{% load preferences %}``: ``{% preference_url user %}``, the link for the end of a mail."""

from __future__ import annotations

from django import template

from mktg_integration import shortcuts

register = template.Library()


@register.simple_tag
def preference_url(person: shortcuts.Someone) -> str:
    """The person's own preference link; see ``shortcuts.preference_url``."""
    return shortcuts.preference_url(person)
