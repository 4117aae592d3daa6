"""The whole stack without an engine: services start when those that they need are there, and end in the other order."""

from __future__ import annotations

import fcntl
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tests.stack.box import Box
from tests.stack.compose import Service

__all__ = ["Stack", "loopback_up"]

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _UP = 0x8913, 0x8914, 0x1


class Stack:
    """All services of a compose file; its volumes, boxes and logs lie under `place`."""

    def __init__(self, services: Mapping[str, Service], place: Path) -> None:
        self.boxes = {name: Box(service, place, _known(service, services)) for name, service in services.items()}
        self._order: list[str] = []  # as they were started

    def up(self, *names: str, seconds: float = 180) -> None:
        """Start these services, or all, with those that they need, in the order of `depends_on`.

        Raises TimeoutError or RuntimeError with the end of a log.
        """
        wanted = self._needed(names or tuple(self.boxes))
        deadline = time.monotonic() + seconds
        ready: set[str] = set()
        while ready != wanted:
            for name in sorted(wanted - ready):
                box = self.boxes[name]
                if name not in self._order and box.service.needs.keys() <= ready:
                    box.start()
                    self._order.append(name)
                elif name in self._order and box.ready():
                    ready.add(name)
                elif name in self._order and box.ended not in (None, 0):
                    raise RuntimeError(f"{name} ended with {box.ended}: {box.tail()}")
            if time.monotonic() > deadline:
                tails = "\n".join(f"--- {name}: {self.boxes[name].tail()}" for name in sorted(wanted - ready))
                raise TimeoutError(f"not there after {seconds:g} s:\n{tails}")
            time.sleep(1)

    def stop(self, *names: str) -> dict[str, int]:
        """Stop these services, or all: what was started last goes first; the exit code of each."""
        going = [name for name in reversed(self._order) if name in (names or self._order)]
        codes = {name: self.boxes[name].stop() for name in going}
        self._order = [name for name in self._order if name not in codes]
        return codes

    def kill(self) -> None:
        """End everything at once."""
        for box in self.boxes.values():
            box.kill()

    def _needed(self, names: tuple[str, ...]) -> set[str]:
        found = set(names)
        for name in names:
            found |= self._needed(tuple(self.boxes[name].service.needs))
        return found


def _known(service: Service, services: Mapping[str, Service]) -> list[str]:
    """The names that resolve in a service: its own, and those in its networks."""
    return [name for other in services.values() if other.networks & service.networks for name in other.names]


def loopback_up() -> None:
    """Switch on the loopback device of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(endpoint, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(endpoint, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _UP))
