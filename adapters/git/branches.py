"""Tries branches on their base: whether each merges, and what it changes there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from adapters.git.changes import NO_CHANGES, Changes, read_changes
from adapters.git.conflict_files import ConflictedFile, MergeConflict, original_path, read_conflict_files
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text, raw_path
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.scratch import ScratchObjects

PORTION_SIZE: Final = 256
"""Merges in one process, so that neither what they write nor what they print grows without bound."""

_Item = TypeVar("_Item")


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
    merges = await run_merges(mirror, [(base, head) for head in heads], scratch.environment)
    results = dict(zip(heads, merges, strict=True))
    parsed_merges = {head: result for head, result in results.items() if isinstance(result, ParsedMerge)}
    changes = await _diff_trees(
        mirror, scratch, base_tree, {head: result.tree for head, result in parsed_merges.items()}
    )
    conflicts = {
        head: MergeConflict.from_merge(result, (base, head))
        for head, result in parsed_merges.items()
        if not result.clean
    }
    files = dict(zip(conflicts, await read_conflict_files(mirror, scratch, list(conflicts.values())), strict=True))
    branches: dict[str, BranchResult] = {}
    for head, result in results.items():
        if isinstance(result, MergeError):
            branches[head] = BranchResult(BaseMerge(head, None, problem=str(result)))
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


async def _diff_trees(
    mirror: Mirror, scratch: ScratchObjects, base: str, trees: Mapping[str, str]
) -> dict[str, Changes]:
    """What each of these trees changes in that of the base."""
    result = await mirror.git.run(
        *("diff-tree", "--stdin", "-r", "-t", "--no-renames", "-z"),
        git_dir=mirror.path,
        stdin="".join(f"{base} {tree}\n" for tree in trees.values()).encode(),
        environment=scratch.environment,
    )
    try:
        return dict(zip(trees, read_changes(result.stdout), strict=True))
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
