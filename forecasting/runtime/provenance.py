"""Where results come from: the code, the commit, and the content address of a run."""

from __future__ import annotations

import hashlib
import json
import subprocess
from functools import cache
from pathlib import Path

from forecasting.config.job import Job

__all__ = ["code_version", "git_commit", "run_key"]

_PACKAGE = Path(__file__).parent


@cache
def code_version() -> str:
    """SHA-256 of the library's own source: another one may compute other numbers."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@cache
def git_commit() -> str:
    """The commit of the working copy that the library runs from; empty where it was installed from a wheel."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=_PACKAGE, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def run_key(job: Job, data: str) -> str:
    """The content address of a run: the same job on the same data with the same code gives the same results.

    `data` is the fingerprint of the observations. When a job runs and how it is watched is no part of it.
    """
    content = job.model_dump(mode="json", exclude={"schedule", "monitor"})
    parts = (json.dumps(content, sort_keys=True), data, code_version())  # databases change the order of keys
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
