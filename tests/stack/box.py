"""Services without an engine: each in a view of the machine that allows what its container would allow.

Needs root and a network namespace of its own, see `make test-stack`. The ports of the services are their own, their
names lead to 127.0.0.1, the file system is read-only but for volumes and tmpfs, the user is that of the image and has
no capabilities.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.stack.compose import ROOT, Service

__all__ = ["Box", "refusal"]

# What an image's own entry point does before it starts the command.
ENTRY_POINTS = {"postgres": Path(__file__).with_name("postgres-entrypoint.sh")}
BIN = Path(sys.executable).parent
_ENDS = sorted({Path(sys.base_prefix).resolve(), ROOT})  # the interpreter and the project


class Box:
    """One service; `logs` holds what it wrote."""

    def __init__(self, service: Service, place: Path, hosts: Sequence[str]) -> None:
        self.service = service
        self.logs = place / f"{service.name}.log"
        self._place = place
        self._hosts = hosts
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the service's command."""
        entry = ENTRY_POINTS.get(self.service.image.split(":")[0])
        command = self._enter([*([str(entry)] if entry else []), *self.service.entry, *self.service.command])
        with self.logs.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        """The service's main process."""
        assert self._process is not None, f"{self.service.name} was not started"
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """The exit code, if it has ended."""
        return self._process.poll() if self._process else None

    def ready(self) -> bool:
        """Whether those who wait for it may start: its work is done, or its own healthcheck finds it well."""
        if self.service.once:
            return self.ended == 0
        return self.ended is None and (not self.service.check or self.exec(self.service.check).returncode == 0)

    def exec(self, command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """What `docker compose exec` does: a command inside, with its output."""
        inside = ["nsenter", f"--target={self.pid}", "--mount", "--root", *self._as(command)]
        return subprocess.run(inside, input=given, capture_output=True, check=False, timeout=180)

    def run(self, command: Sequence[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """What `docker compose run --rm --no-deps` does: a command in a box of its own."""
        handed = [*self.service.entry, *command]
        return subprocess.run(self._enter(handed), input=given, capture_output=True, check=False, timeout=180)

    def stop(self) -> int:
        """What `docker compose stop` does; the exit code, negative where it did not end in time and was killed."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.Signals[self.service.stop_signal])
        try:
            return self._process.wait(self.service.stop_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, signal.SIGKILL)
            return self._process.wait()

    def tail(self) -> str:
        """The end of its log."""
        return self.logs.read_text(encoding="utf-8", errors="replace")[-3000:] if self.logs.exists() else ""

    def kill(self) -> None:
        """End it at once, with everything that it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()

    @property
    def _root(self) -> Path:
        return self._place / "boxes" / self.service.name / "root"

    def _enter(self, command: Sequence[str]) -> list[str]:
        """The command in a new box, as one process that becomes it."""
        inside = shlex.join(["chroot", str(self._root), *self._as(command)])
        script = "\n".join(["set -e", *self._view(), f"exec {inside}"])
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]

    def _as(self, command: Sequence[str]) -> list[str]:
        """The command as the service's user, without rights, in the service's environment and nothing else."""
        user, _, group = self.service.user.partition(":")
        environment = {"PATH": f"{BIN}:{_postgresql()}/usr/local/bin:/usr/bin:/bin", **self.service.environment}
        return [
            *("setpriv", f"--reuid={user}", f"--regid={group or user}", "--clear-groups"),
            *("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"),
            *("env", "--ignore-environment", f"--chdir={self.service.directory}"),
            *(f"{name}={value}" for name, value in environment.items()),
            *command,
        ]

    def _view(self) -> list[str]:
        """Shell commands that build the service's file system."""
        root, upper = self._root, self._root.parent
        folders = " ".join(str(upper / name) for name in ("upper", "work", "root"))
        lines = [
            f"mkdir -p {upper}",
            f"mount -t tmpfs tmpfs {upper}",
            f"mkdir {folders}",
            f"mount -t overlay overlay -o lowerdir=/,upperdir={upper}/upper,workdir={upper}/work {root}",
            *(f"mount --rbind {path} {root}{path}" for path in ("/proc", "/dev", "/sys")),
            f"printf '%s\\n' {shlex.quote('127.0.0.1 localhost ' + ' '.join(self._hosts))} > {root}/etc/hosts",
            *(f"chmod o+x {root}{path}" for path in _ancestors()),
            f"echo {self.service.name}:x:{self.service.user}::/:/bin/sh >> {root}/etc/passwd",
        ]
        for mount in self.service.mounts:
            source = self._source(mount.source)
            lines += _bind(source, self._inside(mount.target), read_only=mount.read_only)
        for folder in map(self._inside, self.service.tmpfs):
            lines += [f"mkdir -p {folder}", f"mount -t tmpfs -o mode=1777 tmpfs {folder}"]
        for path in _ENDS:
            if not _on_root(path) or self._covers(path):
                lines += _bind(path, Path(f"{root}{path}"), read_only=True)
        return [*lines, f"mkdir -p {root}{self.service.directory}", f"mount -o remount,ro {root}"]

    def _inside(self, path: Path) -> Path:
        """Where a path of the service lies for the host; a link such as /var/run must not lead out of the box."""
        return Path(f"{self._root}{path.resolve()}")

    def _covers(self, path: Path) -> bool:
        """Whether a tmpfs hides a path of the root: a project may lie in /tmp."""
        return any(path.is_relative_to(folder.resolve()) for folder in self.service.tmpfs)

    def _source(self, source: str) -> Path:
        """A path, or the folder of a volume, which belongs to the user of the image that it is first mounted in."""
        if source.startswith((".", "/")):
            return (ROOT / source).resolve()
        volume = self._place / "volumes" / source
        if not volume.exists():
            volume.mkdir(parents=True)
            os.chown(volume, *(int(part) for part in self.service.user.split(":")))
        return volume


def _bind(source: Path, target: Path, *, read_only: bool) -> list[str]:
    place = f"mkdir -p {target}" if source.is_dir() else f"mkdir -p {target.parent} && touch {target}"
    lines = [place, f"mount --bind {source} {target}"]
    return [*lines, f"mount -o remount,bind,ro {target}"] if read_only else lines


def _ancestors() -> list[Path]:
    """The folders on the way to the interpreter and the project, which another user may not be allowed to pass."""
    folders = {folder for end in _ENDS for folder in [end, *end.parents] if folder != Path("/")}
    return sorted(folder for folder in folders if _on_root(folder))


def _on_root(path: Path) -> bool:
    """Whether it lies on the root's own file system, which alone shows through."""
    return path.stat().st_dev == Path("/").stat().st_dev


def _postgresql() -> str:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return f"{found[-1].parent}:" if found else ""


def refusal() -> str:
    """Why this machine cannot run services in boxes; empty where it can."""
    if len(socket.if_nameindex()) != 1:
        return "the stack needs a network of its own: make test-stack"
    if not _postgresql():
        return "no PostgreSQL server under /usr/lib/postgresql (Debian: apt install postgresql)"
    trial = "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir upper work root && mount -t overlay overlay"
    trial += " -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", trial], capture_output=True, text=True, check=False)
    return f"no file systems may be mounted here: {done.stderr.strip()}" if done.returncode else ""
