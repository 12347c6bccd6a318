"""Finds all pairs of branches that cannot both be merged, exactly and with few merges.

Every head is merged with the base first, and the clean results become commits on the base. So all branches have one
merge base, also those that are behind, and the paths each of them changes against it tell which pairs could conflict at
all (see `changes`); only those are merged. A pair's result is what the later of the two will meet once the other has
been merged, as one commit, into the base.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from cachetools import LRUCache

from adapters.git.branches import BaseMerge, BranchResult, find_tree, merge_with_base
from adapters.git.changes import candidate_pairs
from adapters.git.conflict_files import ConflictedFile
from adapters.git.merge_tree import DiskFullError, MergeError
from adapters.git.mirror import Mirror
from adapters.git.pair_merges import KeyPair, PairMerger, Verdict
from adapters.git.process import GitError
from adapters.git.scratch import ScratchObjects, commit_id, scratch_objects

_MAX_BASES: Final = 1_000
_MAX_PAIRS: Final = 50_000
_MAX_PATHS_INLINE: Final = 5_000
_MAX_PATHS: Final = 100_000
"""What is remembered of earlier comparisons: verdicts on pairs, and paths changed by branches; at most 20 to 40 MB."""


@dataclass(frozen=True, slots=True)
class ConflictingPair:
    """Two branches that cannot both be merged, by their keys, the smaller first.

    `ours` are lines of the file as `one` has it at its own head, `theirs` as `other` has it.
    """

    low: int
    high: int
    files: tuple[ConflictedFile, ...]


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """The result of comparing branches with their base and with each other, by their keys.

    `shared` are pairs that change the same file and merge cleanly. `unknown` are pairs without a result, and why. A
    pair with a branch that does not merge with the base is in none of them: that must be fixed first.
    """

    base: str
    base_merges: Mapping[int, BaseMerge]
    conflicts: tuple[ConflictingPair, ...] = ()
    mergeable: tuple[tuple[int, int], ...] = ()
    undecided: Mapping[tuple[int, int], str] = field(default_factory=dict)


class Matrix:
    """Compares branches, and remembers verdicts by the commits they are for: one per process."""

    def __init__(self) -> None:
        self._branches: LRUCache[tuple[int, str, str], BranchResult] = LRUCache(
            _MAX_PATHS, getsizeof=lambda branch: 1 + len(branch.base_merge.touched)
        )
        self._trees: LRUCache[tuple[int, str], str] = LRUCache(_MAX_BASES)
        self._pairs: LRUCache[bytes, tuple[ConflictedFile, ...] | None] = LRUCache(_MAX_PAIRS)

    async def compare(
        self, mirror: Mirror, base: str, heads: Mapping[int, str], keys: Collection[int] | None = None
    ) -> MatrixResult:
        """Try each head on the base, and compare all pairs; with `keys` only those that one of these is part of.

        `base` and `heads` are full SHAs that were fetched. Raises MergeError when git or the mirror is at fault;
        what is wrong with one branch or pair stands in its place.
        """
        in_memory = mirror.in_memory
        try:
            async with scratch_objects(mirror) as scratch:
                branches = await self._merge_with_base(mirror, scratch, base, heads)
                return await self._compare_pairs(
                    mirror, scratch, base, branches, None if keys is None else frozenset(keys)
                )
        except DiskFullError:
            if not in_memory:
                raise
            return await self.compare(mirror, base, heads, keys)
        except MergeError:
            # The mirror may be replaced, with fewer objects: what it has is read again.
            self._branches.clear()
            raise
        except (GitError, OSError) as error:
            if in_memory and isinstance(error, OSError) and error.errno == errno.ENOSPC:
                mirror.in_memory = False
                return await self.compare(mirror, base, heads, keys)
            raise MergeError(f"git cannot compare the branches: {error}") from error

    async def _merge_with_base(
        self, mirror: Mirror, scratch: ScratchObjects, base: str, heads: Mapping[int, str]
    ) -> dict[int, BranchResult]:
        merged: dict[str, BranchResult] = {}
        new_heads: list[str] = []
        for head in dict.fromkeys(heads.values()):
            cached = self._branches.get((mirror.repository_id, base, head))
            if cached is None:
                new_heads.append(head)
            else:
                merged[head] = cached
        if new_heads:
            tree = self._trees.get((mirror.repository_id, base)) or await find_tree(mirror, base)
            if tree is not None:
                self._trees[mirror.repository_id, base] = tree
            new_branches = await merge_with_base(mirror, scratch, base, tree, new_heads)
            for head, branch in new_branches.items():
                is_final = branch.base_merge.clean is not None or branch.is_too_large
                if is_final and self._branches.getsizeof(branch) <= self._branches.maxsize:
                    self._branches[mirror.repository_id, base, head] = branch
            merged |= new_branches
        return {key: merged[head] for key, head in sorted(heads.items())}

    async def _compare_pairs(
        self,
        mirror: Mirror,
        scratch: ScratchObjects,
        base: str,
        branches: Mapping[int, BranchResult],
        keys: frozenset[int] | None,
    ) -> MatrixResult:
        base_merges = {key: branch.base_merge for key, branch in branches.items()}
        undecided = _undecided_pairs(base_merges, keys)
        changes = {key: branch.changes for key, branch in branches.items() if branch.base_merge.clean}
        # In a thread if they change many paths: these are compared with each other.
        path_count = sum(len(change.touched) for change in changes.values())
        candidates = (
            await asyncio.to_thread(candidate_pairs, changes, keys)
            if path_count > _MAX_PATHS_INLINE
            else candidate_pairs(changes, keys)
        )
        candidate_keys = {key for pair in candidates.edit_pairs | candidates.full_pairs for key in pair}
        tree_ids = {key: bytes.fromhex(commit_id(branches[key].tree, base)) for key in candidate_keys}
        verdicts: dict[KeyPair, Verdict] = {}
        unmerged_pairs: tuple[list[KeyPair], list[KeyPair]] = ([], [])
        for pairs, unmerged in zip((candidates.edit_pairs, candidates.full_pairs), unmerged_pairs, strict=True):
            for pair in sorted(pairs):
                pair_id = tree_ids[pair[0]] + tree_ids[pair[1]]
                if pair_id in self._pairs:
                    verdicts[pair] = self._pairs[pair_id]
                else:
                    unmerged.append(pair)
        if unmerged_pairs != ([], []):
            verdicts |= await PairMerger(mirror, scratch, base, branches).merge(*unmerged_pairs)
        conflicts: list[ConflictingPair] = []
        mergeable: list[KeyPair] = []
        for pair, verdict in sorted(verdicts.items()):
            if isinstance(verdict, MergeError):
                undecided[pair] = str(verdict)
                continue
            self._pairs[tree_ids[pair[0]] + tree_ids[pair[1]]] = verdict
            if verdict is not None:
                conflicts.append(ConflictingPair(*pair, verdict))
            elif not changes[pair[0]].touched.isdisjoint(changes[pair[1]].touched):
                mergeable.append(pair)
        return MatrixResult(base, base_merges, tuple(conflicts), tuple(mergeable), undecided)


def _undecided_pairs(base_merges: Mapping[int, BaseMerge], keys: frozenset[int] | None) -> dict[KeyPair, str]:
    """The pairs of a branch that could not be tried with any that is not known to conflict with the base."""
    undecided: dict[KeyPair, str] = {}
    for key, base_merge in base_merges.items():
        if base_merge.clean is None:
            for other, other_merge in base_merges.items():
                if other != key and other_merge.clean is not False and (keys is None or key in keys or other in keys):
                    undecided.setdefault((min(key, other), max(key, other)), base_merge.problem)
    return undecided


__all__ = ["BaseMerge", "ConflictingPair", "Matrix", "MatrixResult"]
