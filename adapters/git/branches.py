"""Branches tried on their base: whether each merges, and what it changes there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from adapters.git.changes import NONE, Changes, read_changes
from adapters.git.conflict_files import Conflict, ConflictedFile, conflicted_files, own_path
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text, raw_path
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.scratch import Scratch

PORTION: Final = 256
"""Merges in one process, so that neither what they write nor what they print grows without bound."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Trial:
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
class Branch:
    """A branch as tried. `tree` is what it comes to on the base, `made` whether git had to make that tree, and
    `made_files` the edited files that it had to make: the mirror has neither.
    """

    trial: Trial
    changes: Changes = NONE
    tree: str = ""
    made: bool = False
    made_files: frozenset[str] = frozenset()


async def try_on_base(
    mirror: Mirror, scratch: Scratch, base: str, base_tree: str | None, heads: Collection[str]
) -> dict[str, Branch]:
    """Merge each of these heads with the base, which has this tree (`tree_of`). Raises GitError, MergeError."""
    found: dict[str, Branch] = {}
    for head in heads:
        if base_tree is None or not is_object_name(head):
            lost = base if base_tree is None else head
            found[head] = Branch(Trial(head, None, problem=f"{lost[:200]!r} is not a commit that was fetched"))
    if base_tree is not None:
        for some in portions([head for head in heads if head not in found]):
            found |= await _tried(mirror, scratch, base, base_tree, some)
    return found


async def tree_of(mirror: Mirror, commit: str) -> str | None:
    """The tree of a commit, None if it is none that was fetched. Raises GitError."""
    if not is_object_name(commit):
        return None
    found, tree = await mirror.git.objects.info(mirror.path, [commit.encode(), f"{commit}^{{tree}}".encode()])
    if found is None or tree is None or (found.name, found.kind, tree.kind) != (commit, "commit", "tree"):
        return None
    return tree.name


def portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as are merged in one process."""
    rest = iter(items)
    while some := list(islice(rest, PORTION)):
        yield some


async def _tried(
    mirror: Mirror, scratch: Scratch, base: str, base_tree: str, heads: Sequence[str]
) -> dict[str, Branch]:
    merged = await run_merges(mirror, [(base, head) for head in heads], scratch.environment)
    results = dict(zip(heads, merged, strict=True))
    after = {head: result for head, result in results.items() if isinstance(result, ParsedMerge)}
    changes = await _changes(mirror, scratch, base_tree, {head: result.tree for head, result in after.items()})
    conflicts = {head: Conflict.of(result, (base, head)) for head, result in after.items() if not result.clean}
    files = dict(zip(conflicts, await conflicted_files(mirror, scratch, list(conflicts.values())), strict=True))
    found: dict[str, Branch] = {}
    for head, result in results.items():
        if isinstance(result, MergeError):
            found[head] = Branch(Trial(head, None, problem=str(result)))
        elif result.clean:
            its = changes[head]
            made = scratch.has(result.tree)
            made_files = (path for path, edit in its.edited.items() if scratch.has(edit.after[1])) if made else ()
            trial = Trial(head, True, touched=_as_text(its.touched))
            found[head] = Branch(trial, its, result.tree, made, frozenset(made_files))
        else:
            # What git moved aside, or left in the tree for somebody to mend, counts with the name that people know.
            paths = (path_text(own_path(raw_path(path), (base, head))) for path in changes[head].touched)
            touched = frozenset((*paths, *(file.path for file in files[head])))
            found[head] = Branch(Trial(head, False, files[head], touched))
    return found


async def _changes(mirror: Mirror, scratch: Scratch, base: str, trees: Mapping[str, str]) -> dict[str, Changes]:
    """What each of these trees changes in that of the base."""
    listed = await mirror.git.run(
        *("diff-tree", "--stdin", "-r", "-t", "--no-renames", "-z"),
        git_dir=mirror.path,
        stdin="".join(f"{base} {tree}\n" for tree in trees.values()).encode(),
        environment=scratch.environment,
    )
    try:
        return dict(zip(trees, read_changes(listed.stdout), strict=True))
    except ValueError as error:
        raise MergeError(f"git's output cannot be parsed: {error}") from error


def _as_text(keys: frozenset[str]) -> frozenset[str]:
    """Paths as people are shown them; nearly always the same strings, which are not kept twice."""
    try:
        for key in keys:
            key.encode()
    except UnicodeEncodeError:
        return frozenset(path_text(raw_path(key)) for key in keys)
    return keys
