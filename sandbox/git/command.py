"""Run git without hooks, prompts or the machine's configuration; bytes in and bytes out."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cachetools import LRUCache

FULL_SHA = re.compile(r"[0-9a-f]{40}")
MAX_CACHED_BYTES = 1024 * 1024  # bytes of a result that is cached
_OUTPUT_CACHE: LRUCache[tuple[str, ...], bytes] = LRUCache(32 * MAX_CACHED_BYTES, getsizeof=len)


class GitCommandError(Exception):
    """Git refused a command; the text is git's message."""

    def __init__(self, arguments: Sequence[str], status: int, stderr: str) -> None:
        super().__init__(f"git {' '.join(arguments)} ended with status {status}: {stderr.strip()}")
        self.status = status
        self.stderr = stderr


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every git process: the machine's own configuration must not change a test's result.

    Proxies of the machine are left out too: the sandbox only ever talks to 127.0.0.1.
    """
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TEMPLATE_DIR": "",  # no sample hooks: fifteen files fewer to write and remove for each clone
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "GIT_AUTHOR_NAME": "GitHub Sandbox",
        "GIT_AUTHOR_EMAIL": "sandbox@example.com",
        "GIT_COMMITTER_NAME": "GitHub Sandbox",
        "GIT_COMMITTER_EMAIL": "sandbox@example.com",
        **(extra or {}),
    }


async def run_git(
    arguments: Sequence[str],
    *,
    directory: Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    allowed_statuses: Sequence[int] = (0,),
) -> tuple[int, bytes]:
    """Run git without blocking the event loop and return (exit status, standard output).

    Cancelling the caller kills the process. Raises GitError when the status is not one of `allowed`.
    """
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        cwd=directory,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=git_environment(environment),
    )
    try:
        stdout, stderr = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    status = await process.wait()
    if status not in allowed_statuses:
        raise GitCommandError(arguments, status, stderr.decode(errors="replace"))
    return status, stdout


async def cached_git_output(arguments: Sequence[str], object_ids: Sequence[str], *, directory: Path) -> bytes:
    """As `git_process`, for a query that does not change the repository.

    When all `names` are full ids the result is the same in every repository and is cached.
    """
    is_cacheable = all(FULL_SHA.fullmatch(name) for name in object_ids)
    key = tuple(arguments)
    if is_cacheable and (cached := _OUTPUT_CACHE.get(key)) is not None:
        return cached
    _, output = await run_git(arguments, directory=directory)
    if is_cacheable and len(output) <= MAX_CACHED_BYTES:
        _OUTPUT_CACHE[key] = output
    return output
