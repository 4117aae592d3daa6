"""The compose files are valid, and every service is as locked up as docs/operate.md promises.

`compose-spec.json` is the schema of the Compose Specification (compose-spec.io, Apache License 2.0), unchanged.
"""

import json
import re
import subprocess
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


def secrets_in(folder: Path) -> dict[str, str]:
    """The files in the folder after the command that makes those that lack."""
    subprocess.run(["sh", ROOT / "docker" / "make-secrets.sh", folder], check=True)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_secret_is_made_and_none_is_replaced(tmp_path: Path) -> None:
    """One command makes all files that are mounted, and again changes none; only their owner enters the folder."""
    folder = tmp_path / "secrets"
    made, again = secrets_in(folder), secrets_in(folder)
    assert again == made
    files = compose.read(MAIN, {"GATECAST_SECRETS": str(folder), "GATECAST_KEYS_FILE": str(folder / "keys.json")})[
        "secrets"
    ]
    assert {Path(secret["file"]) for secret in files.values()} == {folder / name for name in made}
    random = [text for name, text in made.items() if name not in {"keys.json", "prefect_docket_url"}]
    assert len({*random}) == len(random)
    assert min(map(len, random)) >= 48
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", ["", None], ids=["empty", "missing"])
def test_a_service_does_not_start_without_its_secret(tmp_path: Path, content: str | None) -> None:
    """What all services are started with names the file; where it is there, the command has it as a variable."""
    script = RAW["x-entry"][2].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    start = ["sh", "-ec", script, "entry", "sh", "-c", 'printf %s "$PGPASSWORD"']
    if content is not None:
        (tmp_path / "PGPASSWORD").write_text(content, encoding="utf-8")
    refused = subprocess.run(start, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert str(tmp_path) in refused.stderr
    (tmp_path / "PGPASSWORD").write_text("a $b 'c\"", encoding="utf-8")
    assert subprocess.run(start, capture_output=True, text=True, check=True).stdout == "a $b 'c\""


def test_every_secret_of_a_service_is_known() -> None:
    """A name that no file belongs to would stop the whole stack."""
    wanted = [secret for service in SERVICES.values() for secret in service.get("secrets", [])]
    assert {secret if isinstance(secret, str) else secret["source"] for secret in wanted} == set(RAW["secrets"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_stands_in_the_environment(name: str) -> None:
    """The engine shows the environment of a container to anybody who may ask it: what is secret is a file."""
    variables = SERVICES[name].get("environment", {})
    words = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH_STRING")
    assert [variable for variable in variables if words.search(variable) and not variable.endswith("_FILE")] == []


def test_who_reaches_whom() -> None:
    """Services meet in networks of their role alone; the databases cannot be reached from elsewhere."""
    networks = {
        network: {name for name in SERVICES if network in SERVICES[name]["networks"]} for network in RAW["networks"]
    }
    servers = {"prefect-server", "prefect-server-2"}
    assert networks == {
        "mlflow-database": {"postgres", "mlflow"},
        "prefect-database": {"postgres", "prefect-migrate", *servers},
        "tracking": {"mlflow", "mlflow-accounts", "deploy", "worker", "api"},
        "flows": {"deploy", "worker", *servers},
        "front": {"api", "prometheus"},
        "objects": {"mlflow", "s3", "s3-bucket"},
        "events": {"redis", *servers},
    }
    closed = {name for name, network in RAW["networks"].items() if network and network.get("internal")}
    assert closed == {"mlflow-database", "prefect-database", "objects", "events"}


def test_only_the_administrator_has_all_rights() -> None:
    """The service and the worker have accounts of their own, and the service cannot write where others write."""
    users = {
        name: service["environment"].get("MLFLOW_TRACKING_USERNAME")
        for name, service in SERVICES.items()
        if "environment" in service
    }
    assert {name: user for name, user in users.items() if user} == {
        "mlflow-accounts": "${MLFLOW_USER:-gatecast}",
        "deploy": "gatecast-worker",
        "worker": "gatecast-worker",
        "api": "gatecast-api",
    }
    assert SERVICES["api"]["volumes"] == ["gatecast:/home/gatecast:ro", "api:/cache"]


def test_every_variable_stands_in_the_example() -> None:
    """Whoever fills in .env.example has seen all that can be set, and nothing that is not used."""
    used = {name for path in FILES for name in re.findall(r"\$\{([A-Z]\w+)", path.read_text(encoding="utf-8"))}
    assert used - {"GATECAST_VERSION"} == documented() - {"COMPOSE_PROFILES"}


def test_example_holds_no_secret() -> None:
    """Secrets have no variables that somebody could fill in there."""
    assert re.findall(r"^[# ]*[A-Z_0-9]*(?:PASSWORD|SECRET_KEY|ACCESS_KEY)=", EXAMPLE, flags=re.MULTILINE) == []


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
