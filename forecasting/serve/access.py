"""Who may come in, decided from the head of a request alone: before its body is read, and before it costs anything."""

from __future__ import annotations

import ipaddress
from collections import Counter
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from forecasting.config.settings import ServeSettings
from forecasting.errors import ConfigError
from forecasting.serve.errors import CLOSE, ServiceError
from forecasting.serve.keys import Keys, key_in

__all__ = ["Access", "Room", "check_address"]

_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]", "::1")
_PLAIN: Final = ("GET", "HEAD", "OPTIONS")
_GUARDED: Final = ("/v1/", "/v2/models/")  # where every route wants a key


def check_address(host: str, settings: ServeSettings) -> None:
    """Raises ConfigError where a service without keys would listen on more than this machine."""
    if settings.open or not Keys(settings).open or _is_loopback(host):
        return
    raise ConfigError(
        f"without API keys the service listens on this machine alone, not on {host}: make a key (gatecast keys new),"
        " or let everybody in with --open"
    )


class Access:
    """The names under which the service answers, and the keys.

    A page of any site can make a browser ask a name that it has pointed at 127.0.0.1: without keys only loopback names
    are answered. With keys such a page knows none, and every name is answered unless `hosts` says which.
    """

    def __init__(self, settings: ServeSettings, keys: Keys) -> None:
        self._keys = keys
        everywhere = settings.open or not keys.open
        self._hosts = settings.hosts or (() if everywhere else _LOOPBACK)

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises ServiceError 421 for a name that is not ours, 401 where a key is needed and none is valid."""
        name = _name(headers.get("host"))
        if self._hosts and name is not None and name not in self._hosts and "*" not in self._hosts:
            text = "this service does not answer under that name; GATECAST_SERVE_HOSTS lists its names"
            raise ServiceError(421, "unknown_host", text, headers=CLOSE)
        if not self._keys.open and (scope["method"] not in _PLAIN or scope["path"].startswith(_GUARDED)):
            try:
                self._keys.identify(key_in(headers))
            except ServiceError as error:
                error.headers |= CLOSE  # a body may follow that nobody will read
                raise


class Room:
    """Bytes for the bodies of all requests under way, of which one peer gets no more than its share."""

    def __init__(self, settings: ServeSettings) -> None:
        self._left = int(settings.max_bodies_mb * 1e6)
        self._share = int(settings.max_peer_mb * 1e6)
        self._held: Counter[str] = Counter()

    def take(self, size: int, peer: str) -> None:
        """Raises ServiceError 503 where there is no room."""
        if size > self._left or self._held[peer] + size > self._share:
            text = "too many requests are under way; try again in a moment"
            raise ServiceError(503, "overloaded", text, headers={"Retry-After": "1", **CLOSE})
        self._left -= size
        self._held[peer] += size

    def give(self, size: int, peer: str) -> None:
        """Take back what a request held."""
        self._left += size
        self._held[peer] -= size
        if not self._held[peer]:
            del self._held[peer]


def _name(host: str | None) -> str | None:
    """The name in a Host header, without its port."""
    if host is None:  # no browser leaves it out
        return None
    name, _, port = host.strip().lower().rpartition(":")
    return name if port.isdecimal() and name else host.strip().lower()


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
