"""What is installed: exact versions, hashes, licenses that allow it, and a bill of materials that lists all of it."""

import json
import subprocess
import sys
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
