"""Which models are served, which versions there are, and how another one takes over."""

import asyncio
import errno
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forecasting.bundle.forecaster import open_forecaster
from forecasting.errors import PermissionDeniedError
from forecasting.registry.registry import Registry


def registry_of(home: Path) -> Registry:
    """The registry of a home."""
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home)


@pytest.fixture
def admin(copied: Path, service: Any, make_keys: Any) -> Any:
    """The service of a home that may be changed, and the headers of its administrator."""
    keys, secrets = make_keys("read", "forecast", "admin")
    with service(copied, keys=keys) as client:
        client.headers = {scope: {"Authorization": f"Bearer {secret}"} for scope, secret in secrets.items()}
        yield client


def test_served_models_tell_what_they_read_and_give(client: Any) -> None:
    """Everything that a client needs to ask them, and since when they answer."""
    buoy, farm = client.get("/v1/models").json()["models"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", buoy.pop("since"))
    assert buoy == {
        "name": "buoy",
        "version": 1,
        "kind": "drift",
        "baseline": True,
        "coverage": {},
        "wanted": "champion",
        "refusal": None,
        "symbols": None,
        "horizon": 4,
        "context": 8,
        "freq": "h",
        "quantiles": [0.1, 0.5, 0.9],
        "covariates": {"past": [], "future": [], "static": []},
    }
    assert farm["covariates"] == {"past": ["p", "label"], "future": ["f"], "static": ["area", "kind"]}


def test_versions_are_those_of_the_registry(client: Any) -> None:
    """Newest first, with aliases, verdict and metrics."""
    new, old = client.get("/v1/models/buoy/versions").json()["versions"]
    assert (new["version"], new["aliases"], old["version"], old["aliases"]) == (2, ["challenger"], 1, ["champion"])
    assert (old["model"], old["verdict"], old["metrics"]) == ("drift", "passed", {"wql": 0.25, "mae": 1.0})
    assert pd.Timestamp(old["created"]) <= pd.Timestamp(new["created"])


def test_promotion_and_rollback_are_served_at_once(
    admin: Any, copied: Path, columns: Any, history: Callable[..., pd.DataFrame]
) -> None:
    """The alias moves, the next answer is the other version's, and back."""
    table = history("a")
    asked = {"name": "buoy", "columns": columns(table)}

    def answer() -> tuple[int, list[float]]:
        told = admin.post("/v1/forecast", asked, headers=admin.headers["forecast"]).json()
        return int(told["model"]["version"]), list(told["columns"]["q0.5"])

    first = answer()
    promoted = admin.post("/v1/models/buoy/promote", {"version": 2}, headers=admin.headers["admin"])
    second = answer()
    expected = open_forecaster(copied / "cache" / "buoy" / "2").forecast(table)["q0.5"]
    aliases = {
        version["version"]: version["aliases"]
        for version in admin.get("/v1/models/buoy/versions", headers=admin.headers["read"]).json()["versions"]
    }
    back = admin.post("/v1/models/buoy/rollback", headers=admin.headers["admin"])
    assert (promoted.status_code, promoted.json()["version"], promoted.json()["refusal"]) == (200, 2, None)
    assert second[0] == 2
    assert second[1] == pytest.approx(expected.tolist(), rel=1e-6)
    assert aliases == {2: ["champion"], 1: ["previous"]}
    assert (back.status_code, back.json()["version"]) == (200, 1)
    assert answer() == first != second


def test_a_refused_version_needs_force_and_a_reason_and_the_audit_keeps_both(
    admin: Any, copied: Path, write_bundle: Any
) -> None:
    """The audit names the key, and only administrators read it; the figures of its backtest stand beside answers."""
    registry = registry_of(copied)
    run = registry.runs.start("buoy", "key3", {})
    measured = {"wql": 0.25, "coverage": 0.56, "coverage@80": 0.56}
    bundle = write_bundle(copied / "third", seed=3)
    version = registry.versions.register("buoy", run.run_id, bundle, verdict="refused", metrics=measured)
    refused = admin.post("/v1/models/buoy/promote", {"version": version}, headers=admin.headers["admin"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "refused_version")
    order = {"version": version, "force": True, "why": "the sensor was new"}
    told = admin.post("/v1/models/buoy/promote", order, headers=admin.headers["admin"]).json()
    assert (told["version"], told["coverage"]) == (version, {"80": 0.56})
    assert admin.get("/v1/models/buoy/promotions", headers=admin.headers["forecast"]).status_code == 403
    newest, *_ = admin.get("/v1/models/buoy/promotions", headers=admin.headers["admin"]).json()["promotions"]
    assert {key: newest[key] for key in ("what", "version", "before", "by", "why")} == {
        "what": "promote, forced",
        "version": version,
        "before": 1,
        "by": "key admin-key",
        "why": "the sensor was new",
    }


def test_reload_follows_the_registry(admin: Any, copied: Path) -> None:
    """An alias that others moved is followed before the next look at the registry."""
    registry_of(copied).aliases.promote("buoy", 2)
    assert admin.get("/readyz").json()["models"]["buoy"] == 1
    assert admin.post("/v1/models/buoy/reload", headers=admin.headers["admin"]).json()["version"] == 2


def test_version_that_cannot_be_used_is_refused_and_told(
    admin: Any, copied: Path, stocked: Path, register: Any, write_bundle: Any, columns: Any, history: Any
) -> None:
    """The alias has moved, the old version goes on answering, and everybody can see why."""
    version = register(copied, "buoy", write_bundle(copied / "third", seed=3), "key3")
    run_id = registry_of(copied).versions.get("buoy", version).run_id
    (weights,) = (stocked / "artifacts" / "buoy" / run_id).rglob("model.onnx")  # a copied registry names its old place
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")

    told = admin.post("/v1/models/buoy/promote", {"version": version}, headers=admin.headers["admin"]).json()

    assert told["version"] == 1
    assert f"version {version}" in told["refusal"]
    assert str(copied) not in told["refusal"]
    asked = {"name": "buoy", "columns": columns(history("a"))}
    answer = admin.post("/v1/forecast", asked, headers=admin.headers["forecast"])
    assert answer.json()["model"]["version"] == 1
    assert admin.get("/v1/models", headers=admin.headers["read"]).json()["models"][0]["refusal"] == told["refusal"]


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        ("/v1/models/other/promote", {"version": 1}, 404, "unknown_model"),
        ("/v1/models/..%2Fbuoy/promote", {"version": 1}, 404, "not_found"),
        ("/v1/models/buoy/promote", {"version": 9}, 404, "unknown_version"),
        ("/v1/models/buoy/promote", {"version": "2"}, 422, "invalid_request"),
        ("/v1/models/buoy/promote", {"version": 10**30}, 422, "invalid_request"),
        ("/v1/models/buoy/promote", {}, 422, "invalid_request"),
        ("/v1/models/buoy/promote", {"version": 1, "now": True}, 422, "invalid_request"),
        ("/v1/models/buoy/rollback", {}, 404, "unknown_version"),
        ("/v1/models/other/reload", {}, 404, "unknown_model"),
    ],
)
def test_wrong_orders_are_refused(admin: Any, path: str, content: Any, status: int, code: str) -> None:
    """Nothing changes, and the code says why."""
    response = admin.post(path, content, headers=admin.headers["admin"])
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_orders_that_must_wait_for_others_change_nothing(copied: Path, service: Any, make_keys: Any) -> None:
    """While somebody judges or promotes: 503 in time, and the alias does not move afterwards either."""
    keys, secrets = make_keys("admin")
    headers = {"authorization": f"Bearer {secrets['admin']}"}
    with service(copied, keys=keys, timeout_seconds=2) as client:
        with registry_of(copied).aliases.lock("buoy"):
            told = [
                client.post("/v1/models/buoy/promote", {"version": 2}, headers=headers),
                client.post("/v1/models/buoy/rollback", headers=headers),
            ]
        assert [(answer.status_code, answer.json()["error"]["code"]) for answer in told] == [(503, "locked")] * 2
        assert not client.app.state.gatecast.orders
        assert registry_of(copied).versions.get("buoy", "champion").version == 1


