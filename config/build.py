"""Identifies the running program and its settings."""

from __future__ import annotations

import hashlib
import os
import subprocess
from functools import cache
from pathlib import Path

from config.settings import Settings

UNKNOWN = "unknown"


@cache
def build_sha() -> str:
    """The commit of the running program: `BUILD_SHA` of the environment, else of the checkout, else `unknown`."""
    if configured_sha := os.environ.get("BUILD_SHA"):
        return configured_sha[:64]
    directory = Path(__file__).parent
    try:
        result = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=directory, capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return UNKNOWN
    return result.stdout.strip() or UNKNOWN


def policy_fingerprint(settings: Settings) -> str:
    """A fingerprint of everything outside the repository that decisions depend on: the program and its settings.

    Of secrets, only whether they are set counts. Empty if the running program is unknown: then nothing is known to be
    the same.
    """
    if build_sha() == UNKNOWN:
        return ""
    return hashlib.sha256(f"{build_sha()} {settings!r}".encode()).hexdigest()[:16]
