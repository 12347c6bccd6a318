"""Merges tried without a work tree, by `git merge-tree` on a mirror: the verdict that a real `git merge`
would give.

New objects go to a throw-away directory with the mirror's objects as alternate, so trying merges leaves no
trace and needs no lock. Attributes, filters and merge drivers of the repository play no part: a bare
repository has no `.gitattributes` in force, and our configuration defines no driver (GitHub does not run them
either).
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from adapters.git.conflict_lines import LineRange, conflict_lines
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text, read_merges
from adapters.git.mirror import Mirror
from adapters.git.runner import GitError, GitTimeoutError

Pair = tuple[str, str]
_LINES_OF: Final = 50
"""Conflicting files in one merge whose lines are looked up; GitHub takes 50 annotations in one request."""


class MergeError(Exception):
    """No verdict: a commit is not in the mirror, the histories are unrelated, or git failed. Never means
    conflict.
    """


@dataclass(frozen=True, slots=True)
class ConflictedFile:
    r"""A file in conflict.

    `path` is text: bytes that are no UTF-8 are written `\xff`. `kind` is git's name for the conflict:
    `contents`, `modify/delete`, `rename/delete`, `add/add`, `file/directory`, `binary`, …. `ours` and
    `theirs` are the lines of the conflict in each side's own version of the file, empty when not asked for or
    when there are none to name.
    """

    path: str
    kind: str
    ours: tuple[LineRange, ...] = ()
    theirs: tuple[LineRange, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The verdict on one pair; `tree` is the merged tree's id, `messages` what git says of conflicts."""

    clean: bool
    tree: str | None
    files: tuple[ConflictedFile, ...] = ()
    messages: tuple[str, ...] = ()


async def merge_tree(mirror: Mirror, ours: str, theirs: str, *, lines: bool = True) -> MergeResult:
    """Merge two commits (full SHA, or a ref that was fetched) and say what comes of it.

    With `lines` the conflicting lines of each file are named. Raises MergeError, never a guess.
    """
    [result] = await merge_trees(mirror, [(ours, theirs)], lines=lines)
    if isinstance(result, MergeError):
        raise result
    return result


async def merge_trees(
    mirror: Mirror, pairs: Sequence[Pair], *, lines: bool = False
) -> tuple[MergeResult | MergeError, ...]:
    """Merge each pair, in one git process for all; the results stand in the order of the pairs.

    A pair without a verdict has a MergeError in its place, so that one broken branch does not hide the
    others.
    """
    results: dict[int, MergeResult | MergeError] = {}
    commits = await _commits(mirror, pairs)
    todo: list[tuple[int, Pair]] = []
    for index, pair in enumerate(pairs):
        missing = [name for name in pair if name not in commits]
        if missing:
            results[index] = MergeError(f"{missing[0][:200]!r} is not a commit that was fetched")
        else:
            todo.append((index, (commits[pair[0]], commits[pair[1]])))
    if not todo:
        return tuple(results[index] for index in range(len(pairs)))
    async with scratch_objects(mirror) as environment:
        while todo:
            merged, failure = await _run(mirror, [pair for _, pair in todo], environment)
            for (index, pair), parsed in zip(todo, merged, strict=False):
                results[index] = await _result(mirror, pair, parsed, environment, lines)
            done = len(merged)
            if failure is not None:
                # git stops at the first pair it cannot merge; that one has no verdict, the rest get another
                # run.
                results[todo[done][0]] = failure
                done += 1
            todo = todo[done:]
    return tuple(results[index] for index in range(len(pairs)))


async def touched_files(mirror: Mirror, base: str, head: str) -> frozenset[str]:
    """Give the paths that `head` changed since it left `base`; a renamed file counts with both names.

    Raises MergeError when a commit is missing or the two have no common ancestor.
    """
    commits = await _commits(mirror, [(base, head)])
    for name in (base, head):
        if name not in commits:
            raise MergeError(f"{name[:200]!r} is not a commit that was fetched")
    arguments = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", "-z")
    try:
        listed = await mirror.git.run(*arguments, f"{commits[base]}...{commits[head]}", git_dir=mirror.path)
    except GitError as error:
        raise MergeError(f"the changes cannot be listed: {error.stderr}") from error
    return frozenset(path_text(path) for path in listed.stdout.split(b"\0") if path)


