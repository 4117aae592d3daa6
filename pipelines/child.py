"""Run a function in a process of its own, which gives all its memory back when it ends."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import Any

from forecasting.errors import GatecastError, TrainingError

__all__ = ["call"]


def call(function: str, *args: object, timeout: float | None = None, **named: object) -> Any:
    """Call `package.module:name` in a spawned process and return what it returns.

    An error that Gatecast raises there is raised here. Raises TrainingError when the process dies or outlasts
    `timeout` seconds. Nothing of the module is imported in this process.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, function, args, named), daemon=True)
    process.start()
    there.close()
    try:
        answered = here.poll(timeout)
        result, error = here.recv() if answered else (None, TrainingError(f"stopped after {timeout:g} s"))
    except EOFError:
        process.join()
        raise TrainingError(f"the training process died {_how(process.exitcode)}; run again to go on") from None
    finally:
        if process.is_alive() and not here.closed:
            process.join(timeout=5)
        if process.is_alive():
            process.kill()
        process.join()
        here.close()
    if error is not None:
        raise error
    return result


def _answer(pipe: Connection, function: str, args: tuple[object, ...], named: dict[str, object]) -> None:
    module, name = function.split(":")
    try:
        pipe.send((getattr(importlib.import_module(module), name)(*args, **named), None))
    except GatecastError as error:
        pipe.send((None, error))


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"of signal {signal.Signals(-code).name}"
    return f"with exit code {code}"
