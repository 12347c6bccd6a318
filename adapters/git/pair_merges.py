"""Merges of pairs of branches that may conflict, as few and as small as can be.

Most pairs merely edit the same files. Git then merges each of these files by itself, whatever else the branches do.
So all of them, of many pairs, are laid into one sheet, a tree made up of nothing but such files under numbers, and
merged at once. Where branches rename, add, or remove what others touch, the two are merged as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.git.branches import PORTION, Branch, portions
from adapters.git.changes import Edit, both_edit
from adapters.git.conflict_files import Conflict, ConflictedFile, InConflict, conflicted_files
from adapters.git.conflict_lines import Own
from adapters.git.merge_output import ParsedFile, ParsedMerge, path_key, raw_path
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.scratch import Scratch, scratch_objects

Keys = tuple[int, int]
Verdict = tuple[ConflictedFile, ...] | None | MergeError
"""The files in conflict, None if it is clean; an error without a verdict."""

_ON_A_SHEET: Final = 1000


@dataclass(slots=True)
class _Sheet:
    """Files of pairs that are merged together: the number that each edit of both sides has, and each pair's own."""

    entries: dict[tuple[Edit, Edit], int] = field(default_factory=dict)
    pairs: dict[Keys, dict[int, str]] = field(default_factory=dict)  # the path by its number

    def write(self, scratch: Scratch) -> tuple[str, str]:
        """The commits of both sides, as objects."""
        base = scratch.commit(scratch.tree((b"%d" % n, *one.before) for (one, _), n in self.entries.items()))
        ours = scratch.tree((b"%d" % n, *one.after) for (one, _), n in self.entries.items())
        theirs = scratch.tree((b"%d" % n, *other.after) for (_, other), n in self.entries.items())
        return scratch.commit(ours, base), scratch.commit(theirs, base)


