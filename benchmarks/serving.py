"""What the service does under load, in trouble and at rest; LSTM 2x64, context 96, horizon 24, one series a request.

    python -m benchmarks.serving --json serving.json                 everything, about 20 minutes
    python -m benchmarks.serving http batching --scale 0.1           parts, for a tenth of the time

Load comes from a second process over loopback, figures are medians of `--repeats`. The machine should do nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from benchmarks import _connections as connections
from benchmarks._batching import alone
from benchmarks._homes import NAME, make, request, settings_of
from benchmarks._online import online
from benchmarks._service import Server, gatecast, load, mlflow_models, mlflow_server, start_load
from forecasting.registry.registry import Registry

CLIENTS: Final = 64
ROOT: Final = Path(__file__).parents[1]

Figures = dict[str, Any]
Found = TypeVar("Found")


class Plan(NamedTuple):
    """Where and how long."""

    home: Path
    body: Path
    scale: float
    repeats: int

    def seconds(self, whole: float) -> float:
        """That long, or the part of it that was asked for."""
        return max(1.0, whole * self.scale)

    def median(self, measure: Callable[[], float]) -> float:
        """The median of all repeats."""
        return round(statistics.median(measure() for _ in range(self.repeats)), 3)

    @property
    def registry(self) -> Registry:
        """The registry of the home."""
        return Registry(settings_of(self.home).tracking_uri, self.home)


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
        "sustained_errors": _failed(sustained),
        "sustained_p50_ms": sustained["p50_ms"],
        "sustained_p99_ms": sustained["p99_ms"],
    }


def batching(plan: Plan) -> Figures:
    """64 clients at once, with shared calls, and with a call for each on all cores; the model alone, too."""
    found = alone(plan.home, plan.repeats, plan.scale)
    with gatecast(plan.home) as shared, gatecast(plan.home, batch_windows="1") as single:
        for server in (shared, single):
            load(server, plan.body, seconds=plan.seconds(2), clients=CLIENTS)
        runs = [_cost(server, plan) for _ in range(plan.repeats) for server in (shared, single)]  # taking turns
    (rate, cpu), (single_rate, single_cpu) = (np.median(runs[which::2], axis=0).round(3).tolist() for which in (0, 1))
    return {
        **found,
        "requests_per_second": rate,
        "unbatched_per_second": single_rate,
        "batching_speedup": round(rate / single_rate, 2),
        "cpu_ms_per_request": cpu,
        "unbatched_cpu_ms_per_request": single_cpu,
    }


def _cost(server: Server, plan: Plan) -> tuple[float, float]:
    """Requests a second of 64 clients, and the milliseconds of all cores that the service takes for one."""
    before = server.cpu_seconds
    run = _answered(load(server, plan.body, seconds=plan.seconds(10), clients=CLIENTS))
    return run["per_second"], 1000 * (server.cpu_seconds - before) / run["requests"]


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
    return float(_answered(load(server, body or plan.body, seconds=plan.seconds(10), **options))["per_second"])


def _answered(run: dict[str, Any]) -> dict[str, Any]:
    if _failed(run):
        raise RuntimeError(f"not all were answered: {run['statuses']}")
    return run


def _failed(run: dict[str, Any]) -> int:
    return int(run["requests"] - run["statuses"].get("200", 0))


def cold(plan: Plan) -> Figures:
    """From the start of the process to ready, memory, and size, in an environment that holds only the service."""
    python, sizes = _environment(plan.home.parent / "environment")

    def start() -> float:
        with gatecast(plan.home, python=python) as server:
            return server.wait("/readyz")

    def first() -> float:
        for folder in ("cache", "serve"):
            subprocess.run(["rm", "-rf", str(plan.home / folder)], check=True)
        return start()

    found = {"cold_start_s": plan.median(first), "cold_start_from_cache_s": plan.median(start)}
    with gatecast(plan.home, python=python) as server:
        load(server, plan.body, seconds=plan.seconds(10), clients=CLIENTS)
        time.sleep(6)  # until the registry has been asked
        return {**found, **sizes, "resident_mb": round(server.resident_mb)}


def _environment(place: Path) -> tuple[str, Figures]:
    """The interpreter of a new environment made from requirements/serve.txt as the image has it, and its sizes."""
    uv, python = str(Path(sys.executable).with_name("uv")), str(place / "bin" / "python")
    install = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)], check=True)
    subprocess.run([*install, "--require-hashes", "-r", str(ROOT / "requirements/serve.txt")], check=True)
    subprocess.run([*install, "--no-deps", str(ROOT)], check=True)
    found = {"installed_mb": _megabytes(place)}
    subprocess.run([python, "-m", "compileall", "-q", str(place / "lib")], check=False)
    found["installed_with_bytecode_mb"] = _megabytes(place)
    subprocess.run(["sh", str(ROOT / "requirements/slim.sh"), str(place)], check=True)
    return python, {**found, "environment_mb": _megabytes(place), "environment_on_disk_mb": _megabytes(place, "--")}


def _megabytes(place: Path, measure: str = "--apparent-size") -> int:
    """The bytes of its files, as the layer of an image has them; or the blocks that they take of this disk."""
    command = ["du", "-s", "--block-size=1000000", measure, str(place)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0])


def flips(plan: Plan) -> Figures:
    """The champion moves 50 times at 100 requests a second; then the time that a rollback takes to be live."""
    moves, seconds = 50, plan.seconds(100)
    with gatecast(plan.home, poll_seconds="0.5") as server:
        running = start_load(server, plan.body, seconds=seconds, rate=100, clients=16, answers="")
        for move in range(moves):
            time.sleep(seconds / (moves + 2))
            plan.registry.aliases.promote(NAME, 2 - move % 2)
        run = json.loads(running.communicate()[0])
    with gatecast(plan.home) as server:
        version = server.json("/readyz")["models"][NAME]
        begin = time.perf_counter()
        plan.registry.aliases.rollback(NAME)
        while server.json("/readyz")["models"][NAME] == version:
            time.sleep(0.05)
        rollback = time.perf_counter() - begin
    answers = {checksum for _, status, checksum in run["answers"] if status == 200}
    return {
        "flips": moves,
        "flips_requests": run["requests"],
        "flips_failed": _failed(run),
        "flips_different_answers": len(answers),  # one of each version, to the last bit
        "flips_p99_ms": run["p99_ms"],
        "rollback_s": round(rollback, 2),
    }


def outage(plan: Plan) -> Figures:
    """MLflow's server is stopped for two minutes, and comes back."""
    with mlflow_server(plan.home) as mlflow, gatecast(plan.home, GATECAST_TRACKING_URI=mlflow.url) as server:
        _settle(server, plan)
        before = load(server, plan.body, seconds=plan.seconds(10), rate=100, clients=16)
        mlflow.end(signal.SIGKILL)
        during = load(server, plan.body, seconds=plan.seconds(120), rate=100, clients=16)
        noticed = "gatecast_registry_up 0.0" in server.text("/metrics")
    return {
        "outage_requests": during["requests"],
        "outage_failed": _failed(during),
        "outage_noticed": noticed,
        "outage_p99_ms": during["p99_ms"],
        "outage_p99_before_ms": before["p99_ms"],
    }


