"""Makes the demo's database ready: tables, schedules, a superuser. One process, because each start of Django costs."""

from __future__ import annotations

import os

import django


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("mktg_schedule")
    # Without an address, so that no service is told of this account.
    user, _ = User.objects.get_or_create(username="demo", defaults={"is_staff": True, "is_superuser": True})
    user.set_password(os.environ["DEMO_PASSWORD"])
    user.save()


if __name__ == "__main__":
    main()
