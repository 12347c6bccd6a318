"""Merges commits without a work tree, by `git merge-tree` on a mirror, with the result of `git merge`.

New objects go to a temporary directory with the mirror's objects as alternate, so trial merges leave no trace and need
no lock. Attributes, filters and merge drivers of the repository have no effect: a bare repository has no
`.gitattributes` in force, and the bot's configuration defines no driver (GitHub does not run them either).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.git.conflict_files import ConflictedFile, MergeConflict, read_conflict_files
from adapters.git.conflict_lines import LineRange
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text
from adapters.git.merge_tree import CommitPair, DiskFullError, MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.process import GitError, parse_output
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
    mirror: Mirror, pairs: Sequence[CommitPair], *, lines: bool = False
) -> tuple[MergeResult | MergeError, ...]:
    """Merge each pair, in one git process for all; the results are in the order of the pairs.

    A pair without a verdict has a MergeError in its place, so that one broken branch does not hide the
    others.
    """
    in_memory = mirror.in_memory
    async with mirror.read_lock():
        try:
            return await _merge_all(mirror, pairs, lines=lines)
        except DiskFullError:
            if not in_memory:
                raise
            return await _merge_all(mirror, pairs, lines=lines)


async def _merge_all(
    mirror: Mirror, pairs: Sequence[CommitPair], *, lines: bool
) -> tuple[MergeResult | MergeError, ...]:
    results: dict[int, MergeResult | MergeError] = {}
    commits = await _resolve_commits(mirror, pairs)
    pending: list[tuple[int, CommitPair]] = []
    for index, pair in enumerate(pairs):
        missing = [name for name in pair if name not in commits]
        if missing:
            results[index] = MergeError(f"{missing[0][:200]!r} is not a commit that was fetched")
        else:
            pending.append((index, (commits[pair[0]], commits[pair[1]])))
    if not pending:
        return tuple(results[index] for index in range(len(pairs)))
    async with scratch_objects(mirror) as scratch:
        merges = await run_merges(mirror, [pair for _, pair in pending], scratch.environment)
        for (index, _), merge in zip(pending, merges, strict=True):
            results[index] = merge if isinstance(merge, MergeError) else MergeResult(merge.clean, merge.tree)
        conflicting = [
            (index, merge, MergeConflict.from_merge(merge, pair))
            for (index, pair), merge in zip(pending, merges, strict=True)
            if isinstance(merge, ParsedMerge) and not merge.clean
        ]
        files = await read_conflict_files(mirror, scratch, [conflict for _, _, conflict in conflicting], lines=lines)
        for (index, merge, _), conflict_files in zip(conflicting, files, strict=True):
            results[index] = MergeResult(merge.clean, merge.tree, conflict_files, merge.messages)
    return tuple(results[index] for index in range(len(pairs)))


async def touched_files(mirror: Mirror, base: str, head: str) -> frozenset[str]:
    """Return the paths that `head` changed since it left `base`; a renamed file counts with both names.

    Raises MergeError when a commit is missing or the two have no common ancestor.
    """
    async with mirror.read_lock():
        commits = await _resolve_commits(mirror, [(base, head)])
        for name in (base, head):
            if name not in commits:
                raise MergeError(f"{name[:200]!r} is not a commit that was fetched")
        arguments = ("diff", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=none", "-z")
        try:
            result = await mirror.git.run(*arguments, f"{commits[base]}...{commits[head]}", git_dir=mirror.path)
        except GitError as error:
            raise MergeError(f"the changes cannot be listed: {error.stderr}") from error
        return await parse_output(_parse_paths, result.stdout)


def _parse_paths(output: bytes) -> frozenset[str]:
    return frozenset(path_text(path) for path in output.split(b"\0") if path)


async def commits_containing(mirror: Mirror, commit: str) -> frozenset[str]:
    """The fetched commits whose history has this one in it, by full SHA. Raises GitError if it is missing."""
    result = await mirror.git.run(
        "for-each-ref", "--contains", commit, "--format=%(objectname)", "refs/mirror/", git_dir=mirror.path
    )
    return frozenset(result.stdout.decode().split())


async def is_ancestor(mirror: Mirror, sha: str, commit: str) -> bool:
    """Whether the history of a fetched commit has this one in it; one that is not here is in none."""
    if not is_object_name(sha):
        return False
    result = await mirror.git.run(
        "merge-base", "--is-ancestor", sha, commit, git_dir=mirror.path, allowed_statuses=(0, 1, 128)
    )
    return result.exit_status == 0


async def _resolve_commits(mirror: Mirror, pairs: Sequence[CommitPair]) -> dict[str, str]:
    """Find the commits behind the names; a name that leads to none is left out."""
    names = dict.fromkeys(name for pair in pairs for name in pair)
    ids = [name for name in names if is_object_name(name)]
    try:
        refs = await mirror.resolve_refs(name for name in names if name.startswith("refs/"))
        infos = await mirror.git.objects.info(mirror.path, map(str.encode, ids))
    except ValueError as error:
        raise MergeError(str(error)) from error
    except GitError as error:
        raise MergeError(f"the mirror cannot be read: {error.stderr}") from error
    resolved = {ref: commit for ref, commit in refs.items() if commit is not None}
    id_infos = zip(ids, infos, strict=True)
    return resolved | {name: name for name, info in id_infos if info is not None and info.kind == "commit"}


__all__ = [
    "ConflictedFile",
    "LineRange",
    "MergeError",
    "MergeResult",
    "commits_containing",
    "merge_tree",
    "merge_trees",
    "touched_files",
]
