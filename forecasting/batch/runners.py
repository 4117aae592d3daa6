"""Where shards run: here, in processes of this machine, or on a Dask cluster; the parts are the same."""

from __future__ import annotations

import functools
import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Final

from forecasting.batch.part_files import Part
from forecasting.batch.plan import Plan
from forecasting.batch.worker import forecast_shard
from forecasting.errors import ConfigError, DataError
from forecasting.runtime.processes import cores, end_with_parent

__all__ = ["RUNNERS", "Runner", "run_dask", "run_local", "runner"]

log = logging.getLogger("gatecast.batch")


Runner = Callable[[Plan], Iterator[Part]]


def runner(name: str, address: str | None = None) -> Runner:
    """The runner `name`: `local`, or `dask` on the cluster at `address`; raises ConfigError for any other name."""
    if name not in RUNNERS:
        raise ConfigError(f"unknown runner {name}; choose one of {', '.join(RUNNERS)}")
    return functools.partial(run_dask, address=address) if name == "dask" else RUNNERS[name]


def run_local(plan: Plan) -> Iterator[Part]:
    """Run one shard in this process, several in one process per core.

    Raises DataError if a process dies; finished parts are kept.
    """
    numbers = range(len(plan.shards))
    if len(numbers) == 1:
        yield forecast_shard(plan, 0)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(cores(), len(numbers))
    with ProcessPoolExecutor(workers, mp_context=context, initializer=end_with_parent) as pool:
        try:
            for done in as_completed([pool.submit(forecast_shard, plan, number) for number in numbers]):
                yield done.result()
        except BrokenProcessPool as error:
            raise DataError("a forecast process died, perhaps out of memory; run again to resume") from error
        finally:
            pool.shutdown(cancel_futures=True)


def run_dask(plan: Plan, address: str | None = None) -> Iterator[Part]:
    """Run shards as tasks of the cluster at `address`, or of one on this machine; its workers must see this home.

    The tasks of a worker that dies go to another one.
    """
    if address is not None and address.startswith("tcp://"):
        log.warning("%s is not encrypted, and whoever reaches it can run code on its workers: use tls://", address)
    with _client(address) as client:
        futures = client.map(functools.partial(forecast_shard, plan), range(len(plan.shards)), pure=False, retries=2)
        yield from client.gather(futures)


RUNNERS: Final[dict[str, Runner]] = {"local": run_local, "dask": run_dask}


@contextmanager
def _client(address: str | None) -> Iterator[Any]:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ConfigError("--runner dask needs the extra dask: pip install gatecast[dask]") from error
    here = {"n_workers": cores(), "threads_per_worker": 1, "dashboard_address": None}
    connect: Any = Client  # it has no types
    logging.getLogger("distributed").setLevel(logging.WARNING)  # it logs every connection
    with connect(address) if address else connect(**here) as client:
        yield client
