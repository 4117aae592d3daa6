"""The requests and the Python client of docs/serve.md get answers from the quickstart's model, as they are printed."""

import json
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.snippets import ROOT, make_home, snippets

JOB = ROOT / "configs" / "quickstart.yaml"
PAGE = snippets(ROOT / "docs" / "serve.md")
CURLS = [command for one in PAGE if one.language == "sh" for command in one.commands if command.startswith("curl")]


class Curl:
    """What a command of curl asks for."""

    def __init__(self, command: str, key: str) -> None:
        words = shlex.split(command.replace("$KEY", key))
        options = dict(pairwise(words))
        (self.path,) = (word.removeprefix("localhost:8000") for word in words if word.startswith("localhost:8000"))
        headers = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
        self.headers = {"x-api-key": key, **dict(header.split(": ", 1) for header in headers)}
        self.body = options.get("-d")
        self.method = options.get("-X", "POST" if self.body else "GET")


@pytest.fixture(scope="module")
def quickstart(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the quickstart."""
    return make_home(tmp_path_factory.mktemp("quickstart") / "home", database)


@pytest.fixture(scope="module")
def ask(quickstart: Path, make_keys: Callable[..., Any], service: Any) -> Iterator[Callable[[str], Any]]:
    """Sends what a command of curl would send, with a key of all rights."""
    keys, secrets = make_keys("admin")
    with service(quickstart, keys=keys, ingest=(JOB,), timeout_seconds=120) as client:

        def send(command: str) -> Any:
            curl = Curl(command, secrets["admin"])
            sent = {"headers": curl.headers, **({"content": curl.body} if curl.body else {})}
            return client.runner.run(client.web.request(curl.method, curl.path, **sent))

        yield send


def test_the_page_has_its_requests() -> None:
    """None is passed over: forecasts, the other protocols, models, what is stored."""
    assert len(CURLS) >= 13


def test_a_command_of_curl_is_read_as_curl_reads_it() -> None:
    """Path, headers, key, body and method."""
    curl = Curl('curl -s -X POST localhost:8000/a -H "authorization: Bearer $KEY" -d \'{"b": 1}\'', "secret")
    assert (curl.method, curl.path, curl.headers["authorization"]) == ("POST", "/a", "Bearer secret")
    assert json.loads(curl.body or "") == {"b": 1}


@pytest.mark.parametrize("command", CURLS, ids=lambda command: " ".join(command.split())[:70])
def test_requests_are_answered(ask: Callable[[str], Any], command: str) -> None:
    """Every printed request gets what it asks for: 200 or, of readings that were kept, 202, and content."""
    answer = ask(command)
    assert answer.status_code == (202 if "/v1/readings" in command else 200), answer.text
    assert answer.json()


def test_a_forecast_has_the_steps_and_the_interval_of_the_request(ask: Callable[[str], Any]) -> None:
    """The first request of the page: two steps, the 80 % interval around the median."""
    columns = ask(CURLS[0]).json()["columns"]
    assert columns["step"] == [1, 2]
    assert columns["q0.1"] <= columns["q0.5"] <= columns["q0.9"]


def test_the_client_runs_as_it_is_printed(
    quickstart: Path,
    make_keys: Callable[..., Any],
    serving: Any,
    gatecast: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From the first line to the last, against a service of its own."""
    (code,) = (one.text for one in PAGE if one.language == "python")
    keys, secrets = make_keys("admin")
    monkeypatch.setenv("KEY", secrets["admin"])
    with serving(gatecast, quickstart, tmp_path / "log", "--ingest", str(JOB), GATECAST_SERVE_KEYS=keys) as served:
        exec(code.replace("http://localhost:8000", served.url), names := dict[str, Any]())
    assert names["kept"]["rows"] == 3
    assert names["forecast"]["step"].tolist() == [1, 2]
    assert min(len(names["vintages"]), len(names["accuracy"])) > 0
    assert len(names["text"]) == 100