def overload(plan: Plan) -> Figures:
    """Ten times as many clients as it serves well, for 30 seconds; then how soon latency is normal again."""
    with gatecast(plan.home) as server:
        _settle(server, plan)
        normal = load(server, plan.body, seconds=plan.seconds(5))
        load(server, plan.body, seconds=plan.seconds(5), clients=10 * CLIENTS)  # each connection takes its memory once
        memory = server.resident_mb
        run = load(server, plan.body, seconds=plan.seconds(30), clients=10 * CLIENTS)
        begin, recovery = time.perf_counter(), float("inf")
        while time.perf_counter() - begin < 20:
            if load(server, plan.body, seconds=0.5)["p50_ms"] <= 2 * normal["p50_ms"]:
                recovery = time.perf_counter() - begin
                break
        return {
            "overload_per_second": run["per_second"],
            "overload_statuses": run["statuses"],
            "overload_recovery_s": round(recovery, 1),
            "overload_memory_mb": round(server.resident_mb - memory, 1),
        }


def _settle(server: Server, plan: Plan) -> None:
    """Until all is warm and the registry was asked once, for which MLflow's client is imported."""
    load(server, plan.body, seconds=plan.seconds(5), clients=CLIENTS)
    time.sleep(5)


def sigterm(plan: Plan) -> Figures:
    """The signal comes while 64 requests wait to be answered."""
    with gatecast(plan.home, batch_wait_ms="1000") as server:
        threading.Timer(0.6, lambda: server.process.send_signal(signal.SIGTERM)).start()
        statuses = asyncio.run(connections.at_once(server.port, plan.body.read_bytes(), CLIENTS))
        begin = time.perf_counter()
        code = server.process.wait(60)
    return {
        "sigterm_requests": CLIENTS,
        "sigterm_answered": statuses.count(200),
        "sigterm_exit": code,
        "sigterm_s": round(time.perf_counter() - begin, 1),
    }