def test_an_order_that_takes_longer_goes_on_and_says_so(copied: Path, service: Any, make_keys: Any) -> None:
    """202 with what still answers; the new version answers when it is open."""
    keys, secrets = make_keys("admin")
    headers = {"authorization": f"Bearer {secrets['admin']}"}
    with service(copied, keys=keys, timeout_seconds=5) as client:
        state, gate = client.app.state.gatecast, threading.Event()
        state.catalog._watcher.submit(gate.wait)  # as a download that takes its time
        told = client.post("/v1/models/buoy/promote", {"version": 2}, headers=headers)
        gate.set()
        client.runner.run(asyncio.wait_for(asyncio.gather(*state.orders), 60))
        served = client.get("/v1/models", headers=headers).json()["models"][0]
    assert (told.status_code, told.json()["version"]) == (202, 1)
    assert served["version"] == 2


@pytest.mark.parametrize("order", ["promote", "rollback", "reload"])
def test_only_administrators_change_models(admin: Any, client: Any, order: str) -> None:
    """Another key is not enough, none neither; without any configured key nobody is administrator."""
    path, content = f"/v1/models/buoy/{order}", {"version": 2}
    assert admin.post(path, content, headers=admin.headers["forecast"]).status_code == 403
    assert admin.post(path, content).status_code == 401
    assert admin.get("/v1/models").status_code == 401
    assert client.post(path, content).status_code == 403


def test_an_account_that_may_only_read_is_told(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """403, and the commands that do it elsewhere: waiting would not help, as it would where the registry is down."""

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionDeniedError("MLflow does not allow that to this account")

    for order in ("promote", "rollback"):
        monkeypatch.setattr(f"forecasting.registry.aliases.Aliases.{order}", denied)
        told = admin.post(f"/v1/models/buoy/{order}", {"version": 2}, headers=admin.headers["admin"])
        assert (told.status_code, told.json()["error"]["code"]) == (403, "read_only_registry")
        assert "gatecast promote" in told.text


def test_locks_that_cannot_be_written_are_no_fault_of_the_service(
    admin: Any, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that cannot take its lock in a read-only home is refused like one that the account may not give."""

    def sealed(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(copied / "locks"))

    monkeypatch.setattr("forecasting.registry.aliases.promotion_lock", sealed)
    told = admin.post("/v1/models/buoy/promote", {"version": 2}, headers=admin.headers["admin"])
    assert (told.status_code, told.json()["error"]["code"]) == (403, "read_only_registry")
    assert str(copied) not in told.text


def test_registry_that_is_down_is_told(admin: Any, copied: Path) -> None:
    """503 for what needs it; forecasts and the list of models do without."""
    (copied / "mlflow.db").write_bytes(b"this is no database" * 100)
    headers = admin.headers["admin"]
    answers = [
        admin.get("/v1/models/buoy/versions", headers=headers),
        admin.post("/v1/models/buoy/promote", {"version": 2}, headers=headers),
        admin.post("/v1/models/buoy/rollback", headers=headers),
        admin.post("/v1/models/buoy/reload", headers=headers),
    ]
    assert [(answer.status_code, answer.json()["error"]["code"]) for answer in answers] == [(503, "registry_down")] * 4
    assert str(copied) not in "".join(answer.text for answer in answers)
    assert admin.get("/v1/models", headers=headers).json()["models"][0]["version"] == 1