class Pairs:
    """Branches on one base, whose pairs are merged; `scratch` has what was merged of them just now."""

    def __init__(self, mirror: Mirror, scratch: Scratch, base: str, branches: Mapping[int, Branch]) -> None:
        self._mirror = mirror
        self._scratch = scratch
        self._base = base
        self._branches = branches

    async def merge(self, edits: Sequence[Keys], whole: Sequence[Keys]) -> dict[Keys, Verdict]:
        """Merge these pairs: those in `edits` merely edit the same files. Raises GitError, MergeError."""
        verdicts: dict[Keys, Verdict] = dict.fromkeys(edits)
        sheets = list(self._sheets(edits))
        lost = self._lost(sheets, whole)
        work: list[_Sheet | Keys] = [*sheets, *whole]
        if len(lost) + len(work) <= PORTION:
            await self._portion(self._scratch, work, lost, verdicts)
            return verdicts
        for heads in portions(lost):
            await run_merges(self._mirror, [(self._base, head) for head in heads], self._scratch.environment)
        for some in portions(work):
            # What it writes is thrown away before the next one begins.
            async with scratch_objects(self._mirror, self._scratch) as scratch:
                await self._portion(scratch, some, [], verdicts)
        return verdicts

    def _sheets(self, pairs: Sequence[Keys]) -> Iterator[_Sheet]:
        sheet = _Sheet()
        for pair in pairs:
            one, other = (self._branches[key].changes for key in pair)
            paths = both_edit(one, other)
            if not paths:
                continue
            numbers = {}
            for path in paths:
                edit = (one.edited[path], other.edited[path])
                numbers[sheet.entries.setdefault(edit, len(sheet.entries))] = path
            sheet.pairs[pair] = numbers
            if len(sheet.entries) >= _ON_A_SHEET:
                yield sheet
                sheet = _Sheet()
        if sheet.entries:
            yield sheet

    def _lost(self, sheets: Sequence[_Sheet], whole: Sequence[Keys]) -> list[str]:
        """Heads to be merged with the base again: what came of it went with the directory it was written to."""
        heads: dict[str, None] = {}
        for pair in whole:
            for branch in (self._branches[key] for key in pair):
                if branch.made and not self._scratch.has(branch.tree):
                    heads[branch.trial.head] = None
        for sheet in sheets:
            for pair, paths in sheet.pairs.items():
                for branch in (self._branches[key] for key in pair):
                    made = branch.made_files.intersection(paths.values())
                    if any(not self._scratch.has(branch.changes.edited[path].after[1]) for path in made):
                        heads[branch.trial.head] = None
        return list(heads)

    async def _portion(
        self, scratch: Scratch, work: Sequence[_Sheet | Keys], lost: Sequence[str], verdicts: dict[Keys, Verdict]
    ) -> None:
        """Merge so many, in one process, and note what comes of it."""
        first = [(self._base, head) for head in lost]
        asked = [self._commits(item, scratch) for item in work]
        results = (await run_merges(self._mirror, first + asked, scratch.environment))[len(first) :]
        again: list[Keys] = []
        conflicts: list[tuple[Keys, Conflict]] = []
        for item, commits, result in zip(work, asked, results, strict=True):
            if isinstance(item, _Sheet):
                if isinstance(result, MergeError):
                    again += item.pairs  # one of its files is to blame: each pair by itself
                else:
                    conflicts += self._of_sheet(item, commits, result)
            elif isinstance(result, MergeError):
                verdicts[item] = result
            elif result.clean:
                verdicts[item] = None
            else:
                conflicts.append((item, self._of_whole(item, commits, result)))
        found = await conflicted_files(self._mirror, scratch, [conflict for _, conflict in conflicts])
        verdicts |= {pair: files for (pair, _), files in zip(conflicts, found, strict=True)}
        for some in portions(again):
            await self._portion(scratch, some, lost, verdicts)

    def _commits(self, item: _Sheet | Keys, scratch: Scratch) -> tuple[str, str]:
        if isinstance(item, _Sheet):
            return item.write(scratch)
        one, other = (scratch.commit(self._branches[key].tree, self._base) for key in item)
        return one, other

    def _of_sheet(
        self, sheet: _Sheet, commits: tuple[str, str], merged: ParsedMerge
    ) -> Iterator[tuple[Keys, Conflict]]:
        by_number = {int(file.raw_path): file for file in merged.files}
        if not by_number:
            return
        for pair, paths in sheet.pairs.items():
            files = tuple(
                InConflict(file.raw_path, raw_path(path), file.kind, file.stages, self._own(pair, raw_path(path), file))
                for number, path in paths.items()
                if (file := by_number.get(number)) is not None
            )
            if files:
                yield pair, Conflict(merged.tree, commits, files)

    def _of_whole(self, pair: Keys, commits: tuple[str, str], merged: ParsedMerge) -> Conflict:
        conflict = Conflict.of(merged, commits)
        files = (
            InConflict(file.place, file.path, file.kind, file.stages, self._own(pair, file.path, parsed))
            for file, parsed in zip(conflict.files, merged.files, strict=True)
        )
        return Conflict(conflict.tree, conflict.commits, tuple(files))

    def _own(self, pair: Keys, path: bytes, file: ParsedFile) -> tuple[Own | None, Own | None]:
        """Where each side has its own version: at its head, which may be behind the base."""
        one, other = (self._branches[key] for key in pair)
        return _own(one, self._base, path, file.stages.get(2)), _own(other, self._base, path, file.stages.get(3))


def _own(branch: Branch, base: str, path: bytes, merged: str | None) -> Own | None:
    if not branch.made or merged is None:
        return None  # its own version is the one that was merged
    known = path_key(path)
    if known not in branch.changes.touched:
        # The other side renamed it.
        edited = branch.changes.edited
        known = next((name for name, edit in edited.items() if edit.after[1] == merged), known)
    return Own(branch.trial.head, raw_path(known), base)