def slow(plan: Plan) -> Figures:
    """Others are served beside 200 slow and half-open clients, and beside 1,000 that hang up or that stay."""
    body = plan.body.read_bytes()
    with gatecast(plan.home, body_seconds="5") as server:
        _settle(server, plan)
        before, memory, files = load(server, plan.body, seconds=20, rate=50), server.resident_mb, server.descriptors
        held, slowly = _beside(server, plan, connections.slow(server.port, body, 200))
        _, gone = _beside(server, plan, connections.bursts(server.port, body, 1000, gone=True))
        _, answered = _beside(server, plan, connections.bursts(server.port, body, 1000, gone=False))
        time.sleep(1)
        return {
            "slow_clients": 200,
            "slow_closed": held,
            "slow_failed_others": sum(_failed(run) for run in (slowly, gone, answered)),
            "slow_p99_before_ms": before["p99_ms"],
            "slow_p99_ms": slowly["p99_ms"],
            "gone_p99_ms": gone["p99_ms"],
            "gone_p99_if_answered_ms": answered["p99_ms"],  # what as many clients cost that stay
            "slow_descriptors": server.descriptors - files,
            "slow_memory_mb": round(server.resident_mb - memory, 1),
        }


def _beside(server: Server, plan: Plan, trouble: Coroutine[Any, Any, Found]) -> tuple[Found, dict[str, Any]]:
    """What came of the trouble, and the load of others meanwhile."""
    running = start_load(server, plan.body, seconds=20, rate=50, clients=16)
    found = asyncio.run(trouble)
    return found, json.loads(running.communicate()[0])


def hostile(plan: Plan) -> Figures:
    """Thousands of strange requests."""
    out = plan.home.parent / "hostile.json"
    command = [sys.executable, "-m", "benchmarks.hostile", "--home", str(plan.home), "--json", str(out)]
    subprocess.run([*command, "--cases", str(int(plan.seconds(5000)))], check=True, stdout=subprocess.DEVNULL)
    found: Figures = json.loads(out.read_text(encoding="utf-8"))
    return found


PARTS: Final[dict[str, Callable[[Plan], Figures]]] = {
    "online": lambda plan: online(plan.home, plan.repeats, plan.scale),
    "http": http,
    "batching": batching,
    "mlflow": mlflow,
    "cold": cold,
    "flips": flips,
    "outage": outage,
    "overload": overload,
    "sigterm": sigterm,
    "slow": slow,
    "hostile": hostile,
}


def main() -> None:
    """Run the parts and print all figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; default: all")
    parser.add_argument("--scale", type=float, default=1.0, help="of all durations")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    figures: Figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        home, body = Path(scratch) / "home", Path(scratch) / "request.json"
        make(home)
        body.write_text(json.dumps(request()), encoding="utf-8")
        for part in options.parts or PARTS:
            figures |= PARTS[part](Plan(home, body, options.scale, options.repeats))
            print(part, json.dumps(figures), file=sys.stderr)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
