"""The bridge from InfluxDB's line protocol: lines in, readings in the store of a real service."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from examples.line_protocol import Reading, bridge, readings
from forecasting.serve.client import Client
from forecasting.serve.keys import new_key
from forecasting.storage.store import Store
from tests.serve.conftest import serving


def test_lines_become_readings() -> None:
    """Tags in order of their names, integers and floats, escaped signs; text and truth are no numbers."""
    text = "\n".join(
        [
            "# a comment",
            'pump,unit=2,site=north load=4.5,speed=3i,state="on",ok=true 1767225600000000000',
            r"big\ pump,site=a\,b le\=vel=-1e3 1767225600500000000",
            "",
        ]
    )
    noon = datetime(2026, 1, 1, tzinfo=UTC)
    assert list(readings(text)) == [
        Reading("pump/north/2/load", noon, 4.5),
        Reading("pump/north/2/speed", noon, 3.0),
        Reading("big pump/a,b/le=vel", noon.replace(microsecond=500_000), -1000.0),
    ]
    assert next(readings("a b=1 1767225600", "s")).ds == noon
    for line in ("a b=1", "a 1 1", "a b=1 soon", "nonsense"):
        with pytest.raises(ValueError, match=r"line 2 is not: measurement,tag=… field=… timestamp"):
            list(readings(f"a b=1 1767225600000000000\n{line}"))


def test_what_is_written_to_the_bridge_is_in_the_store(
    home: Path, tmp_path: Path, gatecast: list[str], database: Path
) -> None:
    """Through a real service, whose refusals reach the writer."""
    config = tmp_path / "plant.yaml"
    content = {"name": "plant", "source": {"kind": "synthetic"}, "series": {"freq": "10s"}}
    config.write_text(yaml.safe_dump({**content, "window": {"context": 6, "horizon": 2}}), encoding="utf-8")
    key = new_key("bridge", frozenset({"write"}))
    environment = {
        "GATECAST_SERVE_KEYS": f"[{key.entry.model_dump_json()}]",
        "GATECAST_TRACKING_URI": f"sqlite:///{database}",
    }
    lines = "\n".join(f"pump,site=north load={n}.5 {1767225600 + 10 * n}" for n in range(6))
    options = ("--ingest", str(config))
    with serving(gatecast, home, tmp_path / "log", *options, until="healthz", **environment) as served:
        with Client(served.url, key.secret) as client:
            made = bridge(client, "plant", 0)
            threading.Thread(target=made.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{made.server_address[1]}/api/v2/write?bucket=any&precision=s"
            assert httpx.post(url, content=lines).status_code == 204
            off = httpx.post(url, content="pump,site=north load=1 1767225603")
            assert (off.status_code, "between the steps of 10s" in off.text) == (400, True)
            assert httpx.post(url, content="nonsense").status_code == 400
            assert httpx.get(url.replace("write", "ping")).status_code == 204
            made.shutdown()
            made.server_close()
        gone = bridge(Client("http://127.0.0.1:1"), "plant", 0)
        threading.Thread(target=gone.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{gone.server_address[1]}/write"
        assert httpx.post(url, content="a b=1 1767225600000000000").status_code == 503
        gone.shutdown()
        gone.server_close()
    assert served.process.returncode == 0
    stored: Any = Store(home).observations.read("plant")
    assert stored["unique_id"].unique().tolist() == ["pump/north/load"]
    assert stored["y"].tolist() == [n + 0.5 for n in range(6)]
