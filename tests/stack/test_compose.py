"""The compose files are valid, and every service is as locked up as docs/operate.md promises.

`compose-spec.json` is the schema of the Compose Specification (compose-spec.io, Apache License 2.0), unchanged.
"""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.stack import compose
from tests.stack.compose import ROOT

SCHEMA = json.loads(Path(__file__).with_name("compose-spec.json").read_text(encoding="utf-8"))
MAIN = ROOT / "docker-compose.yml"
FILES = sorted(ROOT.glob("docker-compose*.yml"))
RAW = yaml.safe_load(MAIN.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = RAW["services"]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")


def documented() -> set[str]:
    """The variables of .env.example, those that are commented out too."""
    return set(re.findall(r"^#? ?([A-Z][A-Z0-9_]*)=", EXAMPLE, flags=re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_file_follows_the_compose_specification(path: Path) -> None:
    """Every key and every value is one that the specification knows."""
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_schema_refuses_what_is_wrong() -> None:
    """The schema that is used here does find a misspelt key."""
    wrong = {"services": {"api": {"image": "x", "comand": ["y"]}}}
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(wrong)


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_locked_up(name: str) -> None:
    """Read-only root, no capabilities, no new rights, an init process, limits, a restart policy, bounded logs."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert {"mem_limit", "cpus", "pids_limit", "restart", "logging"} <= set(service)
    assert "privileged" not in service
    assert "cap_add" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    """Nothing can be reached from another machine, and the databases not even from this one."""
    ports = SERVICES[name].get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not (ports and name in {"postgres", "redis"})


@pytest.mark.parametrize("name", SERVICES)
def test_image_has_a_version(name: str) -> None:
    """Never `latest`: what is pulled next year is what was tested."""
    tag = compose.interpolate(SERVICES[name]["image"], {}, set()).rpartition(":")[2]
    assert re.match(r"v?\d+\.\d+", tag)


@pytest.mark.parametrize("name", SERVICES)
def test_service_says_when_it_is_there(name: str) -> None:
    """A service that stays has a healthcheck; one that ends is waited for as such, and not restarted forever."""
    once = SERVICES[name]["restart"].startswith("on-failure")
    assert once != ("healthcheck" in SERVICES[name])
    for other, how in SERVICES[name].get("depends_on", {}).items():
        ends = SERVICES[other]["restart"].startswith("on-failure")
        assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_missing_secrets_are_named_at_once() -> None:
    """Without an .env file the stack does not start with empty passwords: every secret is asked for."""
    with pytest.raises(KeyError) as caught:
        compose.read(MAIN, {})
    assert set(caught.value.args) == {
        "MLFLOW_DB_PASSWORD", "MLFLOW_PASSWORD", "MLFLOW_SECRET_KEY", "MLFLOW_USER",
        "POSTGRES_PASSWORD", "PREFECT_DB_PASSWORD", "PREFECT_PASSWORD", "PREFECT_USER",
    }  # fmt: skip


def test_every_variable_stands_in_the_example() -> None:
    """Whoever fills in .env.example has seen all that can be set, and nothing that is not used."""
    used = {name for path in FILES for name in re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8"))}
    assert used - {"GATECAST_VERSION"} == documented() - {"COMPOSE_PROFILES"}


def test_example_holds_no_secret() -> None:
    """The example leaves every password and key empty."""
    assert re.findall(r"^[A-Z_]*(?:PASSWORD|SECRET_KEY|ACCESS_KEY)=(.+)$", EXAMPLE, flags=re.MULTILINE) == []


def test_no_secret_stands_on_a_command_line() -> None:
    """Whoever lists processes sees no password."""
    secrets = re.compile(r"\$\{\w*(?:PASSWORD|SECRET|KEY)\w*")
    assert [name for name, item in SERVICES.items() if secrets.search(" ".join(map(str, item["command"])))] == []


def test_files_that_are_mounted_exist() -> None:
    """A missing file would be made as an empty folder by the engine."""
    mounted = [text.split(":")[0] for service in SERVICES.values() for text in service.get("volumes", [])]
    assert [path for path in mounted if path.startswith("./") and not (ROOT / path).exists()] == []


def test_images_are_built_from_what_is_there() -> None:
    """The Dockerfiles exist, and copy nothing that .dockerignore keeps away."""
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    }
    for name in {service["build"]["dockerfile"] for service in SERVICES.values() if "build" in service}:
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {word.split("/")[0] for words in copied for word in words.split()} <= allowed
