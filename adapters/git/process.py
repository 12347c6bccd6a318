"""Runs git as a child process: with a clean environment, a time limit, and errors without tokens.

The child sees only the bot's configuration: neither the system's nor a user's, no hooks, no credential helpers, no
prompts, no other protocols than HTTP(S). So nothing that a repository or a machine contains is ever executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from adapters.git.batch_process import kill_group
from adapters.git.errors import GitError, GitLimitError, GitTimeoutError
from adapters.git.object_reader import ObjectReaders

MIN_GIT_VERSION: Final = (2, 39)
"""`merge-tree --write-tree` came with 2.38, its `--stdin` mode, which we use, with 2.39."""

MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024
"""Bytes that a command may print: strangers' pull requests decide how much that is."""

_PARSE_INLINE_BYTES: Final = 256 * 1024
"""Bytes of output that are parsed at once; more are parsed in a thread, so that nothing waits for it."""

_MAX_STDERR_BYTES: Final = 64 * 1024
_STDERR_TAIL: Final = 2000
_CHUNK_BYTES: Final = 256 * 1024
_OUT_OF_MEMORY: Final = re.compile(rb"[Oo]ut of memory|Cannot allocate memory")
_INHERITED_VARIABLES: Final = (
    "PATH",
    "TMPDIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)
"""What a machine may need to reach the network at all; everything else of our environment stays with us."""


_Parsed = TypeVar("_Parsed")


class _OutputLimit(Exception):
    """The child has said as much as was to be read."""


@dataclass(frozen=True, slots=True)
class GitResult:
    """What a git command left behind."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Git:
    """Starts git. `timeout` is in seconds and holds for each command; `allow_file_protocol` is for tests
    alone.

    `keep` is how many processes that look up objects stay alive between requests, one per repository, each until it
    has been idle for `idle_seconds`. With `keep` above 0 the owner must call `close`.
    """

    def __init__(
        self,
        *,
        timeout: float = 120.0,
        allow_file_protocol: bool = False,
        executable: str = "git",
        max_readers: int = 0,
        idle_seconds: float = 60.0,
    ) -> None:
        self.timeout = timeout
        self.objects = ObjectReaders(self, max_readers=max_readers, idle_seconds=idle_seconds)
        self._executable = executable
        self._config = {
            "core.hooksPath": os.devnull,
            "core.attributesFile": os.devnull,
            "core.fsmonitor": "false",
            "credential.helper": "",
            "gc.autoDetach": "false",  # housekeeping must end with the command, not live on behind our back
            "maintenance.autoDetach": "false",
            "protocol.allow": "never",
            "protocol.http.allow": "always",
            "protocol.https.allow": "always",
            "protocol.file.allow": "always" if allow_file_protocol else "never",
            "http.followRedirects": "false",  # where a server sends us was checked by no one
            "core.sharedRepository": "0600",  # what is fetched is for no other user of the machine
            "fetch.recurseSubmodules": "false",
            "submodule.recurse": "false",
            "fetch.writeCommitGraph": "true",  # else each search for a merge base reads every commit of the history
            "transfer.credentialsInUrl": "die",
        }

    async def run(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        allowed_statuses: Collection[int] = (0,),
        secrets: Sequence[str] = (),
        min_timeout_seconds: float | None = None,
        timeout_seconds: float | None = None,
        max_bytes: int = MAX_OUTPUT_BYTES,
        truncate: bool = False,
        max_memory_bytes: int | None = None,
    ) -> GitResult:
        """Run one git command to its end, in `min_timeout_seconds` if that is more than the time every command has.

        `timeout_seconds` is the time instead of that one. A command that prints more than `max_bytes` is killed; with
        `truncate` what was read by then counts as all of its output. `max_memory_bytes` holds on Linux.

        `config` is handed over in the child's environment, so that neither disk nor process list shows it.
        Raises GitError for an exit status outside `allowed_statuses`, GitTimeoutError, GitLimitError, and GitError
        also when git is not installed; `secrets` are cut out of what git says. When the caller is cancelled the child
        is killed first.
        """
        command = arguments[0]
        timeout = max(self.timeout, min_timeout_seconds or 0.0) if timeout_seconds is None else timeout_seconds
        output, error_output = bytearray(), bytearray()
        process = await self.start(*arguments, git_dir=git_dir, environment=environment, config=config)
        try:
            if max_memory_bytes is not None and sys.platform == "linux":
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_DATA, (max_memory_bytes, max_memory_bytes))
            async with asyncio.timeout(timeout):
                await asyncio.gather(
                    _feed(process.stdin, stdin),
                    _drain(process.stdout, output, max_bytes),
                    _drain_tail(process.stderr, error_output),
                )
                await process.wait()
        except _OutputLimit:
            if not truncate:
                raise GitLimitError(command, f"{max_bytes:,} bytes of output", bytes(output[:max_bytes])) from None
            return GitResult(0, bytes(output[:max_bytes]), bytes(error_output))
        except TimeoutError:
            raise GitTimeoutError(command, timeout, bytes(output)) from None
        finally:
            await _kill(process)
        result = GitResult(process.returncode or 0, bytes(output), bytes(error_output))
        if max_memory_bytes is not None and result.exit_status and _OUT_OF_MEMORY.search(result.stderr):
            raise GitLimitError(command, f"{max_memory_bytes:,} bytes of memory", result.stdout)
        if result.exit_status not in allowed_statuses:
            tail = result.stderr[-4 * _STDERR_TAIL :].decode("utf-8", "replace")
            raise GitError(command, result.exit_status, _redact(tail, secrets)[-_STDERR_TAIL:].strip())
        return result

    async def start(
        self,
        *arguments: str,
        git_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        line_limit: int = _CHUNK_BYTES,
    ) -> asyncio.subprocess.Process:
        """Start git and leave the rest to the caller, who must end it; `line_limit` is in bytes. Raises GitError."""
        try:
            return await asyncio.create_subprocess_exec(
                self._executable,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd="/" if git_dir is None else git_dir,
                env=self._environment(git_dir, environment or {}, config or {}),
                start_new_session=True,  # a group of its own, so that its helpers die with it
                umask=0o077,
                limit=line_limit,
            )
        except OSError as error:
            raise GitError(arguments[0], -1, f"cannot start: {error.strerror}") from error

    async def close(self) -> None:
        """End the processes that were kept."""
        await self.objects.close()

    def _environment(self, git_dir: Path | None, extra: Mapping[str, str], config: Mapping[str, str]) -> dict[str, str]:
        settings = {**self._config, **config}
        environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        environment |= {
            "HOME": os.devnull,  # no ~/.netrc, no ~/.gitconfig
            "XDG_CONFIG_HOME": os.devnull,
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_COUNT": str(len(settings)),
        }
        for index, (key, value) in enumerate(settings.items()):
            environment[f"GIT_CONFIG_KEY_{index}"] = key
            environment[f"GIT_CONFIG_VALUE_{index}"] = value
        if git_dir is not None:
            environment["GIT_DIR"] = str(git_dir)
        return {**environment, **extra}


async def parse_output(parse: Callable[[bytes], _Parsed], output: bytes) -> _Parsed:
    """What `parse` makes of an output; a large one is parsed off the event loop."""
    return parse(output) if len(output) <= _PARSE_INLINE_BYTES else await asyncio.to_thread(parse, output)


async def check_git_version(git: Git) -> tuple[int, int]:
    """Return git's version; RuntimeError with a sentence for the operator when it is missing or too old."""
    required = ".".join(map(str, MIN_GIT_VERSION))
    try:
        output = (await git.run("version")).stdout.decode("utf-8", "replace")
    except GitError as error:
        raise RuntimeError(f"git cannot be run ({error.stderr}); install git {required} or newer") from error
    match = re.search(r"(\d+)\.(\d+)", output)
    if match is None:
        raise RuntimeError(f"git reports {output.strip()[:80]!r} as its version; install git {required} or newer")
    version = int(match[1]), int(match[2])
    if version < MIN_GIT_VERSION:
        actual = ".".join(map(str, version))
        raise RuntimeError(f"git {actual} is too old for merges without a work tree; install git {required} or newer")
    return version


async def _feed(stream: asyncio.StreamWriter | None, stdin: bytes) -> None:
    if stream is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read all of it
        stream.write(stdin)
        await stream.drain()
        stream.close()
        await stream.wait_closed()


async def _drain(stream: asyncio.StreamReader | None, buffer: bytearray, max_bytes: int) -> None:
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        buffer += chunk
        if len(buffer) >= max_bytes:
            raise _OutputLimit


async def _drain_tail(stream: asyncio.StreamReader | None, buffer: bytearray) -> None:
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        buffer += chunk
        del buffer[:-_MAX_STDERR_BYTES]


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        kill_group(process)
        # Shielded: a second cancellation must not leave a zombie behind.
        await asyncio.shield(process.wait())


def _redact(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return re.sub(r"(https?://)[^/\s@]+@", r"\1***@", text)


__all__ = ["Git", "GitError", "GitLimitError", "GitResult", "GitTimeoutError", "check_git_version", "parse_output"]
