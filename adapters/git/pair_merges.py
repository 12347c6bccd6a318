"""Merges pairs of branches that may conflict, with few and small merges.

Most pairs merely edit the same files. Git then merges each of these files by itself, whatever else the branches do. So
all of them, of many pairs, are placed in one batch, a tree of only such files under numbers, and merged at once. If
branches rename, add, or remove what others touch, the two are merged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.git.branches import PORTION_SIZE, BranchResult, portions
from adapters.git.changes import FileEdit, both_edited
from adapters.git.conflict_files import ConflictedFile, ConflictKinds, MergeConflict, read_conflict_files
from adapters.git.conflict_lines import SideVersion
from adapters.git.merge_output import ParsedFile, ParsedMerge, path_key, raw_path
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.scratch import ScratchObjects, scratch_objects

KeyPair = tuple[int, int]
Verdict = tuple[ConflictedFile, ...] | None | MergeError
"""The files in conflict, None if it is clean; an error without a verdict."""

_MAX_BATCH_FILES: Final = 1000


@dataclass(slots=True)
class _Batch:
    """Files of pairs that are merged together: the number that each edit of both sides has, and each pair's own."""

    entries: dict[tuple[FileEdit, FileEdit], int] = field(default_factory=dict)
    pairs: dict[KeyPair, dict[int, str]] = field(default_factory=dict)  # the path by its number

    def write(self, scratch: ScratchObjects) -> tuple[str, str]:
        """The commits of both sides, as objects."""
        base = scratch.write_commit(
            scratch.write_tree((b"%d" % number, *our_edit.before) for (our_edit, _), number in self.entries.items())
        )
        ours = scratch.write_tree((b"%d" % number, *our_edit.after) for (our_edit, _), number in self.entries.items())
        theirs = scratch.write_tree(
            (b"%d" % number, *their_edit.after) for (_, their_edit), number in self.entries.items()
        )
        return scratch.write_commit(ours, base), scratch.write_commit(theirs, base)


