"""Run a function in a process of its own, which gives all its memory back when it ends."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from forecasting.errors import GatecastError, TrainingError, no_space
from forecasting.runtime.processes import end_with_parent

__all__ = ["call"]


def call(function: str, *args: object, timeout: float | None = None, **named: object) -> Any:
    """Call `package.module:name` in a spawned process and return the result.

    An error that Gatecast raises there is raised here. Raises TrainingError if the process dies or outlasts `timeout`
    seconds. Nothing of the module is imported in this process.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(there, function, args, named), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(timeout):
            raise TrainingError(f"the training process was stopped after {timeout:g} s; raise train.timeout")
        result, error = here.recv()
        process.join(timeout=5)  # it has answered and ends by itself
    except EOFError:
        process.join()
        raise TrainingError(f"the training process died {_how(process.exitcode)}; run again to resume") from None
    finally:
        process.kill()
        process.join()
        here.close()
    if error is not None:
        raise error
    return result


def _answer(pipe: Connection, function: str, args: tuple[object, ...], named: dict[str, object]) -> None:
    module, name = function.split(":")
    end_with_parent()
    try:
        with _quiet():
            found = importlib.import_module(module)
        pipe.send((getattr(found, name)(*args, **named), None))
    except GatecastError as error:
        pipe.send((None, error))
    except OSError as error:
        if full := no_space(error):
            pipe.send((None, full))
        else:
            raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence standard error: TensorFlow's libraries write greetings below anything that Python can set."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    terminal = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"of signal {signal.Signals(-code).name}"
    return f"with exit code {code}"