@asynccontextmanager
async def scratch_objects(mirror: Mirror) -> AsyncIterator[dict[str, str]]:
    """Give the environment in which git writes new objects to a directory that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="merge-", dir=mirror.path.parent) as folder:
        yield {
            "GIT_OBJECT_DIRECTORY": folder,
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(mirror.path / "objects"),
        }


async def _commits(mirror: Mirror, pairs: Sequence[Pair]) -> dict[str, str]:
    """Find the commits behind the names; a name that leads to none is left out."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    found: dict[str, str] = {}
    for name in names:
        if name.startswith("refs/"):
            try:
                commit = await mirror.commit(name)
            except (ValueError, GitError) as error:
                raise MergeError(str(error)) from error
            if commit is not None:
                found[name] = commit
        elif is_object_name(name):
            found[name] = name
    asked = list(found)
    if not asked:
        return {}
    questions = "".join(f"{found[name]}\n" for name in asked).encode()
    try:
        answer = await mirror.git.run("cat-file", "--batch-check=%(objecttype)", git_dir=mirror.path, stdin=questions)
    except GitError as error:
        raise MergeError(f"the mirror cannot be read: {error.stderr}") from error
    kinds = answer.stdout.splitlines()
    return {name: found[name] for name, kind in zip(asked, kinds, strict=True) if kind == b"commit"}


async def _run(
    mirror: Mirror, pairs: Sequence[Pair], environment: dict[str, str]
) -> tuple[list[ParsedMerge], MergeError | None]:
    questions = "".join(f"{ours} {theirs}\n" for ours, theirs in pairs).encode()
    try:
        done = await mirror.git.run(
            "merge-tree",
            "--write-tree",
            "-z",
            "--stdin",
            git_dir=mirror.path,
            stdin=questions,
            environment=environment,
            ok=range(-64, 256),
        )
    except GitTimeoutError as error:
        raise MergeError(f"the merge took too long: {error.stderr}") from error
    except GitError as error:
        raise MergeError(f"the merge cannot be tried: {error.stderr}") from error
    said = done.stderr.decode("utf-8", "replace").strip()[-500:]
    if any(line.startswith(b"error:") for line in done.stderr.splitlines()):
        # Before 2.44 git takes a tree it cannot read for an empty one, goes on, and calls the result clean.
        mirror.distrust()
        raise MergeError(f"the mirror is damaged, the next fetch makes it anew: {said}")
    try:
        merged = read_merges(done.stdout, whole=done.exit == 0)
    except ValueError as error:
        raise MergeError(f"git's answer is not understood: {error}") from error
    if done.exit == 0:
        if len(merged) != len(pairs):
            raise MergeError(f"git answered {len(merged)} of {len(pairs)} merges")
        return merged, None
    if "unrelated histories" not in said:
        # Both commits are there, so something they need is not: the mirror has lost objects.
        mirror.distrust()
    if len(merged) >= len(pairs):
        raise MergeError(f"git merge-tree failed with status {done.exit}: {said}")
    return merged, MergeError(said or f"git merge-tree failed with status {done.exit}")


async def _result(
    mirror: Mirror, pair: Pair, parsed: ParsedMerge, environment: dict[str, str], lines: bool
) -> MergeResult:
    files: list[ConflictedFile] = []
    for conflict in parsed.files:
        ours: tuple[LineRange, ...] = ()
        theirs: tuple[LineRange, ...] = ()
        sides = conflict.stages
        if lines and len(files) < _LINES_OF and sides.get(2) and sides.get(3):
            try:
                ours, theirs = await conflict_lines(
                    mirror.git, mirror.path, environment, pair, parsed.tree, conflict.raw_path, sides
                )
            except GitError as error:
                raise MergeError(f"the conflict cannot be read: {error.stderr}") from error
        path = _own_path(path_text(conflict.raw_path), pair)
        files.append(ConflictedFile(path, conflict.kind, ours, theirs))
    return MergeResult(parsed.clean, parsed.tree, tuple(files), parsed.messages)


def _own_path(path: str, pair: Pair) -> str:
    """Undo git's moving aside of a file where the other side has a folder: `d~<commit>` is `d`."""
    for commit in pair:
        path = path.removesuffix(f"~{commit}")
    return path


__all__ = [
    "ConflictedFile",
    "LineRange",
    "MergeError",
    "MergeResult",
    "merge_tree",
    "merge_trees",
    "scratch_objects",
    "touched_files",
]
