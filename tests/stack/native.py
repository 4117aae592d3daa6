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
        names = [name for service in services.values() for name in service.names]
        self.boxes = {name: Box(service, place, names) for name, service in services.items()}
        self.started: list[str] = []

    def up(self, seconds: float) -> None:
        """Start everything in the order of `depends_on`; raises TimeoutError or RuntimeError with the end of a log."""
        deadline = time.monotonic() + seconds
        ready: dict[str, dict[str, bool]] = {}
        while len(ready) < len(self.boxes):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not ready after {seconds:g} s: {self._tails(set(self.boxes) - set(ready))}")
            for name, box in self.boxes.items():
                if name not in self.started and all(
                    ready.get(other, {}).get(how) for other, how in box.service.needs.items() if other in self.boxes
                ):
                    box.start()
                    self.started.append(name)
                elif name in self.started and name not in ready and all((state := box.satisfied).values()):
                    ready[name] = state
                elif name in self.started and box.ended not in (None, 0):
                    raise RuntimeError(f"ended with {box.ended}: {self._tails({name})}")
            time.sleep(0.3)

    def down(self) -> dict[str, int]:
        """Stop everything, who was started last first; the exit code of each."""
        return {name: self.boxes[name].stop() for name in reversed(self.started)}

    def kill(self) -> None:
        """End everything at once."""
        for box in self.boxes.values():
            box.kill()

    def _tails(self, names: set[str]) -> str:
        return "\n".join(f"--- {name}\n{self.boxes[name].tail()}" for name in sorted(names & set(self.started)))


def loopback_up() -> None:
    """Switch on the loopback device of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(endpoint, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(endpoint, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _UP))
