"""What the tables say of a model, as metrics: the figures of the monitor, and how old everything is."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from forecasting.serve.job_metrics import JobMetrics
from forecasting.storage.store import Store

ROOT = Path(__file__).parents[2]


def scores(cutoff: str, absolute: float, inside: float) -> pd.DataFrame:
    """Ten forecasts of one cutoff."""
    sums = {"absolute": absolute, "inside": inside, "intervals": 10.0, "count": 10.0}
    return pd.DataFrame([{"cutoff": pd.Timestamp(cutoff).as_unit("us"), "version": 1, "step": 1, **sums}])


def verdict(name: str, created: str) -> pd.DataFrame:
    """A verdict with one rule that is broken."""
    rules = json.dumps([{"rule": "drift", "passed": False}, {"rule": "coverage", "passed": True}])
    stamps = {"until": pd.Timestamp(created).as_unit("us"), "created": pd.Timestamp(created).as_unit("us")}
    return pd.DataFrame([{"version": 1, "verdict": name, "rules": rules, **stamps}])


def shown(home: Path, name: str = "buoy") -> dict[str, float]:
    """The metrics after one look."""
    registry = CollectorRegistry()
    JobMetrics(Store(home), registry).look(name)
    lines = [line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    return {key.replace('model="buoy"', "").replace("{,", "{").replace("{}", ""): float(value) for key, value in lines}


def test_accuracy_and_verdict_are_those_of_the_monitor(tmp_path: Path) -> None:
    """Ratios of sums over the last seven days of cutoffs, and the verdict that was made last."""
    store = Store(tmp_path)
    for each in (scores("2026-01-01", 900.0, 0.0), scores("2026-01-20", 10.0, 9.0), scores("2026-01-25", 30.0, 6.0)):
        store.scores.keep("buoy", each)
    store.verdicts.keep("buoy", verdict("fine", "2026-01-20"))
    store.verdicts.keep("buoy", verdict("retrain", "2026-01-25"))
    found = shown(tmp_path)
    assert found["gatecast_live_mae"] == 2.0
    assert found["gatecast_live_coverage"] == 0.75
    assert found["gatecast_live_forecasts"] == 20
    assert found['gatecast_monitor_verdict{verdict="retrain"}'] == 1
    assert found['gatecast_monitor_verdict{verdict="fine"}'] == 0
    assert found['gatecast_monitor_rule_kept{rule="drift"}'] == 0
    assert found['gatecast_monitor_rule_kept{rule="coverage"}'] == 1
    assert found["gatecast_tables_up"] == 1


def test_ages_count_from_stamps_and_from_writes(copied: Path) -> None:
    """The home of the other tests: readings and forecasts of long ago, stored just now."""
    found, now = shown(copied), pd.Timestamp(time.time(), unit="s")
    last = Store(copied).observations.read("buoy")["ds"].max()
    assert found["gatecast_data_age_seconds"] == pytest.approx((now - last).total_seconds(), abs=120)
    cutoff = Store(copied).forecasts.last_cutoff("buoy")
    assert found["gatecast_forecast_age_seconds"] == pytest.approx((now - cutoff).total_seconds(), abs=120)
    assert 0 <= found["gatecast_ingestion_age_seconds"] < 3600
    assert "gatecast_monitor_age_seconds" not in found


def test_tables_that_cannot_be_read_are_said(copied: Path) -> None:
    """A model without tables has none of the figures, and one whose log is broken is down."""
    assert shown(copied, "nobody")['gatecast_tables_up{model="nobody"}'] == 1
    log = copied / "tables" / "buoy" / "observations" / "_delta_log"
    for commit in log.glob("*.json"):
        commit.write_text("{", encoding="utf-8")
    assert shown(copied)["gatecast_tables_up"] == 0


def test_events_and_messages_are_counted(tmp_path: Path) -> None:
    """Events by their kind, how long ago the last one was found, and messages by what became of them."""
    store, now = Store(tmp_path), pd.Timestamp.now("UTC").tz_localize(None).as_unit("us")
    event = {"unique_id": "a", "end": now, "chance": 1e-5, "told": True, "created": now - pd.Timedelta(hours=1)}
    for day, kind in enumerate(["spike", "spike", "flat"]):
        row = {**event, "start": now - pd.Timedelta(days=day), "kind": kind}
        store.anomalies.keep("buoy", pd.DataFrame([row]))
    message = {"message": "m", "sink": "slack", "event": "failed", "title": "", "content": "", "tries": 9, "why": "no"}
    store.notices.keep("buoy", pd.DataFrame([{**message, "state": "failed", "created": now}]))
    found = shown(tmp_path)
    assert found['gatecast_anomalies{kind="spike",}'] == 2
    assert found['gatecast_anomalies{kind="flat",}'] == 1
    assert found['gatecast_anomalies{kind="level",}'] == 0
    assert found["gatecast_anomaly_age_seconds"] == pytest.approx(3600, abs=300)
    assert found['gatecast_messages{sink="slack",state="failed"}'] == 1


def alarms() -> list[str]:
    """What the alarms of Prometheus ask for."""
    rules = yaml.safe_load((ROOT / "docker" / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    return [rule["expr"] for rule in rules]


def panels() -> list[str]:
    """What the dashboard of Grafana asks for, its choice of models included."""
    board = json.loads((ROOT / "docker" / "grafana.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return found + [one["definition"] for one in board["templating"]["list"] if "definition" in one]


@pytest.mark.parametrize("asked", [alarms, panels])
def test_the_service_exports_all_that_is_asked_for(client: Any, asked: Callable[[], list[str]]) -> None:
    """Every metric of an alarm or a panel is there by name, process metrics among it."""
    for _ in range(100):
        text = client.get("/metrics").text
        if 'gatecast_tables_up{model="farm"}' in text:
            break
        client.runner.run(_pause())
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    names |= {f"{name}_bucket" for name in names} | {"up"}
    words = {word for expression in asked() for word in _words(expression)}
    assert {word for word in words if word.startswith(("gatecast_", "process_"))} <= names
    assert any(word.startswith("process_") for word in words)


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    """Each has a title, a description, and a place of its own on the 24 columns."""
    board = json.loads((ROOT / "docker" / "grafana.json").read_text(encoding="utf-8"))
    taken: list[tuple[int, int]] = []
    for panel in board["panels"]:
        place = panel["gridPos"]
        taken += [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]
        assert panel["title"]
        assert panel["type"] == "row" or panel["description"]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


async def _pause() -> None:
    import asyncio

    await asyncio.sleep(0.05)


def _words(expression: str) -> list[str]:
    return "".join(letter if letter.isalnum() or letter == "_" else " " for letter in expression).split()


def test_promotions_say_who_and_from_where(
    service: Any, copied: Path, make_keys: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """One line of the audit log for each move: key, address, model, the version before and after."""
    setting, secrets = make_keys("admin")
    caplog.set_level(logging.INFO, logger="gatecast.audit")
    with service(copied, keys=setting, timeout_seconds=120) as client:
        key = {"X-API-Key": secrets["admin"]}
        assert client.post("/v1/models/buoy/promote", {"version": 2}, headers=key).status_code == 200
        assert client.post("/v1/models/buoy/rollback", headers=key).status_code == 200
    told = [vars(record) for record in caplog.records if record.name == "gatecast.audit"]
    assert [(line["message"], line["before"], line["version"]) for line in told] == [
        ("promotion", 1, 2),
        ("rollback", 2, 1),
    ]
    assert {(line["key"], line["address"], line["model"]) for line in told} == {("admin-key", "127.0.0.1", "buoy")}
    assert np.all([len(line["request_id"]) == 32 for line in told])
