"""What is installed: exact versions, hashes, licenses that allow it, and a bill of materials that lists all of it."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = "colorama==0.4.6 \\\n    --hash=sha256:" + "0" * 64 + "\n"


def sbom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the script says."""
    script = ROOT / "requirements" / "sbom.py"
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_lock_is_fit_to_be_installed() -> None:
    """Pinned, hashed, and of a license that may be distributed: known without a network."""
    done = sbom("--check", *LOCKS)
    assert done.returncode == 0, done.stdout
    assert len(LOCKS) >= 6


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("colorama>=0.4\n", "colorama has no exact version"),
        ("colorama\n", "colorama has no exact version"),
        ("colorama==0.4.6\n", "colorama has no hashes"),
        ("colorama @ https://example.org/colorama.whl\n", "colorama has no exact version"),
        ("--extra-index-url https://example.org\n", "is no package of the lock"),
    ],
)
def test_an_unfit_lock_is_refused(tmp_path: Path, line: str, fault: str) -> None:
    """One sentence for each package."""
    lock = tmp_path / "lock.txt"
    lock.write_text(PIN, encoding="utf-8")
    assert sbom("--check", lock).returncode == 0
    lock.write_text(PIN + line, encoding="utf-8")
    done = sbom("--check", lock)
    assert done.returncode == 1
    assert fault in done.stdout


def test_the_bill_lists_every_package_of_the_lock() -> None:
    """By name, version, address and hashes, as other tools read it."""
    lock = ROOT / "requirements" / "serve.txt"
    bill = json.loads(sbom(lock).stdout)
    named = {f"{part['name']}=={part['version']}" for part in bill["components"]}
    pinned = {line.split()[0] for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line.split("#")[0]}
    assert named == {name.rstrip(";") for name in pinned}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert all(part["purl"].startswith("pkg:pypi/") and part["hashes"] for part in bill["components"])
    assert any("licenses" in part for part in bill["components"])


@pytest.mark.parametrize("path", sorted(ROOT.glob("Dockerfile.*")), ids=lambda path: path.name)
def test_an_image_is_built_from_what_is_pinned(path: Path) -> None:
    """Of a versioned base, by pip from locks with hashes, and nothing runs as root in it."""
    assert dockerfile_faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("FROM python", "FROM python has no version"),
        ("FROM python:latest AS last", "FROM python:latest AS last has no version"),
        ("RUN apt-get update && apt-get install -y curl", "apt leaves its lists behind"),
        ("RUN pip install --no-cache-dir keras", "pip installs without hashes"),
        ("RUN pip install --require-hashes -r a.txt", "pip keeps its cache"),
        ("ADD https://example.org/a.tar.gz /a", "ADD takes what nobody has checked"),
        ("USER root", "the last stage runs as root"),
        ("FROM python:3.11-slim", "the last stage runs as root"),
    ],
)
def test_an_image_of_anything_else_is_seen(line: str, fault: str) -> None:
    """The check above can fail: each line, put behind a good file, is a fault of it."""
    good = "FROM python:3.11-slim\nRUN pip install --no-cache-dir --require-hashes -r a.txt\nUSER 10001:10001\n"
    assert dockerfile_faults(good) == []
    assert fault in dockerfile_faults(f"{good}{line}\n")


def dockerfile_faults(text: str) -> list[str]:
    """What is wrong with a Dockerfile, one sentence a fault."""
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line and not line.startswith("#")]
    bases = [line for line in lines if line.startswith("FROM")]
    faults = [f"{line} has no version" for line in bases if not re.match(r"FROM \S+:(?!latest)\S+", line)]
    faults += ["ADD takes what nobody has checked" for line in lines if line.startswith("ADD")]
    for line in [line for line in lines if line.startswith("RUN")]:
        faults += (
            ["apt leaves its lists behind"] if "apt-get install" in line and "rm -rf /var/lib/apt" not in line else []
        )
        for call in re.findall(r"pip install [^&]*", line):
            local = "--no-deps --no-index" in call
            faults += [] if local or "--require-hashes" in call else ["pip installs without hashes"]
            faults += [] if "--no-cache-dir" in call else ["pip keeps its cache"]
    last = re.split(r"^FROM.*$", "\n".join(lines), flags=re.MULTILINE)[-1]
    users = re.findall(r"^USER (\S+)", last, flags=re.MULTILINE)
    return (
        faults if users and users[-1].split(":")[0] not in ("root", "0") else [*faults, "the last stage runs as root"]
    )


def test_the_wheel_holds_everything(tmp_path: Path) -> None:
    """Every module, template, script, and style of both packages, the type marker, and the texts of the licenses."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for package in ("forecasting", "pipelines")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in held if ".dist-info/" not in name} == files
    licenses = {name.partition("/licenses/")[2] for name in held if "/licenses/" in name}
    assert licenses == {"LICENSE", "forecasting/serve/pages/static/plotly-basic.LICENSE"}
    assert "forecasting/py.typed" in held
