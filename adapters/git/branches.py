"""Branches tried on their base: whether each merges, and what it changes there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from adapters.git.changes import NONE, Changes, read_changes
from adapters.git.conflicted import Conflict, ConflictedFile, conflicted_files, own_path
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text, raw_path
from adapters.git.mirror import Mirror
from adapters.git.runs import MergeError, run_merges
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


async def try_on_base(mirror: Mirror, scratch: Scratch, base: str, heads: Collection[str]) -> dict[str, Branch]:
    """Merge each of these heads with the base. Raises GitError, MergeError."""
    trees = await _trees(mirror, [base, *heads])
    found: dict[str, Branch] = {}
    for head in heads:
        lost = next((name for name in (base, head) if name not in trees), None)
        if lost is not None:
            found[head] = Branch(Trial(head, None, problem=f"{lost[:200]!r} is not a commit that was fetched"))
    for some in portions([head for head in heads if head not in found]):
        found |= await _tried(mirror, scratch, base, some, trees)
    return found


def portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items, as many at a time as are merged in one process."""
    rest = iter(items)
    while some := list(islice(rest, PORTION)):
        yield some


async def _tried(
    mirror: Mirror, scratch: Scratch, base: str, heads: Sequence[str], trees: Mapping[str, str]
) -> dict[str, Branch]:
    merged = await run_merges(mirror, [(base, head) for head in heads], scratch.environment)
    results = dict(zip(heads, merged, strict=True))
    after = {head: result for head, result in results.items() if isinstance(result, ParsedMerge)}
    changes = await _changes(mirror, scratch, trees[base], {head: result.tree for head, result in after.items()})
    conflicts = {head: Conflict.of(result, (base, head)) for head, result in after.items() if not result.clean}
    files = dict(zip(conflicts, await conflicted_files(mirror, scratch, list(conflicts.values())), strict=True))
    found: dict[str, Branch] = {}
    for head, result in results.items():
        if isinstance(result, MergeError):
            found[head] = Branch(Trial(head, None, problem=str(result)))
        elif result.clean:
            its = changes[head]
            made = result.tree != trees[head]
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
        raise MergeError(f"git's answer is not understood: {error}") from error


async def _trees(mirror: Mirror, commits: Sequence[str]) -> dict[str, str]:
    """The tree of each of these that is a commit in the mirror."""
    asked = [name for name in dict.fromkeys(commits) if is_object_name(name)]
    questions = "".join(f"{name}\n{name}^{{tree}}\n" for name in asked).encode()
    answer = await mirror.git.run(
        "cat-file", "--batch-check=%(objecttype) %(objectname)", git_dir=mirror.path, stdin=questions
    )
    lines = answer.stdout.decode("utf-8", "replace").splitlines()
    if len(lines) != 2 * len(asked):
        raise MergeError(f"git answered {len(lines)} of {2 * len(asked)} questions")
    return {
        name: tree.removeprefix("tree ")
        for name, kind, tree in zip(asked, lines[::2], lines[1::2], strict=True)
        if kind == f"commit {name}" and tree.startswith("tree ")
    }


def _as_text(keys: frozenset[str]) -> frozenset[str]:
    """Paths as people are shown them; nearly always the same strings, which are not kept twice."""
    try:
        for key in keys:
            key.encode()
    except UnicodeEncodeError:
        return frozenset(path_text(raw_path(key)) for key in keys)
    return keys
