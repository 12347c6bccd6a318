"""Inspects a repository without a work tree: files, symbols, history.

Everything is bounded in time and in what is read, and nothing of the repository is executed: no filter, no text
conversion, no program that checks signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from adapters.git.mirror import Mirror, local_ref_name
from adapters.git.process import Git, GitError, GitTimeoutError, parse_output

MAX_FILES = 100_000
"""Files of a repository that are known by name; of more, the rest counts as not there."""

_MAX_LISTING_BYTES = 16 << 20  # bytes of a list of files, about 200,000 paths
_MAX_SEARCH_BYTES = 1 << 20  # bytes of what a search finds: a name that is in more places says nothing
_MAX_LOG_BYTES = 16 << 20  # bytes of a history
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STATUSES = frozenset("AMDTUXB")


@dataclass(frozen=True, slots=True)
class HistoryCommit:
    """One commit of the main line: its message, and the paths that it added, changed or removed against its parent."""

    sha: str
    parents: tuple[str, ...]
    message: str
    path_changes: tuple[tuple[str, str], ...]  # `A`, `M`, `D` or `T`, and the path

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that it touched."""
        return tuple(path for _, path in self.path_changes)


async def list_files(git: Git, git_dir: Path, commit: str, *, timeout_seconds: float) -> list[str]:
    """The paths of a commit. Raises GitError, and GitTimeoutError after so many seconds."""
    result = await git.run(
        "ls-tree",
        "-r",
        "-z",
        "--name-only",
        "--full-tree",
        commit,
        git_dir=git_dir,
        timeout_seconds=timeout_seconds,
        max_bytes=_MAX_LISTING_BYTES,
        truncate=True,
    )
    return await parse_output(_parse_listing, result.stdout)


async def find_symbols(
    git: Git, git_dir: Path, commit: str, symbols: Sequence[str], *, timeout_seconds: float
) -> dict[str, tuple[str, ...]]:
    """For each of these names, the files of a commit in which it stands as a word of its own, in order.

    After so many seconds the names that are left are not looked for. Raises GitError.
    """
    files_by_symbol: dict[str, tuple[str, ...]] = {}
    deadline = monotonic() + timeout_seconds
    # One search each, and only for the files: showing what matched takes quadratic time in a line as long as a file.
    options = ("-I", "-l", "-w", "-F", "-z", "--full-name", "--no-color", "--no-textconv")
    for symbol in symbols:
        remaining_seconds = deadline - monotonic()
        if remaining_seconds <= 0:
            break
        try:
            result = await git.run(
                "grep",
                *options,
                "-e",
                symbol,
                commit,
                git_dir=git_dir,
                allowed_statuses=(0, 1),
                timeout_seconds=remaining_seconds,
                max_bytes=_MAX_SEARCH_BYTES,
                truncate=True,
            )
        except GitTimeoutError:
            break
        files = result.stdout.split(b"\0")[:-1]
        if files and len(result.stdout) < _MAX_SEARCH_BYTES:
            files_by_symbol[symbol] = tuple(_path_text(file.partition(b":")[2]) for file in files)
    return files_by_symbol


async def read_history(
    git: Git, git_dir: Path, commit: str, limit: int, *, timeout_seconds: float, after: str | None = None
) -> list[HistoryCommit]:
    """The latest commits of the main line up to `commit`, newest first, at most so many; only those `after` another.

    A merge is one change: what it brought, against its first parent. Raises GitError, and GitTimeoutError.
    """
    result = await git.run(
        "log",
        "-z",
        f"--max-count={limit}",
        "--first-parent",
        "--diff-merges=first-parent",
        "--root",
        "--name-status",
        "--no-renames",
        "--no-ext-diff",
        "--no-textconv",
        "--no-show-signature",
        "--no-color",
        "--no-decorate",
        "--encoding=UTF-8",
        "--format=%H%x00%P%x00%B",
        commit if after is None else f"{after}..{commit}",
        "--",
        git_dir=git_dir,
        timeout_seconds=timeout_seconds,
        max_bytes=_MAX_LOG_BYTES,
        truncate=True,
    )
    return await parse_output(lambda output: list(_parse_log(output)), result.stdout)


def _parse_listing(output: bytes) -> list[str]:
    paths = output.split(b"\0")[:-1]  # the last one is empty, or was cut off
    return [_path_text(path) for path in paths[:MAX_FILES]]


def _parse_log(output: bytes) -> Iterator[HistoryCommit]:
    """The fields are: commit, parents, message, then state and path of each file; then the next commit."""
    fields, index = output.split(b"\0"), 0
    while index + 2 < len(fields):
        sha, parents, message = (field.decode("utf-8", "replace") for field in fields[index : index + 3])
        if not sha.strip():
            index += 1
            continue
        index += 3
        path_changes = []
        while index + 1 < len(fields) and fields[index].strip().decode("utf-8", "replace") in _STATUSES:
            path_changes.append((fields[index].strip().decode(), _path_text(fields[index + 1])))
            index += 2
        yield HistoryCommit(sha.strip(), tuple(parents.split()), message.strip(), tuple(path_changes))


def _path_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


async def resolve_ref(mirror: Mirror, ref: str) -> str | None:
    """The commit that a ref had when it was last fetched; None when it is not here.

    A ref that was just fetched is a file, and reading that takes no process: this is asked for every issue.
    """
    return _read_loose_ref(mirror.path / local_ref_name(ref)) or await mirror.get_commit(ref)


def _read_loose_ref(file: Path) -> str | None:
    try:
        text = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return text if _COMMIT.fullmatch(text) else None


async def resolve_commit(git: Git, git_dir: Path, ref: str) -> str | None:
    """The commit of a ref or of `HEAD`; None if there is none."""
    arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    result = await git.run(*arguments, git_dir=git_dir, allowed_statuses=(0, 1, 128))
    if result.exit_status == 128 and result.stderr.strip():
        raise GitError("rev-parse", result.exit_status, result.stderr.decode("utf-8", "replace").strip())
    return result.stdout.decode().strip() or None
