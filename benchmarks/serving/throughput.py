"""Latency and throughput over HTTP, here and with MLflow's own scoring server."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from benchmarks.harness.served_model import NAME, request
from benchmarks.harness.servers import Server, gatecast, mlflow_models
from benchmarks.serving.load import load
from benchmarks.serving.plan import CLIENTS, Figures, Plan, answered, failed

__all__ = ["http", "mlflow"]


def http(plan: Plan) -> Figures:
    """One client; then 150 requests a second for two minutes."""
    with gatecast(plan.home) as server:
        load(server, plan.body, seconds=plan.seconds(2))
        runs = [load(server, plan.body, seconds=plan.seconds(10)) for _ in range(plan.repeats)]
        sustained = load(server, plan.body, seconds=plan.seconds(120), rate=150, clients=CLIENTS)
    return {
        "http_p50_ms": statistics.median(run["p50_ms"] for run in runs),
        "http_p99_ms": statistics.median(run["p99_ms"] for run in runs),
        "sustained_requests": sustained["requests"],
        "sustained_errors": failed(sustained),
        "sustained_p50_ms": sustained["p50_ms"],
        "sustained_p99_ms": sustained["p99_ms"],
    }


def mlflow(plan: Plan) -> Figures:
    """MLflow's own scoring server on the same model, the same requests and clients."""
    body = plan.body.with_name("invocations.json")
    body.write_text(json.dumps({"inputs": request()["columns"]}), encoding="utf-8")
    model = next(plan.home.glob(f"artifacts/{NAME}/*/artifacts/model-*"))
    found = {}
    for name, serving in (("ours", gatecast(plan.home)), ("mlflow", mlflow_models(model, plan.home))):
        with serving as server:
            for clients in (1, CLIENTS):
                options: dict[str, Any] = {"path": "/invocations", "clients": clients}
                load(server, body, seconds=plan.seconds(2), **options)
                found[f"{name}_{clients}"] = plan.median(lambda: _throughput(server, plan, body, **options))  # noqa: B023
    return {
        "mlflow_requests_per_second": found[f"mlflow_{CLIENTS}"],
        "invocations_per_second": found[f"ours_{CLIENTS}"],
        "vs_mlflow_serving": round(found[f"ours_{CLIENTS}"] / found[f"mlflow_{CLIENTS}"], 2),
        "vs_mlflow_serving_one_client": round(found["ours_1"] / found["mlflow_1"], 2),
    }


def _throughput(server: Server, plan: Plan, body: Path | None = None, **options: Any) -> float:
    return float(answered(load(server, body or plan.body, seconds=plan.seconds(10), **options))["per_second"])
