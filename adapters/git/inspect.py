"""Looking into a repository without a work tree: its files, where a name is in them, and what was done to it.

Everything is bounded in time and in what is read, and nothing of the repository is executed: no filter, no text
conversion, no program that checks signatures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from adapters.git.mirror import Mirror, local_ref
from adapters.git.process import Git, GitError, GitTimeoutError

MAX_FILES = 100_000
"""Files of a repository that are known by name; of more, the rest counts as not there."""

_LISTING = 16 << 20  # bytes of a list of files, about 200,000 paths
_FOUND = 1 << 20  # bytes of what a search finds: a name that is in more places says nothing
_HISTORY = 64 << 20  # bytes of a history
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_STATES = frozenset("AMDTUXB")


@dataclass(frozen=True, slots=True)
class Change:
    """One commit of the main line: its message, and the paths that it added, changed or removed against its parent."""

    sha: str
    parents: tuple[str, ...]
    message: str
    touched: tuple[tuple[str, str], ...]  # `A`, `M`, `D` or `T`, and the path

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that it touched."""
        return tuple(path for _, path in self.touched)


async def files_at(git: Git, git_dir: Path, commit: str, *, seconds: float) -> list[str]:
    """The paths of a commit. Raises GitError, and GitTimeoutError after so many seconds."""
    listed = await git.run(
        "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit, git_dir=git_dir, within=seconds, most=_LISTING
    )
    paths = listed.stdout.split(b"\0")[:-1]  # the last one is empty, or was cut off
    return [_path(path) for path in paths[:MAX_FILES]]


async def files_with(
    git: Git, git_dir: Path, commit: str, symbols: Sequence[str], *, seconds: float
) -> dict[str, tuple[str, ...]]:
    """For each of these names, the files of a commit in which it stands as a word of its own, in order.

    After so many seconds the names that are left are not looked for. Raises GitError.
    """
    where: dict[str, tuple[str, ...]] = {}
    until = monotonic() + seconds
    # One search each, and only for the files: showing what matched takes quadratic time in a line as long as a file.
    options = ("-I", "-l", "-w", "-F", "-z", "--full-name", "--no-color", "--no-textconv")
    for symbol in symbols:
        left = until - monotonic()
        if left <= 0:
            break
        try:
            found = await git.run(
                "grep", *options, "-e", symbol, commit, git_dir=git_dir, ok=(0, 1), within=left, most=_FOUND
            )
        except GitTimeoutError:
            break
        files = found.stdout.split(b"\0")[:-1]
        if files and len(found.stdout) < _FOUND:
            where[symbol] = tuple(_path(file.partition(b":")[2]) for file in files)
    return where


async def history(
    git: Git, git_dir: Path, commit: str, most: int, *, seconds: float, after: str | None = None
) -> list[Change]:
    """The latest commits of the main line up to `commit`, newest first, at most so many; only those `after` another.

    A merge is one change: what it brought, against its first parent. Raises GitError, and GitTimeoutError.
    """
    said = await git.run(
        "log",
        "-z",
        f"--max-count={most}",
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
        within=seconds,
        most=_HISTORY,
    )
    return list(_changes(said.stdout.split(b"\0")))


def _changes(fields: Sequence[bytes]) -> Iterator[Change]:
    """The fields are: commit, parents, message, then state and path of each file; then the next commit."""
    at = 0
    while at + 2 < len(fields):
        sha, parents, message = (field.decode("utf-8", "replace") for field in fields[at : at + 3])
        if not sha.strip():
            at += 1
            continue
        at += 3
        touched = []
        while at + 1 < len(fields) and fields[at].strip().decode("utf-8", "replace") in _STATES:
            touched.append((fields[at].strip().decode(), _path(fields[at + 1])))
            at += 2
        yield Change(sha.strip(), tuple(parents.split()), message.strip(), tuple(touched))


def _path(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


async def mirrored(mirror: Mirror, ref: str) -> str | None:
    """The commit that a ref had when it was last fetched; None when it is not here.

    A ref that was just fetched is a file, and reading that takes no process: this is asked for every issue.
    """
    return _loose(mirror.path / local_ref(ref)) or await mirror.commit(ref)


def _loose(file: Path) -> str | None:
    try:
        said = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return said if _COMMIT.fullmatch(said) else None


async def tip(git: Git, git_dir: Path, ref: str) -> str | None:
    """The commit of a ref or of `HEAD`; None where there is none."""
    named = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    found = await git.run(*named, git_dir=git_dir, ok=(0, 1, 128))
    if found.exit == 128 and found.stderr.strip():
        raise GitError("rev-parse", found.exit, found.stderr.decode("utf-8", "replace").strip())
    return found.stdout.decode().strip() or None
