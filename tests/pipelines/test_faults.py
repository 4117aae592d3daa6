"""Faults while the loop runs: killed, twice at once, no disk, a failing MLflow; in the end all is as it should be."""

import os
import socket
from collections.abc import Iterator

import numpy as np
import pytest
from deltalake import write_deltalake

from benchmarks.faults import kills, machine, registry
from benchmarks.faults.bench import Bench, Round
from benchmarks.faults.homes import Home
from forecasting.registry.aliases import Cause
from forecasting.storage.store import Store

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """What the rounds begin with; whoever changes anything gets a copy."""
    return Bench(tmp_path_factory.mktemp("faults"), np.random.default_rng(1))


def broken(rounds: Iterator[Round]) -> list[str]:
    """Every promise that was broken, with what had been done."""
    return [f"{done.note}: {line}" for done in rounds for line in done.violations]


def test_batch_that_is_started_twice_stores_its_forecasts_once(bench: Bench) -> None:
    """Both processes end well, and there is one set of rows."""
    assert broken(kills.twice(bench, 1)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted by root only")
def test_full_disk_is_told_and_loses_nothing(bench: Bench) -> None:
    """An ingest and a batch say that there is no space, and finish once there is."""
    assert broken(machine.disk(bench, 2)) == []


def test_local_readings_across_changes_of_clocks_are_stored_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """In spring and in autumn, ingested after every hour: the stamps of what was measured, none twice, none missing."""
    assert broken(machine.summer_time(bench, 2)) == []


def test_registry_behind_a_failing_proxy_has_no_wrong_alias_and_no_half_version(bench: Bench) -> None:
    """Requests are lost, refused, reset and cut: what is live was promoted, and every version is whole."""
    assert broken(registry.proxied(bench, 1, delay=0.5)) == []


def test_prefect_server_out_of_reach_is_one_sentence(bench: Bench) -> None:
    """A tracked command says who does not answer, and has changed nothing."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    home = Home(bench.place / "untracked", bench.config, extra={"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"})
    done = home.run("ingest")
    assert (done.code, done.clean) == (1, True)
    assert done.last.startswith("error: the Prefect server of PREFECT_API_URL failed: Failed to reach API")
    assert home.content()["observations"] is None


def test_faults_are_noticed(bench: Bench) -> None:
    """A row that is lost, a row that is stored twice and an alias that is elsewhere are violations."""
    home = bench.fresh(bench.live, "planted")
    table = Store(bench.forecast.path).forecasts.read(home.name)
    Store(home.path).forecasts.append(home.name, table[1:])
    assert [line.split(":")[0] for line in bench.held_against(home, bench.forecast)] == ["forecasts"]

    write_deltalake(home.path / "tables" / home.name / "forecasts", table[:2], mode="append")
    home.registry.aliases.promote(home.name, 1, cause=Cause("planted", force=True))
    found = bench.held_against(home, bench.forecast)
    assert [line.split(":")[0] for line in found] == ["forecasts", "versions"]
    assert f"({len(table) + 1}, 1, " in found[0]
