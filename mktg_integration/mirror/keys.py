"""The mirror's primary keys: made of connection and remote id, so that a page is written without a look-up."""

from __future__ import annotations

import hashlib

from mktg_integration.models import Tagging

KEY_LENGTH = Tagging._meta.get_field("key").max_length or 191


def remote_key(connection_id: int, remote_id: str) -> str:
    """Of what the service gives an id of its own."""
    return f"{connection_id}:{remote_id}"


def membership_key(connection_id: int, contact: str, container: str) -> str:
    """Of a contact's being in a tag, form or sequence, by their remote ids; with a digest in their place where they are
    too long for the column."""
    key = f"{connection_id}:{contact}:{container}"
    if len(key) > KEY_LENGTH:
        return f"{connection_id}:{hashlib.sha256(f'{contact}:{container}'.encode()).hexdigest()}"
    return key


tagging_key = membership_key
