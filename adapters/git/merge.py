"""Merges tried without a work tree, by `git merge-tree` on a mirror: the verdict that a real `git merge`
would give.

New objects go to a throw-away directory with the mirror's objects as alternate, so trying merges leaves no
trace and needs no lock. Attributes, filters and merge drivers of the repository play no part: a bare
repository has no `.gitattributes` in force, and our configuration defines no driver (GitHub does not run them
either).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.git.conflict_files import Conflict, ConflictedFile, conflicted_files
from adapters.git.conflict_lines import LineRange
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text
from adapters.git.merge_tree import MergeError, NoRoomError, Pair, run_merges
from adapters.git.mirror import Mirror
from adapters.git.process import GitError
from adapters.git.scratch import scratch_objects


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
    in_memory = mirror.in_memory
    async with mirror.reading():
        try:
            return await _merged(mirror, pairs, lines=lines)
        except NoRoomError:
            if not in_memory:
                raise
            return await _merged(mirror, pairs, lines=lines)


async def _merged(mirror: Mirror, pairs: Sequence[Pair], *, lines: bool) -> tuple[MergeResult | MergeError, ...]:
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
    async with scratch_objects(mirror) as scratch:
        tried = await run_merges(mirror, [pair for _, pair in todo], scratch.environment)
        for (index, _), merged in zip(todo, tried, strict=True):
            results[index] = merged if isinstance(merged, MergeError) else MergeResult(merged.clean, merged.tree)
        dirty = [
            (index, merged, Conflict.of(merged, pair))
            for (index, pair), merged in zip(todo, tried, strict=True)
            if isinstance(merged, ParsedMerge) and not merged.clean
        ]
        files = await conflicted_files(mirror, scratch, [conflict for _, _, conflict in dirty], lines=lines)
        for (index, merged, _), its in zip(dirty, files, strict=True):
            results[index] = MergeResult(merged.clean, merged.tree, its, merged.messages)
    return tuple(results[index] for index in range(len(pairs)))


async def touched_files(mirror: Mirror, base: str, head: str) -> frozenset[str]:
    """Give the paths that `head` changed since it left `base`; a renamed file counts with both names.

    Raises MergeError when a commit is missing or the two have no common ancestor.
    """
    async with mirror.reading():
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


async def holding(mirror: Mirror, commit: str) -> frozenset[str]:
    """The fetched commits whose history has this one in it, by full SHA. Raises GitError where it is missing."""
    listed = await mirror.git.run(
        "for-each-ref", "--contains", commit, "--format=%(objectname)", "refs/mirror/", git_dir=mirror.path
    )
    return frozenset(listed.stdout.decode().split())


async def is_in(mirror: Mirror, sha: str, commit: str) -> bool:
    """Whether the history of a fetched commit has this one in it; one that is not here is in none."""
    if not is_object_name(sha):
        return False
    asked = await mirror.git.run("merge-base", "--is-ancestor", sha, commit, git_dir=mirror.path, ok=(0, 1, 128))
    return asked.exit == 0


async def _commits(mirror: Mirror, pairs: Sequence[Pair]) -> dict[str, str]:
    """Find the commits behind the names; a name that leads to none is left out."""
    names = dict.fromkeys(name for pair in pairs for name in pair)
    ids = [name for name in names if is_object_name(name)]
    try:
        refs = await mirror.here(name for name in names if name.startswith("refs/"))
        infos = await mirror.git.objects.info(mirror.path, map(str.encode, ids))
    except ValueError as error:
        raise MergeError(str(error)) from error
    except GitError as error:
        raise MergeError(f"the mirror cannot be read: {error.stderr}") from error
    found = {ref: commit for ref, commit in refs.items() if commit is not None}
    there = zip(ids, infos, strict=True)
    return found | {name: name for name, info in there if info is not None and info.kind == "commit"}


__all__ = [
    "ConflictedFile",
    "LineRange",
    "MergeError",
    "MergeResult",
    "holding",
    "merge_tree",
    "merge_trees",
    "touched_files",
]
