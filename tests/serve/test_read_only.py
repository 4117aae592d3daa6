"""A home that can only be read: the service answers from what it has, and says what it cannot do."""

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forecasting.registry.registry import Registry

# Root may write anywhere, unless the process lacks that right.
WITHOUT_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override"]
NAME = "buoy"


@pytest.fixture
def sealed(copied: Path) -> Iterator[Path]:
    """A home in which nobody may write, with downloads but no notes of the service."""
    shutil.rmtree(copied / "serve")
    folders = [copied, *(path for path in copied.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield copied
    for folder in folders:
        folder.chmod(0o755)


@contextmanager
def unsealed(home: Path) -> Iterator[None]:
    """The folder of the registry's database may be written for a moment."""
    home.chmod(0o755)
    (home / "locks").chmod(0o755)
    yield
    home.chmod(0o555)


@pytest.fixture
def restrained(gatecast: list[str]) -> list[str]:
    """The command line without the right to write where the file system says no."""
    if os.getuid() != 0:
        return gatecast
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and there is no setpriv to take that right away")
    return [*WITHOUT_RIGHTS, *gatecast]


def details(url: str) -> dict[str, Any]:
    """What /readyz tells of the model."""
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)["details"][NAME]
    return found


def version(url: str, body: dict[str, Any]) -> int:
    """The version that answers a forecast."""
    request = urllib.request.Request(
        f"{url}/v1/forecast", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["model"]["version"])


@pytest.fixture
def body(columns: Callable[..., Any], history: Callable[..., Any]) -> dict[str, Any]:
    """A request for the model."""
    return {"name": NAME, "columns": columns(history("a"))}


def test_a_sealed_home_answers_from_its_cache_and_says_so(
    serving: Any, restrained: list[str], sealed: Path, tmp_path: Path, body: dict[str, Any]
) -> None:
    """It is ready and forecasts; a version that it cannot keep is refused, and not the registry is blamed for that."""
    log = tmp_path / "log"
    with serving(restrained, sealed, log, "--name", NAME, GATECAST_SERVE_POLL_SECONDS="0.5") as served:
        assert version(served.url, body) == 1
        assert details(served.url)["problem"].startswith("its folder cannot be written")
        with unsealed(sealed):
            Registry(f"sqlite:///{sealed / 'mlflow.db'}", sealed).aliases.promote(NAME, 2)
        while not (details(served.url)["problem"] or "").startswith("the bundle cannot be kept"):
            time.sleep(0.1)
        assert version(served.url, body) == 1
        with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as answer:
            assert b"gatecast_registry_up 1.0" in answer.read()
    assert "unexpected" not in log.read_text()
    assert not (sealed / "serve").exists()


def test_a_cache_of_its_own_lets_a_sealed_home_serve_anything(
    serving: Any, restrained: list[str], sealed: Path, tmp_path: Path, body: dict[str, Any]
) -> None:
    """What the home lacks is downloaded into `GATECAST_CACHE`, and nothing is wrong."""
    own = tmp_path / "own"
    with serving(restrained, sealed, tmp_path / "log", "--name", f"{NAME}@2", GATECAST_CACHE=str(own)) as served:
        assert version(served.url, body) == 2
        assert details(served.url)["problem"] is None
    assert (own / "cache" / NAME / "2" / "manifest.json").is_file()
