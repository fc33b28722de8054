"""``manage.py mktg_sandbox``: the stand-ins for the three services, on this machine."""

from __future__ import annotations

import argparse
import os
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser

from mktg_integration.sandbox import cli
from mktg_integration.sandbox.errors import WorldError


class Command(BaseCommand):
    help = cli.DESCRIPTION
    # It touches neither the site's database nor its models.
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        cli.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cli.serve(argparse.Namespace(**options), cast(TextIO, self.stdout), os.environ)
        except (cli.CommandLineError, WorldError) as error:
            raise CommandError(str(error)) from error
