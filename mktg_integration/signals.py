"""What the site can listen to.

All are plain Django signals. ``sender`` is the ``Connection`` class; every signal carries ``connection``, the
``Connection`` that it is about. They are sent with ``send_robust`` after the mirror's rows are committed: a receiver
that raises is logged and harms nothing, and what a receiver reads is what the service told. A repeat of the same
news is possible (services deliver webhooks more than once), so receivers should be idempotent.
"""

from __future__ import annotations

from django.dispatch import Signal

contact_subscribed = Signal()
"""A contact may be mailed that could not be before. Arguments: ``connection``, ``contact`` (``Contact``),
``user`` (the site's user, or None), ``source`` (``"push"``, ``"pull"`` or ``"inbound"``)."""

contact_unsubscribed = Signal()
"""A contact may be mailed no more. Arguments: ``connection``, ``contact``, ``user``, ``source``, and ``status``
(``ContactStatus.UNSUBSCRIBED``, ``BOUNCED`` or ``COMPLAINED``)."""

contact_updated = Signal()
"""A service told other values of a contact than before. Arguments: ``connection``, ``contact``, ``user``,
``source``."""

tag_added = Signal()
"""A contact got a tag. Arguments: ``connection``, ``contact``, ``tag`` (``Tag``), ``user``, ``source``."""

tag_removed = Signal()
"""A contact lost a tag. Arguments: ``connection``, ``contact``, ``tag``, ``user``, ``source``."""

purchase_created = Signal()
"""A service told of a purchase. Arguments: ``connection``, ``contact`` (None where the buyer is no contact yet),
``user``, ``source``, and ``purchase`` (the JSON as the service told it)."""

run_finished = Signal()
"""A pull, push or reconcile has ended. Arguments: ``connection``, ``run`` (``Run``)."""

DELETIONS = "deletions"
"""The ``reason`` where a pull found so many rows gone that it marked none."""

connection_needs_attention = Signal()
"""A connection waits for a person. Arguments: ``connection``, ``reason`` (``WaitReason``, or ``DELETIONS``), ``detail``
(plain words, without personal data). Sent when the connection starts to wait, not with each drain that finds it
waiting."""
