"""The command line of the sandbox, the same with and without Django."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import TextIO

from .credentials import (
    CONVERSION_API_KEY,
    CONVERTLOOP_API_KEY,
    CONVERTLOOP_APP_ID,
    KIT_ACCESS_TOKEN,
    KIT_API_KEY,
    KIT_CLIENT_ID,
    KIT_CLIENT_SECRET,
    Credentials,
)
from .server import Sandbox
from .world import read_world_file, write_world_file

DESCRIPTION = (
    "Serve stand-ins for Kit, Conversion and ConvertLoop on this machine until interrupted. "
    "Credentials found in KIT_API_KEY, KIT_ACCESS_TOKEN, KIT_CLIENT_ID with KIT_CLIENT_SECRET, "
    "CONVERSION_API_KEY and CONVERTLOOP_APP_ID with CONVERTLOOP_API_KEY are let in too."
)
DEFAULT_PORT = 8765


class CommandLineError(Exception):
    """What the person who typed the command can put right; the message says how."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default {DEFAULT_PORT}; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default 127.0.0.1)")
    parser.add_argument("--load", metavar="WORLD.JSON", help="start with what a dump holds")
    parser.add_argument("--dump", metavar="WORLD.JSON", help="write all objects at the end")
    parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="answer S seconds late")
    parser.add_argument("--keep-bodies", action="store_true", help="keep the requests' bodies in the log")
    parser.add_argument("--json", action="store_true", help="print one line of JSON, for machines")


def serve(options: argparse.Namespace, out: TextIO, environ: Mapping[str, str]) -> None:
    """Serve until SIGINT or SIGTERM; raises CommandLineError, and WorldError for the file of ``--load``."""
    if options.latency < 0:
        raise CommandLineError("--latency: must be 0 or more seconds.")
    if options.dump and not Path(options.dump).absolute().parent.is_dir():
        raise CommandLineError(f"--dump: the directory of {options.dump} does not exist; create it first.")
    credentials = Credentials()
    from_environment = credentials.add_from_environment(environ)
    world = read_world_file(options.load) if options.load else {}
    try:
        sandbox = Sandbox(
            options.port,
            world,
            host=options.host,
            credentials=credentials,
            keep_bodies=options.keep_bodies,
            latency=options.latency,
        )
    except ValueError as error:
        raise CommandLineError(str(error)) from error
    stop = Event()
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in former:
        signal.signal(number, lambda *_: stop.set())
    try:
        with _started(sandbox):
            announce(sandbox, from_environment, out, as_json=options.json)
            # In slices: a signal handler runs only when the main thread gets to run.
            while not stop.wait(0.2):
                pass
        if options.dump:
            write_world_file(options.dump, sandbox.dump())
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _started(sandbox: Sandbox) -> Sandbox:
    try:
        return sandbox.start()
    except (OSError, OverflowError) as error:
        message = f"--port: cannot serve on {sandbox.host}:{sandbox.port}: {error}. Give another, or 0."
        raise CommandLineError(message) from error


def announce(sandbox: Sandbox, from_environment: list[str], out: TextIO, *, as_json: bool) -> None:
    """Say where the services are and what opens them; credentials from the environment by name alone."""
    urls = {"kit": sandbox.kit_url, "conversion": sandbox.conversion_url, "convertloop": sandbox.convertloop_url}
    defaults = {
        "KIT_API_KEY": KIT_API_KEY,
        "KIT_ACCESS_TOKEN": KIT_ACCESS_TOKEN,
        "KIT_CLIENT_ID": KIT_CLIENT_ID,
        "KIT_CLIENT_SECRET": KIT_CLIENT_SECRET,
        "CONVERSION_API_KEY": CONVERSION_API_KEY,
        "CONVERTLOOP_APP_ID": CONVERTLOOP_APP_ID,
        "CONVERTLOOP_API_KEY": CONVERTLOOP_API_KEY,
    }
    if as_json:
        told = {
            "url": sandbox.url,
            "services": urls,
            "credentials": defaults,
            "credentials_from_environment": from_environment,
            "pid": os.getpid(),
        }
        out.write(json.dumps(told) + "\n")
        out.flush()
        return
    lines = [f"Sandbox at {sandbox.url}/ (stop it with Ctrl-C)", ""]
    lines += [f"  {name.upper()}_BASE_URL={url}" for name, url in urls.items()]
    lines += ["", *(f"  {name}={value}" for name, value in defaults.items()), ""]
    if from_environment:
        lines += [f"Let in as well, as the environment has it: {', '.join(from_environment)}", ""]
    out.write("\n".join(lines))
    out.flush()


def main(arguments: list[str] | None = None) -> int:
    """``python -m mktg_integration.sandbox``: the exit status is 0, or 1 with a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m mktg_integration.sandbox", description=DESCRIPTION)
    add_arguments(parser)
    try:
        serve(parser.parse_args(arguments), sys.stdout, os.environ)
    except (CommandLineError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
