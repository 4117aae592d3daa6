"""The stack, started once for all tests of it, and the commands of docs/operate.md carried out on it."""

import json
import re
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from forecasting.serve.keys import new_key
from tests.stack import compose
from tests.stack.box import refusal
from tests.stack.compose import ROOT
from tests.stack.native import Stack, loopback_up

# A whole job in seconds: the gate refuses its network of four units, so a baseline goes live.
JOB = """
name: tiny
source: {kind: file, path: data/tiny.csv}
series: {freq: h, season: 24}
window: {context: 12, horizon: 4}
model: {name: stacked, params: {cell: gru, units: [4]}}
train: {epochs: 2, batch_size: 64, learning_rate: 0.01, seed: 1, windows_per_epoch: 256}
backtest: {windows: 10, step: 2}
schedule: {time_zone: Europe/Berlin, training: "0 3 * * 0", batch: "0 0 29 2 *", monitor: "0 0 29 2 *"}
"""
DATABASES = ("postgres", "mlflow_db", "prefect_db")
_COMPOSE = re.compile(r"docker compose (?P<verb>\S+)(?P<options>(?: -\S+)*)(?P<words>[^<>]*)(?P<file>[<>] \S+)?")


@dataclass(frozen=True)
class Running:
    """The stack, what it was started with, and a client of each server."""

    stack: Stack
    place: Path
    key: str

    @property
    def secrets(self) -> list[str]:
        """Everything that must not be seen anywhere."""
        files = [
            path.name for path in (self.place / "secrets").iterdir() if "key" in path.name or "password" in path.name
        ]
        return [self.key, self.account("prefect_account")[1], *(self.secret(name) for name in files)]

    def secret(self, name: str) -> str:
        """What stands in a file of the secrets."""
        return (self.place / "secrets" / name).read_text(encoding="utf-8")

    def account(self, name: str) -> tuple[str, str]:
        """User and password of a secret that holds both."""
        user, _, password = self.secret(name).partition(":")
        return user, password

    def mlflow(self, who: str, path: str, method: str = "POST", **content: object) -> httpx.Response:
        """A request to MLflow with the account of one of its clients."""
        name = "gatecast" if who == "admin" else f"gatecast-{who}"
        account = (name, self.secret(f"mlflow_{who}_password"))
        url = f"http://127.0.0.1:5000/api/2.0/mlflow/{path}"
        return httpx.request(method, url, json=content, auth=account, headers={"Host": "mlflow:5000"}, timeout=30)

    def call(self, path: str, **content: object) -> httpx.Response:
        """A request to the service, as a user of the machine makes it."""
        method = "POST" if content else "GET"
        return httpx.request(method, f"http://127.0.0.1:8000{path}", headers={"X-API-Key": self.key}, **content)  # type: ignore[arg-type]

    @contextmanager
    def prefect(self) -> Iterator[httpx.Client]:
        """A client of Prefect's API, as its page is one."""
        account = self.account("prefect_account")
        with httpx.Client(base_url="http://127.0.0.1:4200/api", auth=account, timeout=30) as client:
            token = client.get("/csrf-token", params={"client": "test"}).json()["token"]
            client.headers.update({"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})
            yield client

    def follow(self, heading: str) -> None:
        """Carry out the commands under a heading of docs/operate.md, in the folder `place`."""
        page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
        block = re.search(rf"^## {heading}$.*?^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
        assert block, f"docs/operate.md has no commands under {heading}"
        for line in block[1].splitlines():
            self.run(line)

    def run(self, line: str) -> str:
        """One `docker compose` command line."""
        found = _COMPOSE.fullmatch(line)
        assert found, line
        words = shlex.split(found["words"])
        if found["verb"] == "up":
            self.stack.up(*words)
            return ""
        if found["verb"] == "stop":
            self.stack.stop(*words)
            return ""
        box = self.stack.boxes[words[0]]
        where, path = (found["file"] or " ").split(" ")
        given = (self.place / path).read_bytes() if where == "<" else b""
        done = {"exec": box.exec, "run": box.run}[found["verb"]](words[1:], given)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:].decode()}\n{done.stderr.decode()}"
        if where == ">":
            (self.place / path).write_bytes(done.stdout)
        return done.stdout.decode(errors="replace")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Every service of docker-compose.yml, healthy."""
    if reason := refusal():
        pytest.skip(reason)
    loopback_up()
    place = tmp_path_factory.mktemp("stack")
    for folder in (place, *place.parents[:2]):
        folder.chmod(0o755)  # the services run as other users
    environment, key = _environment(place)
    stack = Stack(compose.services(compose.read(ROOT / "docker-compose.yml", environment)), place)
    try:
        stack.up()
        yield Running(stack, place, key)
    finally:
        stack.kill()
        shutil.rmtree(place, ignore_errors=True)


def _environment(place: Path) -> tuple[dict[str, str], str]:
    """What an .env file would say, with passwords that shells and addresses would trip over, and an API key."""
    for name in ("configs", "data"):
        (place / name).mkdir()
    (place / "configs" / "tiny.yaml").write_text(JOB, encoding="utf-8")
    subprocess.run(["sh", ROOT / "docker" / "make-secrets.sh", place / "secrets"], check=True)
    made = new_key("test", ["admin"])
    (place / "secrets" / "keys.json").write_text(json.dumps([made.entry.model_dump(mode="json")]), encoding="utf-8")
    for name in DATABASES:
        word = f"{secrets.token_hex(8)} $x:/@'\"%"
        (place / "secrets" / f"{name}_password").write_text(word, encoding="utf-8")
    paths = {"CONFIGS": "configs", "DATA": "data", "SECRETS": "secrets", "KEYS_FILE": "secrets/keys.json"}
    return {f"GATECAST_{name}": str(place / path) for name, path in paths.items()}, made.secret
