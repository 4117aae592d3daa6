"""Run a function in a process of its own, which gives all its memory back when it ends."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from forecasting.errors import GatecastError, TrainingError, no_space, not_installed
from forecasting.runtime.processes import end_with_parent
from forecasting.runtime.progress import Listener, Progress, heard_by, listener

__all__ = ["call"]


def call(function: str, *args: object, timeout: float | None = None, **named: object) -> Any:
    """Call `package.module:name` in a spawned process and return the result.

    An error that Gatecast raises there is raised here. Raises TrainingError if the process dies or outlasts `timeout`
    seconds. Nothing of the module is imported in this process. Who listens to progress here hears that of the child.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    hears = listener()
    process = context.Process(target=_answer, args=(there, function, args, named, hears is not None), daemon=True)
    with _no_script():
        process.start()
    there.close()
    try:
        result, error = _received(here, timeout, hears)
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


def _received(pipe: Connection, timeout: float | None, hears: Listener | None) -> tuple[Any, GatecastError | None]:
    """What the child answers; its progress is passed on until then."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while pipe.poll(None if deadline is None else max(0.0, deadline - time.monotonic())):
        message = pipe.recv()
        if not isinstance(message, Progress):
            result, error = message
            return result, error
        if hears is not None:
            hears(message)
    raise TrainingError(f"the training process was stopped after {timeout:g} s; raise train.timeout")


@contextmanager
def _no_script() -> Iterator[None]:
    """A spawned process runs the script of its parent again; without a name of it, it cannot, and need not."""
    main = sys.modules["__main__"]
    named = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    main.__spec__ = None
    main.__dict__.pop("__file__", None)
    try:
        yield
    finally:
        main.__dict__.update(named)


def _answer(pipe: Connection, function: str, args: tuple[object, ...], named: dict[str, object], heard: bool) -> None:
    module, name = function.split(":")
    end_with_parent()
    try:
        with _quiet():
            found = importlib.import_module(module)
        with heard_by(pipe.send if heard else None):
            result = getattr(found, name)(*args, **named)
        pipe.send((result, None))
    except GatecastError as error:
        pipe.send((None, error))
    except OSError as error:
        if full := no_space(error):
            pipe.send((None, full))
        else:
            raise
    except ImportError as error:
        if missing := not_installed(error):
            pipe.send((None, missing))
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
