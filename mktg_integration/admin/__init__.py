"""Django's own admin for staff: connections, the mirror, the outbox, people and runs. No page calls a service."""

from mktg_integration.admin import connections, mirror, outbox, people, runs

__all__ = ["connections", "mirror", "outbox", "people", "runs"]
