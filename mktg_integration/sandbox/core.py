"""What a sandbox holds: the three services, their log, the faults, a world that loads and dumps. It serves nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from .conversion import ConversionService
from .convertloop import ConvertLoopService
from .credentials import Credentials
from .dispatch import CountingService, Dispatcher
from .errors import WorldError
from .faults import Faults
from .kit import KitService
from .requestlog import Entry, RequestLog
from .transport import is_loopback
from .world import set_credentials


class Core:
    """The services at one address, with what can be asked of them and done to them; see ``server.Sandbox``."""

    def __init__(
        self,
        port: int = 0,
        world: Mapping[str, Any] | None = None,
        *,
        host: str = "127.0.0.1",
        credentials: Credentials | None = None,
        keep_bodies: bool = False,
        latency: float = 0,
    ) -> None:
        if not is_loopback(host):
            raise ValueError(f"host: {host} is not a loopback address; the sandbox serves none other")
        self.host = host
        self.port = port
        self.credentials = Credentials()
        self.kit = KitService(self.credentials.kit)
        self.conversion = ConversionService(self.credentials.conversion)
        self.convertloop = ConvertLoopService(self.credentials.convertloop)
        self.log = RequestLog(("kit", "conversion", "convertloop"), keep_bodies=keep_bodies)
        self.faults = Faults()
        self._dispatcher = Dispatcher((self.kit, self.conversion, self.convertloop), self.log, self.faults)
        self._dispatcher.latency = latency
        self.services: Mapping[str, CountingService] = self._dispatcher.services
        self._base_credentials = credentials or Credentials()
        self._world_credentials: dict[str, Any] | None = None
        self._empty = {name: service.dump() for name, service in self.services.items()}
        self.load(world or {})
        self._first_world = self.dump()

    # Where it is

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def kit_url(self) -> str:
        return f"{self.url}{self.kit.prefix}"

    @property
    def conversion_url(self) -> str:
        return f"{self.url}{self.conversion.prefix}"

    @property
    def convertloop_url(self) -> str:
        return f"{self.url}{self.convertloop.prefix}"

    # What it holds

    def locked(self, name: str) -> AbstractContextManager[CountingService]:
        """``with sandbox.locked("kit") as service``: the service answers no request meanwhile."""
        return self._dispatcher.locked(name)

    def people(self, name: str) -> list[dict[str, Any]]:
        """Who is in a service, a flat row a person."""
        with self.locked(name) as service:
            return service.people()

    def happens(self, name: str, what: str, email: str) -> None:
        """Let a person ``unsubscribe`` at a service; at some also ``bounce`` and ``complain``.

        Raises ValueError for an act that the service does not know, KeyError for an unknown address.
        """
        with self.locked(name) as service:
            service.happens(what, email)

    def dump(self) -> dict[str, Any]:
        """All objects with their ids, by service; ``load`` takes it and dumps the same again."""
        world: dict[str, Any] = {}
        if self._world_credentials is not None:
            world["credentials"] = copy.deepcopy(self._world_credentials)
        for name in self.services:
            with self.locked(name) as service:
                world[name] = service.dump()
        return world

    def load(self, world: Mapping[str, Any]) -> None:
        """Replace everything by a world; a service that it does not name becomes empty.

        Raises WorldError that names the place; then all is as it was before.
        """
        if unknown := [key for key in world if key not in (*self.services, "credentials")]:
            known = ", ".join(("credentials", *self.services))
            raise WorldError(f"{unknown[0]}: unknown key; a world has {known}")
        for key, part in world.items():
            if not isinstance(part, Mapping):
                raise WorldError(f"{key}: must be a JSON object")
        before = {name: self._dump_of(name) for name in self.services}
        try:
            for name in self.services:
                self._load_into(name, world.get(name, self._empty[name]))
            set_credentials(self.credentials, self._base_credentials, world.get("credentials", {}))
        except WorldError:
            for name, part in before.items():
                self._load_into(name, part)
            raise
        given = world.get("credentials")
        self._world_credentials = copy.deepcopy(dict(given)) if given is not None else None

    def reset(self) -> None:
        """Back to the world it was made with; the log, the counts, the faults and waiting requests are gone."""
        self.faults.clear()
        self._dispatcher.end_requests()
        self.load(self._first_world)
        self.log.clear()

    def _dump_of(self, name: str) -> dict[str, Any]:
        with self.locked(name) as service:
            return service.dump()

    def _load_into(self, name: str, part: Mapping[str, Any]) -> None:
        # A copy: what the caller holds must not change with what the service holds.
        part = copy.deepcopy(dict(part))
        with self.locked(name) as service:
            try:
                service.load(part)
            except WorldError:
                raise
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise WorldError(f"{name}: {error}") from error

    # What it saw

    def undocumented(self, name: str | None = None) -> list[Entry]:
        """The requests in which something is not as the service's document has it."""
        return self.log.undocumented(name)

    def stats(self) -> dict[str, Any]:
        """Counts per service since the last reset, with what the service itself counts under ``service``."""
        stats: dict[str, Any] = self.log.stats()
        for name in self.services:
            with self.locked(name) as service:
                stats[name]["service"] = service.stats.as_json()
        return stats

    def resubscribed(self, name: str) -> int:
        """How often someone who had opted out, bounced or complained became mailable again in a service."""
        with self.locked(name) as service:
            return sum(service.stats.as_json()["resubscribed"].values())

    # What goes wrong

    def fail(self, service: str | None = None, effect: str = "status", **rule: Any) -> int:
        """Add a fault rule (see ``faults.Rule``) and answer its id; ``faults.remove(id)`` ends it."""
        return self.faults.add(service=service, effect=effect, **rule)

    def down(self, service: str, seconds: float | None = None) -> int:
        """Drop every connection to a service, for a time or until the rule is removed."""
        return self.fail(service, "drop", **({} if seconds is None else {"for_seconds": seconds}))
