"""Tries branches on their base: whether each merges, and what it changes there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from adapters.git.changes import NO_CHANGES, Changes, read_changes
from adapters.git.conflict_files import ConflictedFile, MergeConflict, original_path, read_conflict_files
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text, raw_path
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.process import GitLimitError, parse_output
from adapters.git.scratch import ScratchObjects

PORTION_SIZE: Final = 256
"""Merges in one process, so that neither what they write nor what they print grows without bound."""

MAX_CHANGED_PATHS: Final = 10_000
"""Paths in which a branch may differ from its base. More are not compared: strangers decide how many there are."""

_MAX_DIFF_BYTES: Final = 8 * 1024 * 1024
"""Bytes of a list of changes that are read: some 60,000 paths, of many branches or of one that is too large."""

_MAX_DIFF_MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Bytes of memory for that: git lists all changes of a branch in memory before it prints the first."""

_Item = TypeVar("_Item")


class TooLargeError(MergeError):
    """The branch changes more paths than are compared."""


@dataclass(frozen=True, slots=True)
class BaseMerge:
    """One branch against its base.

    `clean` is None without a verdict, and `problem` says why. `files` are those in conflict: `ours` are lines of the
    base's version, `theirs` of the head's. `touched` are all paths that merging it changes in the base, as text
    like `ConflictedFile.path`.
    """

    head: str
    clean: bool | None
    files: tuple[ConflictedFile, ...] = ()
    touched: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BranchResult:
    """A branch as tried. `tree` is what it comes to on the base, `made` whether git had to make that tree, and
    `made_files` the edited files that it had to make: the mirror has neither.
    """

    base_merge: BaseMerge
    changes: Changes = NO_CHANGES
    tree: str = ""
    has_new_tree: bool = False
    new_files: frozenset[str] = frozenset()
    is_too_large: bool = False  # and will be, whenever it is tried


async def merge_with_base(
    mirror: Mirror, scratch: ScratchObjects, base: str, base_tree: str | None, heads: Collection[str]
) -> dict[str, BranchResult]:
    """Merge each of these heads with the base, which has this tree (`find_tree`). Raises GitError, MergeError."""
    branches: dict[str, BranchResult] = {}
    for head in heads:
        if base_tree is None or not is_object_name(head):
            missing = base if base_tree is None else head
            branches[head] = BranchResult(
                BaseMerge(head, None, problem=f"{missing[:200]!r} is not a commit that was fetched")
            )
    if base_tree is not None:
        for portion in portions([head for head in heads if head not in branches]):
            branches |= await _merge_portion(mirror, scratch, base, base_tree, portion)
    return branches


async def find_tree(mirror: Mirror, commit: str) -> str | None:
    """The tree of a commit, None if it is none that was fetched. Raises GitError."""
    if not is_object_name(commit):
        return None
    info, tree = await mirror.git.objects.info(mirror.path, [commit.encode(), f"{commit}^{{tree}}".encode()])
    if info is None or tree is None or (info.name, info.kind, tree.kind) != (commit, "commit", "tree"):
        return None
    return tree.name


def portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as are merged in one process."""
    remaining = iter(items)
    while portion := list(islice(remaining, PORTION_SIZE)):
        yield portion


async def _merge_portion(
    mirror: Mirror, scratch: ScratchObjects, base: str, base_tree: str, heads: Sequence[str]
) -> dict[str, BranchResult]:
    head_trees = await _find_trees(mirror, heads)
    # Before they are merged: a few kilobytes can hold millions of paths, which git would all have to look at.
    changes_by_tree = await _diff_trees(mirror, scratch, base_tree, head_trees.values())
    too_large = {head for head, tree in head_trees.items() if changes_by_tree[tree] is None}
    small_heads = [head for head in heads if head not in too_large]
    merges = await run_merges(mirror, [(base, head) for head in small_heads], scratch.environment)
    results: dict[str, ParsedMerge | MergeError] = dict(zip(small_heads, merges, strict=True))
    new_trees = {result.tree for result in merges if isinstance(result, ParsedMerge)} - changes_by_tree.keys()
    changes_by_tree |= await _diff_trees(mirror, scratch, base_tree, new_trees)
    changes: dict[str, Changes] = {}
    for head, result in [*results.items(), *((head, None) for head in too_large)]:
        head_changes = changes_by_tree[result.tree] if isinstance(result, ParsedMerge) else None
        if head_changes is not None:
            changes[head] = head_changes
        elif not isinstance(result, MergeError):
            results[head] = TooLargeError(f"it differs from its base in more than {MAX_CHANGED_PATHS:,} paths")
    parsed_merges = {head: result for head, result in results.items() if isinstance(result, ParsedMerge)}
    conflicts = {
        head: MergeConflict.from_merge(result, (base, head))
        for head, result in parsed_merges.items()
        if not result.clean
    }
    files = dict(zip(conflicts, await read_conflict_files(mirror, scratch, list(conflicts.values())), strict=True))
    branches: dict[str, BranchResult] = {}
    for head, result in results.items():
        if isinstance(result, MergeError):
            base_merge = BaseMerge(head, None, problem=str(result))
            branches[head] = BranchResult(base_merge, is_too_large=isinstance(result, TooLargeError))
        elif result.clean:
            head_changes = changes[head]
            has_new_tree = scratch.has(result.tree)
            new_files = (
                (path for path, edit in head_changes.edited.items() if scratch.has(edit.after[1]))
                if has_new_tree
                else ()
            )
            base_merge = BaseMerge(head, True, touched=_path_texts(head_changes.touched))
            branches[head] = BranchResult(base_merge, head_changes, result.tree, has_new_tree, frozenset(new_files))
        else:
            # What git moved aside, or left in the tree as unresolved, counts with the name that people know.
            paths = (path_text(original_path(raw_path(path), (base, head))) for path in changes[head].touched)
            touched = frozenset((*paths, *(file.path for file in files[head])))
            branches[head] = BranchResult(BaseMerge(head, False, files[head], touched))
    return branches


async def _find_trees(mirror: Mirror, heads: Sequence[str]) -> dict[str, str]:
    """The trees of those heads that were fetched."""
    infos = await mirror.git.objects.info(mirror.path, (f"{head}^{{tree}}".encode() for head in heads))
    return {head: info.name for head, info in zip(heads, infos, strict=True) if info and info.kind == "tree"}


async def _diff_trees(
    mirror: Mirror, scratch: ScratchObjects, base: str, trees: Collection[str]
) -> dict[str, Changes | None]:
    """What each of these trees changes in that of the base; None for more paths than are read."""
    unique_trees = list(dict.fromkeys(trees))
    if not unique_trees:
        return {}
    try:
        result = await mirror.git.run(
            *("diff-tree", "--stdin", "-r", "-t", "--no-renames", "-z"),
            git_dir=mirror.path,
            stdin="".join(f"{base} {tree}\n" for tree in unique_trees).encode(),
            environment=scratch.environment,
            max_bytes=_MAX_DIFF_BYTES,
            max_memory_bytes=_MAX_DIFF_MEMORY_BYTES,
        )
    except GitLimitError:
        if len(unique_trees) == 1:
            return {unique_trees[0]: None}
        middle = len(unique_trees) // 2  # few are that large: find them
        first, second = unique_trees[:middle], unique_trees[middle:]
        return await _diff_trees(mirror, scratch, base, first) | await _diff_trees(mirror, scratch, base, second)
    try:
        changes = await parse_output(read_changes, result.stdout)
        return {
            tree: change if len(change.touched) + len(change.removed_folders) <= MAX_CHANGED_PATHS else None
            for tree, change in zip(unique_trees, changes, strict=True)
        }
    except ValueError as error:
        raise MergeError(f"git's output cannot be parsed: {error}") from error


def _path_texts(keys: frozenset[str]) -> frozenset[str]:
    """Paths as people are shown them; nearly always the same strings, which are not kept twice."""
    try:
        for key in keys:
            key.encode()
    except UnicodeEncodeError:
        return frozenset(path_text(raw_path(key)) for key in keys)
    return keys
