"""The control endpoints under ``/_sandbox/``, for tests that drive the sandbox from another process.

======================  =============================================================================
``GET health``          that it is up, its version and the services' base URLs
``GET log``             entries; ``?service=``, ``?after=N`` (numbered above), ``?bodies=1`` where kept
``GET stats``           counts per service since the last reset
``GET world``           all objects, as a world file holds them
``PUT world``           replace them
``GET people``          who is in each service
``GET faults``          the rules in force, with how often each matched and struck
``POST faults``         add a rule, or a list of them; answers the ids
``DELETE faults``       end all, or ``?id=N``
``POST happens``        let a person act: ``{"service", "what": "unsubscribe", "email"}``
``POST reset``          the first world, no faults, an empty log
======================  =============================================================================

Answers are JSON; an error is ``{"error": "…"}`` with 400, 403 or 404.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .. import __version__
from .core import Core
from .errors import FaultError, WorldError
from .wire import Request, Response

PREFIX = "/_sandbox/"


class _BadRequestError(ValueError):
    pass


def answer(sandbox: Core, request: Request) -> Response:
    """Do what a control request says."""
    # Browsers name the origin of a cross-site write; no page of another site may drive the sandbox.
    if request.headers.get("origin", sandbox.url) != sandbox.url:
        return Response.json(403, {"error": "Requests from pages of other origins are refused."})
    endpoint = _ENDPOINTS.get((request.method, request.path.removeprefix(PREFIX)))
    if endpoint is None:
        known = ", ".join(f"{method} {PREFIX}{name}" for method, name in _ENDPOINTS)
        return Response.json(404, {"error": f"No such control endpoint; there are {known}."})
    try:
        return Response.json(200, endpoint(sandbox, request))
    except (_BadRequestError, WorldError, FaultError) as error:
        return Response.json(400, {"error": str(error)})


def _one(request: Request, key: str, default: str = "") -> str:
    return request.query.get(key, [default])[-1]


def _number(request: Request, key: str) -> int:
    text = _one(request, key, "0")
    if not text.isdecimal():
        raise _BadRequestError(f"{key}: must be a whole number")
    return int(text)


def _body(request: Request) -> Any:
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise _BadRequestError(f"The body is not JSON: {error}") from error


def _health(sandbox: Core, request: Request) -> Any:
    urls = {"kit": sandbox.kit_url, "conversion": sandbox.conversion_url, "convertloop": sandbox.convertloop_url}
    return {"status": "ok", "version": __version__, "services": urls}


def _log(sandbox: Core, request: Request) -> Any:
    service = _one(request, "service")
    if service and service not in sandbox.services:
        raise _BadRequestError(f"service: must be one of {', '.join(sandbox.services)}")
    with_bodies = _one(request, "bodies") not in ("", "0")
    if with_bodies and not sandbox.log.keep_bodies:
        raise _BadRequestError("bodies: none are kept; start the sandbox with --keep-bodies")
    entries = sandbox.log.entries(service or None, after=_number(request, "after"))
    return {"entries": [entry.as_dict(body=with_bodies) for entry in entries]}


def _stats(sandbox: Core, request: Request) -> Any:
    return sandbox.stats()


def _world(sandbox: Core, request: Request) -> Any:
    return sandbox.dump()


def _put_world(sandbox: Core, request: Request) -> Any:
    world = _body(request)
    if not isinstance(world, dict):
        raise _BadRequestError("A world is a JSON object with the services' names as keys.")
    sandbox.load(world)
    return {}


def _people(sandbox: Core, request: Request) -> Any:
    return {name: sandbox.people(name) for name in sandbox.services}


def _faults(sandbox: Core, request: Request) -> Any:
    return {"faults": sandbox.faults.list()}


def _add_faults(sandbox: Core, request: Request) -> Any:
    given = _body(request)
    rules = given if isinstance(given, list) else [given]
    if not all(isinstance(rule, dict) for rule in rules):
        raise _BadRequestError("A fault rule is a JSON object, or a list of them.")
    added: list[int] = []
    try:
        added.extend(sandbox.faults.add(**rule) for rule in rules)
    except FaultError:
        for rule_id in added:
            sandbox.faults.remove(rule_id)
        raise
    return {"ids": added}


def _remove_faults(sandbox: Core, request: Request) -> Any:
    if "id" not in request.query:
        sandbox.faults.clear()
    elif not sandbox.faults.remove(_number(request, "id")):
        raise _BadRequestError("id: no rule has it")
    return {}


def _happens(sandbox: Core, request: Request) -> Any:
    match _body(request):
        case {"service": str(service), "what": str(what), "email": str(email)} if service in sandbox.services:
            try:
                sandbox.happens(service, what, email)
            except (ValueError, KeyError) as error:
                raise _BadRequestError(str(error.args[0])) from error
            return {}
    known = ", ".join(sandbox.services)
    raise _BadRequestError(f"The body is an object with service ({known}), what and email.")


def _reset(sandbox: Core, request: Request) -> Any:
    sandbox.reset()
    return {}


_ENDPOINTS: dict[tuple[str, str], Callable[[Core, Request], Any]] = {
    ("GET", "health"): _health,
    ("GET", "log"): _log,
    ("GET", "stats"): _stats,
    ("GET", "world"): _world,
    ("PUT", "world"): _put_world,
    ("GET", "people"): _people,
    ("GET", "faults"): _faults,
    ("POST", "faults"): _add_faults,
    ("DELETE", "faults"): _remove_faults,
    ("POST", "happens"): _happens,
    ("POST", "reset"): _reset,
}
