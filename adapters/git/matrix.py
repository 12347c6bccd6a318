"""All pairs of branches: which of them cannot both be merged. Exact, and with few merges.

Every head is merged with the base first, and the clean results become commits on the base. So all branches have
one merge base, also those that are behind, and the paths each of them changes against it tell which pairs could
conflict at all (see `changes`); only those are merged. A pair's verdict is what the later of the two will meet once the
other has been merged, as one commit, into the base.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from cachetools import LRUCache

from adapters.git.changes import NONE, Changes, may_conflict, read_changes, sharing
from adapters.git.merge import ConflictedFile, own_path
from adapters.git.merge_output import ParsedMerge, is_object_name, path_text
from adapters.git.mirror import Mirror
from adapters.git.runner import GitError
from adapters.git.runs import MergeError, run_merges
from adapters.git.scratch import Scratch, scratch_objects

_Item = TypeVar("_Item")

_PORTION: Final = 256
"""Merges in one process: what they write and print is thrown away before the next ones begin."""

_PAIRS_KEPT: Final = 50_000
_PATHS_KEPT: Final = 200_000
"""What is remembered of earlier comparisons: verdicts on pairs, and paths changed by branches; about 20 MB each."""


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
class Clash:
    """Two branches that cannot both be merged, by their keys, the smaller first.

    `ours` are lines of the file as `one` has it at its own head, `theirs` as `other` has it.
    """

    one: int
    other: int
    files: tuple[ConflictedFile, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing branches with their base and with each other, by their keys.

    `shared` are pairs that change the same file and merge cleanly. `unknown` are pairs without a verdict, and
    why. A pair with a branch that does not merge with the base is in none of them: it has to be mended first.
    """

    base: str
    trials: Mapping[int, Trial]
    clashes: tuple[Clash, ...] = ()
    shared: tuple[tuple[int, int], ...] = ()
    unknown: Mapping[tuple[int, int], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A branch as tried; `tree` is its result on the base, `in_mirror` whether the mirror has that tree itself."""

    trial: Trial
    changes: Changes = NONE
    tree: str = ""
    in_mirror: bool = False


class Matrix:
    """Compares branches, and remembers verdicts by the commits they are for: one per process."""

    def __init__(self) -> None:
        self._branches: LRUCache[tuple[int, str, str], _Branch] = LRUCache(
            _PATHS_KEPT, getsizeof=lambda branch: 1 + len(branch.changes.touched)
        )
        self._pairs: LRUCache[bytes, tuple[ConflictedFile, ...] | None] = LRUCache(_PAIRS_KEPT)

    async def compare(
        self, mirror: Mirror, base: str, heads: Mapping[int, str], of: Collection[int] | None = None
    ) -> Comparison:
        """Try each head on the base, and compare all pairs; with `of` only those that one of these is part of.

        `base` and `heads` are full SHAs that were fetched. Raises MergeError when git or the mirror is at fault;
        what is wrong with one branch or pair stands in its place.
        """
        try:
            async with scratch_objects(mirror) as scratch:
                branches = await self._on_base(mirror, scratch, base, heads)
                return await self._compared(mirror, scratch, base, branches, None if of is None else frozenset(of))
        except GitError as error:
            raise MergeError(f"git cannot compare the branches: {error}") from error

    async def _on_base(
        self, mirror: Mirror, scratch: Scratch, base: str, heads: Mapping[int, str]
    ) -> dict[int, _Branch]:
        known = {head: self._branches.get((mirror.repository_id, base, head)) for head in set(heads.values())}
        new = [head for head, branch in known.items() if branch is None]
        found = {head: branch for head, branch in known.items() if branch is not None}
        if new:
            trees = await _trees(mirror, [base, *new])
            there = [head for head in new if base in trees and head in trees]
            missing = {name for name in (base, *new) if name not in trees}
            for head in new:
                if head not in there:
                    lost = head if head in missing else base
                    found[head] = _Branch(Trial(head, None, problem=f"{lost[:200]!r} is not a commit that was fetched"))
            for some in _portions(there):
                found |= await self._tried(mirror, scratch, base, some, trees)
        return {key: found[head] for key, head in sorted(heads.items())}

    async def _tried(
        self, mirror: Mirror, scratch: Scratch, base: str, heads: Sequence[str], trees: Mapping[str, str]
    ) -> dict[str, _Branch]:
        """Merge these heads with the base, and find what the clean results change."""
        merged = await run_merges(mirror, [(base, head) for head in heads], scratch.environment)
        results = dict(zip(heads, merged, strict=True))
        after = {head: result.tree for head, result in results.items() if isinstance(result, ParsedMerge)}
        listed = await mirror.git.run(
            "diff-tree",
            *("--stdin", "-r", "-t", "--no-renames", "-z"),
            git_dir=mirror.path,
            stdin="".join(f"{trees[base]} {tree}\n" for tree in after.values()).encode(),
            environment=scratch.environment,
        )
        try:
            changes = dict(zip(after, read_changes(listed.stdout), strict=True))
        except ValueError as error:
            raise MergeError(f"git's answer is not understood: {error}") from error
        found: dict[str, _Branch] = {}
        for head, result in results.items():
            if isinstance(result, MergeError):
                found[head] = _Branch(Trial(head, None, problem=str(result)))
                continue
            if result.clean:
                trial = Trial(head, True, touched=changes[head].touched)
                found[head] = _Branch(trial, changes[head], result.tree, result.tree == trees[head])
            else:
                files = _files(result, (base, head))
                touched = frozenset(own_path(path, (base, head)) for path in changes[head].touched)
                touched |= {file.path for file in files}
                found[head] = _Branch(Trial(head, False, files, touched), changes[head])
            key = (mirror.repository_id, base, head)
            if self._branches.getsizeof(found[head]) <= self._branches.maxsize:
                self._branches[key] = found[head]
        return found

    async def _compared(
        self, mirror: Mirror, scratch: Scratch, base: str, branches: Mapping[int, _Branch], of: frozenset[int] | None
    ) -> Comparison:
        trials = {key: branch.trial for key, branch in branches.items()}
        changes = {key: branch.changes for key, branch in branches.items() if branch.trial.clean}
        verdicts: dict[tuple[int, int], tuple[ConflictedFile, ...] | None] = {}
        unknown: dict[tuple[int, int], str] = {}
        for key, trial in trials.items():
            if trial.clean is None:
                for other, its in trials.items():
                    if other != key and its.clean is not False and (of is None or key in of or other in of):
                        unknown.setdefault((min(key, other), max(key, other)), trial.problem)
        todo: list[tuple[int, int]] = []
        commits = {key: scratch.commit(branches[key].tree, base) for key in changes}
        for pair in sorted(may_conflict(changes, of)):
            kept = _key(commits, pair)
            if kept in self._pairs:
                verdicts[pair] = self._pairs[kept]
            else:
                todo.append(pair)
        await self._restore(mirror, scratch, base, {key: branches[key] for pair in todo for key in pair})
        for some in _portions(todo):
            async with scratch_objects(mirror, scratch) as passing:
                asked = [(commits[one], commits[other]) for one, other in some]
                results = await run_merges(mirror, asked, passing.environment)
            for pair, names, result in zip(some, asked, results, strict=True):
                if isinstance(result, MergeError):
                    unknown[pair] = str(result)
                    continue
                verdicts[pair] = None if result.clean else _files(result, names)
                self._pairs[_key(commits, pair)] = verdicts[pair]
        clashes = tuple(Clash(*pair, files) for pair, files in sorted(verdicts.items()) if files is not None)
        clean = {pair for pair, files in verdicts.items() if files is None}
        return Comparison(base, trials, clashes, tuple(sorted(sharing(changes, of) & clean)), unknown)

    async def _restore(self, mirror: Mirror, scratch: Scratch, base: str, branches: Mapping[int, _Branch]) -> None:
        """Have the trees of earlier trials again: they went with the directory that they were written to."""
        lost = list(
            dict.fromkeys(
                branch.trial.head
                for branch in branches.values()
                if not branch.in_mirror and not scratch.has(branch.tree)
            )
        )
        for some in _portions(lost):
            await run_merges(mirror, [(base, head) for head in some], scratch.environment)


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


def _files(result: ParsedMerge, commits: tuple[str, str]) -> tuple[ConflictedFile, ...]:
    return tuple(ConflictedFile(own_path(path_text(file.raw_path), commits), file.kind) for file in result.files)


def _key(commits: Mapping[int, str], pair: tuple[int, int]) -> bytes:
    one, other = pair
    return bytes.fromhex(commits[one] + commits[other])


def _portions(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    rest = iter(items)
    while some := list(islice(rest, _PORTION)):
        yield some
