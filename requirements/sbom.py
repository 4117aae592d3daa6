"""What a lock installs, as a bill of materials (CycloneDX 1.6), and whether it is fit to be installed; no network.

    python requirements/sbom.py requirements/serve.txt > sbom.json
    python requirements/sbom.py --check requirements/*.txt

A lock is fit where every package has one exact version and the hashes of its files, and where the license of every
package that is installed here is one that may be distributed with ours.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?(.*)$")
PERMISSIVE = re.compile(
    r"\b(MIT|MIT-0|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|0BSD|CC0|Unlicense|HPND|MPL|Mozilla|LGPL"
    r"|Lesser General Public|ZPL|Public Domain|NVIDIA Proprietary|Artistic)",
    re.IGNORECASE,
)

# what the license file of a package says whose metadata says less, as somebody has read it
READ = {
    "huey": "MIT",
    "namex": "Apache-2.0",
    "pytest-timeout": "MIT",
    "skops": "MIT",
    "text-unidecode": "Artistic-1.0, or GPL at the choice of whoever installs it",
}


class Locked(NamedTuple):
    """One package of a lock."""

    name: str
    version: str
    hashes: tuple[str, ...]


def read(lock: Path) -> tuple[list[Locked], list[str]]:
    """The packages of a lock, and one sentence for each that is not pinned or has no hashes."""
    packages, faults = [], []
    text = re.sub(r"\\\n", " ", lock.read_text(encoding="utf-8"))
    for line in (line.partition("#")[0].strip() for line in text.splitlines()):
        found = NAME.match(line)
        if not found:
            if line:
                faults.append(f"{lock.name}: {line.split()[0]} is no package of the lock")
            continue
        pinned = re.match(r"\s*==\s*([^\s;]+)", found[2])
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
        if not pinned:
            faults.append(f"{lock.name}: {found[1]} has no exact version")
        elif not hashes:
            faults.append(f"{lock.name}: {found[1]} has no hashes")
        else:
            packages.append(Locked(found[1], pinned[1], hashes))
    return packages, faults


def license_of(name: str) -> str | None:
    """What an installed package says of its license; none where it is not installed here."""
    if name in READ:
        return READ[name]
    try:
        about = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    classifiers = [text for text in about.get_all("Classifier") or [] if text.startswith("License ::")]
    said = [about.get("License-Expression"), *(text.rpartition("::")[2].strip() for text in classifiers)]
    return next(filter(None, said), None) or (about.get("License") or "unknown").strip().splitlines()[0]


def faults_of(lock: Path) -> list[str]:
    """Everything that makes a lock unfit."""
    packages, faults = read(lock)
    said = {package.name: license_of(package.name) for package in packages}
    bad = [f"{lock.name}: {name} has the license {text}" for name, text in said.items() if text and not _fits(text)]
    return [*faults, *bad]


def bill(lock: Path) -> dict[str, Any]:
    """The bill of materials of a lock."""
    packages, _ = read(lock)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "gatecast", "bom-ref": "gatecast"}},
        "components": [_component(package) for package in packages],
    }


def _component(package: Locked) -> dict[str, Any]:
    url = f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"
    found = {"type": "library", "name": package.name, "version": package.version, "purl": url, "bom-ref": url}
    found["hashes"] = [{"alg": "SHA-256", "content": text} for text in package.hashes]
    said = license_of(package.name)
    return found | ({"licenses": [{"license": {"name": said}}]} if said else {})


def _fits(text: str) -> bool:
    return bool(PERMISSIVE.search(text))


def main(arguments: list[str]) -> int:
    """Print a bill, or the faults of locks; 1 where there are any."""
    if arguments[:1] != ["--check"]:
        sys.stdout.write(json.dumps(bill(Path(arguments[0])), indent=1) + "\n")
        return 0
    faults = [fault for path in arguments[1:] for fault in faults_of(Path(path))]
    sys.stdout.write(("\n".join(faults) or "every package is pinned, hashed, and may be distributed") + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