class PairMerger:
    """Branches on one base, whose pairs are merged; `scratch` has what was merged of them just now."""

    def __init__(
        self, mirror: Mirror, scratch: ScratchObjects, base: str, branches: Mapping[int, BranchResult]
    ) -> None:
        self._mirror = mirror
        self._scratch = scratch
        self._base = base
        self._branches = branches

    async def merge(self, edit_pairs: Sequence[KeyPair], full_pairs: Sequence[KeyPair]) -> dict[KeyPair, Verdict]:
        """Merge these pairs: those in `edit_pairs` merely edit the same files. Raises GitError, MergeError."""
        verdicts: dict[KeyPair, Verdict] = dict.fromkeys(edit_pairs)
        batches = list(self._batches(edit_pairs))
        missing_heads = self._missing_heads(batches, full_pairs)
        items: list[_Batch | KeyPair] = [*batches, *full_pairs]
        if len(missing_heads) + len(items) <= PORTION_SIZE:
            await self._merge_portion(self._scratch, items, missing_heads, verdicts)
            return verdicts
        for heads in portions(missing_heads):
            await run_merges(self._mirror, [(self._base, head) for head in heads], self._scratch.environment)
        for portion in portions(items):
            # What it writes is deleted before the next one begins.
            async with scratch_objects(self._mirror, self._scratch) as scratch:
                await self._merge_portion(scratch, portion, [], verdicts)
        return verdicts

    def _batches(self, pairs: Sequence[KeyPair]) -> Iterator[_Batch]:
        batch = _Batch()
        for pair in pairs:
            first, second = (self._branches[key].changes for key in pair)
            paths = both_edited(first, second)
            if not paths:
                continue
            numbers = {}
            for path in paths:
                edit = (first.edited[path], second.edited[path])
                numbers[batch.entries.setdefault(edit, len(batch.entries))] = path
            batch.pairs[pair] = numbers
            if len(batch.entries) >= _MAX_BATCH_FILES:
                yield batch
                batch = _Batch()
        if batch.entries:
            yield batch

    def _missing_heads(self, batches: Sequence[_Batch], full_pairs: Sequence[KeyPair]) -> list[str]:
        """Heads to be merged with the base again: what came of it went with the directory it was written to."""
        heads: dict[str, None] = {}
        for pair in full_pairs:
            for branch in (self._branches[key] for key in pair):
                if branch.has_new_tree and not self._scratch.has(branch.tree):
                    heads[branch.base_merge.head] = None
        for batch in batches:
            for pair, paths in batch.pairs.items():
                for branch in (self._branches[key] for key in pair):
                    written_paths = branch.new_files.intersection(paths.values())
                    if any(not self._scratch.has(branch.changes.edited[path].after[1]) for path in written_paths):
                        heads[branch.base_merge.head] = None
        return list(heads)

    async def _merge_portion(
        self,
        scratch: ScratchObjects,
        items: Sequence[_Batch | KeyPair],
        missing_heads: Sequence[str],
        verdicts: dict[KeyPair, Verdict],
    ) -> None:
        """Merge so many, in one process, and note what comes of it."""
        base_pairs = [(self._base, head) for head in missing_heads]
        item_commits = [self._commits(item, scratch) for item in items]
        results = (await run_merges(self._mirror, base_pairs + item_commits, scratch.environment))[len(base_pairs) :]
        retry_pairs: list[KeyPair] = []
        conflicts: list[tuple[KeyPair, MergeConflict]] = []
        for item, commits, result in zip(items, item_commits, results, strict=True):
            if isinstance(item, _Batch):
                if isinstance(result, MergeError):
                    retry_pairs += item.pairs  # one of its files is to blame: each pair by itself
                else:
                    conflicts += self._batch_conflicts(item, commits, result)
            elif isinstance(result, MergeError):
                verdicts[item] = result
            elif result.clean:
                verdicts[item] = None
            else:
                conflicts.append((item, self._full_conflict(item, commits, result)))
        file_lists = await read_conflict_files(self._mirror, scratch, [conflict for _, conflict in conflicts])
        verdicts |= {pair: files for (pair, _), files in zip(conflicts, file_lists, strict=True)}
        for portion in portions(retry_pairs):
            await self._merge_portion(scratch, portion, missing_heads, verdicts)

    def _commits(self, item: _Batch | KeyPair, scratch: ScratchObjects) -> tuple[str, str]:
        if isinstance(item, _Batch):
            return item.write(scratch)
        ours, theirs = (scratch.write_commit(self._branches[key].tree, self._base) for key in item)
        return ours, theirs

    def _batch_conflicts(
        self, batch: _Batch, commits: tuple[str, str], merge: ParsedMerge
    ) -> Iterator[tuple[KeyPair, MergeConflict]]:
        by_number = {int(file.raw_path): file for file in merge.files}
        if not by_number:
            return
        for pair, paths in batch.pairs.items():
            files = tuple(
                ConflictKinds(
                    file.raw_path,
                    raw_path(path),
                    file.kind,
                    file.stages,
                    self._own_versions(pair, raw_path(path), file),
                )
                for number, path in paths.items()
                if (file := by_number.get(number)) is not None
            )
            if files:
                yield pair, MergeConflict(merge.tree, commits, files)

    def _full_conflict(self, pair: KeyPair, commits: tuple[str, str], merge: ParsedMerge) -> MergeConflict:
        conflict = MergeConflict.from_merge(merge, commits)
        files = (
            ConflictKinds(
                file.merged_path, file.path, file.kind, file.stages, self._own_versions(pair, file.path, parsed)
            )
            for file, parsed in zip(conflict.files, merge.files, strict=True)
        )
        return MergeConflict(conflict.tree, conflict.commits, tuple(files))

    def _own_versions(
        self, pair: KeyPair, path: bytes, file: ParsedFile
    ) -> tuple[SideVersion | None, SideVersion | None]:
        """Where each side has its own version: at its head, which may be behind the base."""
        ours, theirs = (self._branches[key] for key in pair)
        return _own_version(ours, self._base, path, file.stages.get(2)), _own_version(
            theirs, self._base, path, file.stages.get(3)
        )


def _own_version(branch: BranchResult, base: str, path: bytes, blob: str | None) -> SideVersion | None:
    if not branch.has_new_tree or blob is None:
        return None  # its own version is the one that was merged
    key = path_key(path)
    if key not in branch.changes.touched:
        # The other side renamed it.
        edited = branch.changes.edited
        key = next((name for name, edit in edited.items() if edit.after[1] == blob), key)
    return SideVersion(branch.base_merge.head, raw_path(key), base)
