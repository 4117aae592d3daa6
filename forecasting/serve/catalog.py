"""All served models by name: opened at the start, watched against the registry, reloaded on request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from forecasting.errors import ArtifactError, GatecastError
from forecasting.registry import Registry
from forecasting.serve.metrics import Metrics
from forecasting.serve.slot import Loaded, Place, Slot
from forecasting.settings import ServeSettings, Settings

__all__ = ["Catalog", "UnknownModelError"]

log = logging.getLogger("gatecast.serve")


class UnknownModelError(GatecastError):
    """No model of that name is served."""


class Catalog:
    """The slots of the configured names, or of every registered name that has a champion.

    Without the registry it starts from the cache and goes on with what it has.
    """

    def __init__(self, settings: Settings, serve: ServeSettings, metrics: Metrics) -> None:
        self.registry = Registry(settings.tracking_uri, settings.artifacts, settings.locks)
        self._serve = serve
        self._metrics = metrics
        self._engine = ThreadPoolExecutor(max_workers=2, thread_name_prefix="engine")
        self._watcher = ThreadPoolExecutor(max_workers=1, thread_name_prefix="registry")
        self._place = Place(self.registry, settings.home / "cache", settings.home / "serve", self._engine, serve)
        self._slots: dict[str, Slot] = {}
        self._task: asyncio.Task[None] | None = None
        for text in serve.names:
            name, _, wanted = text.partition("@")
            self._add(name, wanted)

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self._slots.values()))

    @property
    def ready(self) -> bool:
        """Whether every served name has a model that answers, and there is at least one."""
        return bool(self._slots) and all(slot.current is not None for slot in self._slots.values())

    def slot(self, name: str | None) -> Slot:
        """The slot of that name; without a name the only one there is. Raises UnknownModelError."""
        if name is None and len(self._slots) == 1:
            return next(iter(self._slots.values()))
        if name is None:
            raise UnknownModelError(f"{len(self._slots)} models are served; say which one: {self._known()}")
        if name not in self._slots:
            raise UnknownModelError(f"no model of that name is served; served are: {self._known()}")
        return self._slots[name]

    async def start(self) -> None:
        """Open what answered last from the cache, else ask the registry; then keep watching it."""
        await self._in_thread(self._restore)
        if not self.ready:
            await self.look()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop watching and let every queue run empty."""
        if self._task is not None:
            self._task.cancel()
        queues = [slot.current.batcher.drained() for slot in self if slot.current]
        await asyncio.gather(*queues)
        self._watcher.shutdown(wait=False, cancel_futures=True)
        self._engine.shutdown(wait=False)

    async def look(self, name: str | None = None, *, again: bool = False) -> None:
        """Look at the registry once, for one name or all; what goes wrong is counted and logged, nothing stops."""
        await self._in_thread(lambda: self._look(name, again=again))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._serve.poll_seconds)
            await self.look()

    async def _in_thread(self, work: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._watcher, work)  # type: ignore[arg-type]

    def _restore(self) -> None:
        if not self._serve.names:
            for note in sorted(self._place.notes.glob("*@champion.json")):
                self._add(note.name.removesuffix("@champion.json"), "")
        for slot in self:
            if slot.restore() and slot.current:
                self._announce(slot.current, "restored from the cache")

    def _look(self, name: str | None, *, again: bool) -> None:
        try:
            if not self._serve.names:
                for job in self.registry.jobs():
                    if job not in self._slots and self.registry.champion(job):
                        self._add(job, "")
            self._metrics.registry_up.set(1)
        except GatecastError as error:
            self._failed("registry", str(error))
        for slot in self:
            if name in (None, slot.name):
                self._refresh(slot, again=again)

    def _refresh(self, slot: Slot, *, again: bool) -> None:
        try:
            if slot.refresh(again=again) and slot.current:
                self._announce(slot.current, "goes live")
            self._metrics.registry_up.set(1)
        except ArtifactError as error:
            self._metrics.refused.labels(slot.name).inc()
            log.error("model refused", extra={"model": slot.name, "reason": str(error)})
        except GatecastError as error:
            self._failed(slot.name, str(error))

    def _failed(self, what: str, reason: str) -> None:
        self._metrics.registry_up.set(0)
        self._metrics.registry_failures.inc()
        log.warning("registry failed", extra={"model": what, "reason": reason})

    def _announce(self, loaded: Loaded, how: str) -> None:
        self._metrics.version.labels(loaded.name).set(loaded.version)
        log.info("model %s", how, extra={"model": loaded.name, "version": loaded.version})

    def _add(self, name: str, wanted: str) -> None:
        self._slots[name] = Slot(name, wanted, self._place, self._metrics.call)

    def _known(self) -> str:
        return ", ".join(self._slots) or "none"
