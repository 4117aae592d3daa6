"""All served models by name: opened at the start, watched against the registry, reloaded on request."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from forecasting.config.settings import ServeSettings, Settings
from forecasting.errors import ArtifactError, ConfigError, RegistryError, StorageError, UnknownVersionError
from forecasting.registry.client import load
from forecasting.registry.registry import Registry
from forecasting.runtime.processes import cores
from forecasting.runtime.workspace import Workspace
from forecasting.serve.answering import Machinery
from forecasting.serve.metrics import Metrics
from forecasting.serve.offload import Offload
from forecasting.serve.slot import Loaded, Place, Slot

__all__ = ["Catalog", "configured"]

log = logging.getLogger("gatecast.serve")

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # it becomes the name of a folder
_WANTED: Final = re.compile(rf"{_NAME.pattern}(@[A-Za-z0-9_-]+)?")
_PATIENCE: Final = 20.0  # seconds that the start waits for the registry before it answers 503


def configured(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each name with the version or alias that is wanted of it, "" for the champion; raises ConfigError."""
    wrong = [text for text in names if not _WANTED.fullmatch(text)]
    if wrong:
        raise ConfigError(f"no model can be called {', '.join(map(repr, wrong))}; write NAME or NAME@VERSION")
    return [(name, wanted) for name, _, wanted in (text.partition("@") for text in names)]


class Catalog:
    """The slots of the configured names, or of every registered name that has a champion of ours.

    Without the registry it starts from the cache and goes on with what it has. The registry is asked in one thread of
    its own, through MLflow's small client in this process: another process for it would take as much memory again.
    """

    def __init__(self, settings: Settings, serve: ServeSettings, metrics: Metrics) -> None:
        self.registry = Registry(settings.tracking_uri, settings.home, settings.locks, settings.cache)
        self._serve = serve
        self._metrics = metrics
        self._engine = ThreadPoolExecutor(max_workers=max(2, cores()), thread_name_prefix="engine")
        self._watcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self._looked = asyncio.Event()
        self.offload = Offload(serve.queue)
        machinery = Machinery(serve, self._engine, self.offload, metrics.call)
        self._place = Place(self.registry, Workspace(settings.cache).served, machinery)
        self._slots: dict[str, Slot] = {}
        self._task: asyncio.Task[None] | None = None
        for name, wanted in configured(serve.names):
            self._add(name, wanted)

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self._slots.values()))

    @property
    def ready(self) -> bool:
        """Whether every configured name has a model that answers; where none is configured, any one."""
        enough = all if self._serve.names else any
        return enough([slot.current is not None for slot in self])

    def slot(self, name: str) -> Slot:
        """The slot of that name; raises KeyError."""
        return self._slots[name]

    async def start(self) -> None:
        """Open what answered last from the cache, else wait for the registry, but not forever; then watch it."""
        await self._in_thread(load)  # before anybody connects, and takes up the descriptors
        await self._in_thread(self._restore)
        self._task = asyncio.create_task(self._watch())
        if not self.ready:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), _PATIENCE)

    async def stop(self) -> None:
        """Stop watching and let every queue run empty."""
        if self._task is not None:
            self._task.cancel()
        queues = [asyncio.create_task(slot.current.answering.drained()) for slot in self if slot.current]
        if queues:
            await asyncio.wait(queues, timeout=self._serve.drain_seconds)
        self._watcher.shutdown(wait=False, cancel_futures=True)
        self._engine.shutdown(wait=False, cancel_futures=True)
        self.offload.close()

    async def look(self, name: str | None = None, *, again: bool = False) -> None:
        """Look at the registry once, for one name or all; what goes wrong is counted and logged, nothing stops."""
        await self._in_thread(lambda: self._look(name, again=again))

    async def _watch(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # a fault in one look must not end the looking
                log.exception("look failed")
            self._looked.set()
            await asyncio.sleep(self._serve.poll_seconds)

    async def _in_thread(self, work: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._watcher, work)  # type: ignore[arg-type]

    def _restore(self) -> None:
        self.registry.cache.sweep()
        if not self._serve.names:
            for note in sorted(self._place.notes.glob("*@champion.json")):
                self._add(note.name.removesuffix("@champion.json"), "")
        for slot in self:
            if slot.restore() and slot.current:
                self._announce(slot.current, "restored from the cache")

    def _look(self, name: str | None, *, again: bool) -> None:
        answered = [True if self._serve.names else self._alone("registry", self._discover)]
        answered += [
            self._alone(slot.name, functools.partial(self._refresh, slot, again=again))
            for slot in self
            if name in (None, slot.name)
        ]
        self._metrics.registry_up.set(all(answered))

    def _alone(self, what: str, step: Callable[[], None]) -> bool:
        """One step of a look, whose failure is its own: the others go on. False where the registry did not answer."""
        try:
            step()
        except RegistryError as error:
            self._metrics.registry_failures.inc()
            log.warning("registry failed", extra={"model": what, "reason": str(error)})
            return False
        except StorageError as error:
            self._metrics.looks_failed.labels(what).inc()
            log.error("look failed", extra={"model": what, "reason": str(error)})
        except Exception as error:
            self._metrics.looks_failed.labels(what).inc()
            log.exception("look failed", extra={"model": what, "error": type(error).__name__})
        return True

    def _discover(self) -> None:
        """A slot for every champion that was registered here; models of others have no manifest."""
        for job in self.registry.versions.jobs():
            if job not in self._slots and _NAME.fullmatch(job):
                self._alone(job, functools.partial(self._add_champion, job))

    def _add_champion(self, job: str) -> None:
        champion = self.registry.versions.champion(job)
        if champion is not None and champion.manifest:
            self._add(job, "")

    def _refresh(self, slot: Slot, *, again: bool) -> None:
        try:
            if slot.refresh(again=again) and slot.current:
                self._announce(slot.current, "goes live")
        except ArtifactError as error:
            self._metrics.refused.labels(slot.name).inc()
            log.error("model refused", extra={"model": slot.name, "reason": str(error)})
        except UnknownVersionError as error:
            log.warning("nothing to serve", extra={"model": slot.name, "reason": str(error)})

    def _announce(self, loaded: Loaded, how: str) -> None:
        self._metrics.version.labels(loaded.name).set(loaded.version)
        log.info("model %s", how, extra={"model": loaded.name, "version": loaded.version})

    def _add(self, name: str, wanted: str) -> None:
        slot = self._slots[name] = Slot(name, wanted, self._place)
        self._metrics.last_look.labels(name).set_function(lambda: slot.look_age)
