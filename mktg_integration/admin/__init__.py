"""Django's own admin for staff: connections, mirror, outbox, inbox, people and runs. No page calls a service."""

from mktg_integration.admin import account, audit, connections, deadrows, figures, inbox, mirror, outbox, people, runs

__all__ = ["account", "audit", "connections", "deadrows", "figures", "inbox", "mirror", "outbox", "people", "runs"]
