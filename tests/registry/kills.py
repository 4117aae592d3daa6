"""MLflow's client as it is when its process dies, or when an answer is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from forecasting.registry.client import connect
from forecasting.registry.registry import Registry


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, registry: Registry, write_number: int) -> None:
    """Let the client die in the place of its n-th write of an alias or of a tag of the registered model."""
    left = [write_number]
    with connect(registry.versions.tracking_uri) as client:
        for name in (
            "set_registered_model_alias",
            "delete_registered_model_alias",
            "set_registered_model_tag",
            "delete_registered_model_tag",
            "create_model_version",
            "create_registered_model",
        ):
            original: Callable[..., Any] = getattr(client, name)

            def dying(*args: Any, _original: Callable[..., Any] = original, **kwargs: Any) -> Any:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return _original(*args, **kwargs)

            monkeypatch.setattr(client, name, dying)


def ask_twice(monkeypatch: pytest.MonkeyPatch, registry: Registry, name: str) -> None:
    """Let the client do again what it has done, as it does where MLflow's answer was lost."""
    with connect(registry.versions.tracking_uri) as client:
        original: Callable[..., Any] = getattr(client, name)

        def again(*args: Any, **kwargs: Any) -> Any:
            original(*args, **kwargs)
            return original(*args, **kwargs)

        monkeypatch.setattr(client, name, again)
