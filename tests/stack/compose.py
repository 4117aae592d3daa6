"""docker-compose.yml as an engine would read it: variables filled in, and what each image says of itself."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

__all__ = ["ROOT", "Mount", "Service", "interpolate", "read", "services"]

ROOT = Path(__file__).parents[2]
_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:-|:\?)(?P<word>[^}]*))?\})")


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, or a volume, and where a service sees it."""

    source: str  # a path, or the name of a volume
    target: Path
    read_only: bool


@dataclass(frozen=True)
class Service:
    """One service, with the settings of its image where the image is built here."""

    name: str
    image: str
    entry: list[str]  # what the command is handed to
    command: list[str]
    environment: dict[str, str]
    user: str
    directory: Path
    mounts: list[Mount]
    tmpfs: list[Path]
    needs: dict[str, str]  # service: service_healthy or service_completed_successfully
    check: list[str]  # none: healthy is started
    once: bool  # it does its work and ends
    stop_signal: str
    stop_seconds: float
    names: list[str] = field(default_factory=list)  # under which the others find it
    networks: frozenset[str] = frozenset()


def read(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The file with its variables filled in; raises KeyError with the names of those that are required and missing."""
    missing: set[str] = set()
    content = interpolate(yaml.safe_load(path.read_text(encoding="utf-8")), environment, missing)
    if missing:
        raise KeyError(*sorted(missing))
    return dict(content)


def interpolate(node: Any, environment: Mapping[str, str], missing: set[str]) -> Any:
    """`${NAME}`, `${NAME:-default}`, `${NAME:?}` and `$$` in all values; collects required names without a value."""
    if isinstance(node, dict):
        return {key: interpolate(value, environment, missing) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, environment, missing) for value in node]
    if not isinstance(node, str):
        return node

    def fill(found: re.Match[str]) -> str:
        name, how = found["name"], found["how"]
        if name is None:
            return "$"
        if how == ":?" and not environment.get(name):
            missing.add(name)
        return environment.get(name) or (found["word"] if how == ":-" else "")

    return _VARIABLE.sub(fill, node)


def services(content: Mapping[str, Any], profiles: frozenset[str] = frozenset()) -> dict[str, Service]:
    """The services that `docker compose --profile … up` would start."""
    chosen = {
        name: item
        for name, item in content["services"].items()
        if not item.get("profiles") or profiles & set(item["profiles"])
    }
    return {name: _service(name, item, content) for name, item in chosen.items()}


def _service(name: str, item: Mapping[str, Any], content: Mapping[str, Any]) -> Service:
    built = _image(ROOT / item["build"]["dockerfile"]) if "build" in item else {}
    check = item.get("healthcheck", {}).get("test", [])
    mounts = [_mount(text) for text in item.get("volumes", [])]
    mounts += [_secret(secret, content["secrets"]) for secret in item.get("secrets", [])]
    networks = item["networks"] if isinstance(item["networks"], dict) else {key: {} for key in item["networks"]}
    return Service(
        name=name,
        image=item["image"],
        entry=item.get("entrypoint") or built.get("ENTRYPOINT", []),
        command=[str(word) for word in item["command"]],
        environment={**built.get("ENV", {}), **{key: str(value) for key, value in item.get("environment", {}).items()}},
        user=item.get("user") or built.get("USER", "0:0"),
        directory=Path(item.get("working_dir") or built.get("WORKDIR", "/")),
        mounts=mounts,
        tmpfs=[Path(text.split(":")[0]) for text in item.get("tmpfs", [])],
        needs={other: how["condition"] for other, how in item.get("depends_on", {}).items()},
        check=check[1:] if check else [],
        once=str(item["restart"]).startswith("on-failure"),
        stop_signal=item.get("stop_signal", "SIGTERM"),
        stop_seconds=float(item.get("stop_grace_period", "10s").removesuffix("s")),
        names=[name, *(alias for one in networks.values() for alias in one.get("aliases", []))],
        networks=frozenset(networks),
    )


def _secret(wanted: str | Mapping[str, str], files: Mapping[str, Any]) -> Mount:
    """A secret, under its own name or that of its target."""
    source, target = (wanted, wanted) if isinstance(wanted, str) else (wanted["source"], wanted["target"])
    return Mount(files[source]["file"], Path("/run/secrets", target), read_only=True)


def _mount(text: str) -> Mount:
    source, target, *options = text.split(":")
    return Mount(source, Path(target), read_only="ro" in options)


def _image(dockerfile: Path) -> dict[str, Any]:
    """ENTRYPOINT, ENV, USER and WORKDIR of a Dockerfile's last stage; the PATH stays that of the host."""
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ").split("\nFROM ")[-1]
    lines = [line.split(maxsplit=1) for line in text.splitlines() if " " in line]
    found: dict[str, Any] = {word: rest for word, rest in lines if word in ("USER", "WORKDIR")}
    found["ENTRYPOINT"] = next((json.loads(rest) for word, rest in lines if word == "ENTRYPOINT"), [])
    variables = " ".join(rest for word, rest in lines if word == "ENV")
    return {**found, "ENV": {name: value for name, value in re.findall(r"(\w+)=(\S+)", variables) if name != "PATH"}}
