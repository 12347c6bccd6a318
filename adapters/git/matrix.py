"""All pairs of branches: which of them cannot both be merged. Exact, and with few merges.

Every head is merged with the base first, and the clean results become commits on the base. So all branches have
one merge base, also those that are behind, and the paths each of them changes against it tell which pairs could
conflict at all (see `changes`); only those are merged. A pair's verdict is what the later of the two will meet once the
other has been merged, as one commit, into the base.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

from adapters.git.branches import Branch, Trial, tree_of, try_on_base
from adapters.git.changes import may_conflict
from adapters.git.conflict_files import ConflictedFile
from adapters.git.merge_tree import MergeError, NoRoomError
from adapters.git.mirror import Mirror
from adapters.git.pair_merges import Keys, Pairs, Verdict
from adapters.git.process import GitError
from adapters.git.scratch import Scratch, commit_id, scratch_objects

_BASES_KEPT: Final = 1_000
_PAIRS_KEPT: Final = 50_000
_PATHS_KEPT: Final = 100_000
"""What is remembered of earlier comparisons: verdicts on pairs, and paths changed by branches; at most 20 to 40 MB."""


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


class Matrix:
    """Compares branches, and remembers verdicts by the commits they are for: one per process."""

    def __init__(self) -> None:
        self._branches: LRUCache[tuple[int, str, str], Branch] = LRUCache(
            _PATHS_KEPT, getsizeof=lambda branch: 1 + len(branch.trial.touched)
        )
        self._trees: LRUCache[tuple[int, str], str] = LRUCache(_BASES_KEPT)
        self._pairs: LRUCache[bytes, tuple[ConflictedFile, ...] | None] = LRUCache(_PAIRS_KEPT)

    async def compare(
        self, mirror: Mirror, base: str, heads: Mapping[int, str], of: Collection[int] | None = None
    ) -> Comparison:
        """Try each head on the base, and compare all pairs; with `of` only those that one of these is part of.

        `base` and `heads` are full SHAs that were fetched. Raises MergeError when git or the mirror is at fault;
        what is wrong with one branch or pair stands in its place.
        """
        in_memory = mirror.in_memory
        try:
            async with scratch_objects(mirror) as scratch:
                branches = await self._on_base(mirror, scratch, base, heads)
                return await self._compared(mirror, scratch, base, branches, None if of is None else frozenset(of))
        except NoRoomError:
            if not in_memory:
                raise
            return await self.compare(mirror, base, heads, of)
        except MergeError:
            # The mirror may be another one soon, with fewer objects: what it has itself is looked at anew.
            self._branches.clear()
            raise
        except (GitError, OSError) as error:
            if in_memory and isinstance(error, OSError) and error.errno == errno.ENOSPC:
                mirror.in_memory = False
                return await self.compare(mirror, base, heads, of)
            raise MergeError(f"git cannot compare the branches: {error}") from error

    async def _on_base(
        self, mirror: Mirror, scratch: Scratch, base: str, heads: Mapping[int, str]
    ) -> dict[int, Branch]:
        found: dict[str, Branch] = {}
        new: list[str] = []
        for head in dict.fromkeys(heads.values()):
            known = self._branches.get((mirror.repository_id, base, head))
            if known is None:
                new.append(head)
            else:
                found[head] = known
        if new:
            tree = self._trees.get((mirror.repository_id, base)) or await tree_of(mirror, base)
            if tree is not None:
                self._trees[mirror.repository_id, base] = tree
            tried = await try_on_base(mirror, scratch, base, tree, new)
            for head, branch in tried.items():
                if branch.trial.clean is not None and self._branches.getsizeof(branch) <= self._branches.maxsize:
                    self._branches[mirror.repository_id, base, head] = branch
            found |= tried
        return {key: found[head] for key, head in sorted(heads.items())}

    async def _compared(
        self, mirror: Mirror, scratch: Scratch, base: str, branches: Mapping[int, Branch], of: frozenset[int] | None
    ) -> Comparison:
        trials = {key: branch.trial for key, branch in branches.items()}
        unknown = _without_verdict(trials, of)
        changes = {key: branch.changes for key, branch in branches.items() if branch.trial.clean}
        suspects = may_conflict(changes, of)
        meeting = {key for pair in suspects.edits | suspects.whole for key in pair}
        names = {key: bytes.fromhex(commit_id(branches[key].tree, base)) for key in meeting}
        verdicts: dict[Keys, Verdict] = {}
        todo: tuple[list[Keys], list[Keys]] = ([], [])
        for pairs, unmerged in zip((suspects.edits, suspects.whole), todo, strict=True):
            for pair in sorted(pairs):
                name = names[pair[0]] + names[pair[1]]
                if name in self._pairs:
                    verdicts[pair] = self._pairs[name]
                else:
                    unmerged.append(pair)
        if todo != ([], []):
            verdicts |= await Pairs(mirror, scratch, base, branches).merge(*todo)
        clashes: list[Clash] = []
        shared: list[Keys] = []
        for pair, verdict in sorted(verdicts.items()):
            if isinstance(verdict, MergeError):
                unknown[pair] = str(verdict)
                continue
            self._pairs[names[pair[0]] + names[pair[1]]] = verdict
            if verdict is not None:
                clashes.append(Clash(*pair, verdict))
            elif not changes[pair[0]].touched.isdisjoint(changes[pair[1]].touched):
                shared.append(pair)
        return Comparison(base, trials, tuple(clashes), tuple(shared), unknown)


def _without_verdict(trials: Mapping[int, Trial], of: frozenset[int] | None) -> dict[Keys, str]:
    """The pairs of a branch that could not be tried with any that is not known to conflict with the base."""
    unknown: dict[Keys, str] = {}
    for key, trial in trials.items():
        if trial.clean is None:
            for other, its in trials.items():
                if other != key and its.clean is not False and (of is None or key in of or other in of):
                    unknown.setdefault((min(key, other), max(key, other)), trial.problem)
    return unknown


__all__ = ["Clash", "Comparison", "Matrix", "Trial"]
