"""Describes files in conflict for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adapters.git.conflict_lines import NO_LINES, ConflictLocation, LineRange, SideVersion, find_conflict_lines
from adapters.git.merge_output import ParsedMerge, path_text
from adapters.git.merge_tree import MergeError
from adapters.git.mirror import Mirror
from adapters.git.process import GitError
from adapters.git.scratch import ScratchObjects

_MAX_FILES_WITH_LINES: Final = 50
"""Conflicting files in one merge whose lines are looked up; GitHub takes 50 annotations in one request."""


@dataclass(frozen=True, slots=True)
class ConflictedFile:
    r"""A file in conflict.

    `path` is text: bytes that are no UTF-8 are written `\xff`. `kind` is git's name for the conflict: `contents`,
    `add/add`, `binary`, `mode`, `modify/delete`, `rename/delete`, `rename/rename`, `rename collision`,
    `directory rename`, `file/directory`, `distinct types`, `submodule`. `ours` and `theirs` are the lines of the
    conflict in each side's own version of the file, empty when not asked for or when there are none to name.
    """

    path: str
    kind: str
    ours: tuple[LineRange, ...] = ()
    theirs: tuple[LineRange, ...] = ()


@dataclass(frozen=True, slots=True)
class ConflictKinds:
    """A file in conflict as it was merged: its path in the merged tree and its own, the kind, the objects by stage.

    `own` says where the version of either side is whose lines are told, if it is not the one that was merged.
    """

    merged_path: bytes
    path: bytes
    kind: str
    stages: dict[int, str]
    own_versions: tuple[SideVersion | None, SideVersion | None] = (None, None)


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """A merge that is not clean: the merged tree, the commits as they stand in the markers, and the files."""

    tree: str
    commits: tuple[str, str]
    files: tuple[ConflictKinds, ...]

    @classmethod
    def from_merge(cls, merge: ParsedMerge, commits: tuple[str, str]) -> MergeConflict:
        """What merging these two commits came to."""
        files = (
            ConflictKinds(file.raw_path, original_path(file.raw_path, commits), file.kind, file.stages)
            for file in merge.files
        )
        return cls(merge.tree, commits, tuple(files))


async def read_conflict_files(
    mirror: Mirror, scratch: ScratchObjects, conflicts: Sequence[MergeConflict], *, lines: bool = True
) -> list[tuple[ConflictedFile, ...]]:
    """The files of each conflict; with `lines` those of the first of them are named.

    Raises MergeError when git cannot read what it has just merged.
    """
    locations: list[ConflictLocation] = []
    keys: list[tuple[int, int]] = []
    for conflict_index, conflict in enumerate(conflicts):
        two_sided = [
            file_index for file_index, file in enumerate(conflict.files) if 2 in file.stages and 3 in file.stages
        ]
        for file_index in two_sided[:_MAX_FILES_WITH_LINES] if lines else ():
            file = conflict.files[file_index]
            keys.append((conflict_index, file_index))
            blobs = (file.stages[2], file.stages[3])
            locations.append(
                ConflictLocation(conflict.tree, file.merged_path, conflict.commits, blobs, file.own_versions)
            )
    try:
        lines_by_key = dict(zip(keys, await find_conflict_lines(mirror, scratch, locations), strict=True))
    except GitError as error:
        raise MergeError(f"the conflict cannot be read: {error.stderr}") from error
    return [
        tuple(
            ConflictedFile(path_text(file.path), file.kind, *lines_by_key.get((conflict_index, file_index), NO_LINES))
            for file_index, file in enumerate(conflict.files)
        )
        for conflict_index, conflict in enumerate(conflicts)
    ]


def original_path(path: bytes, commits: tuple[str, str]) -> bytes:
    """Undo git's moving aside of a file where the other side has a folder: `d~<commit>` is `d`."""
    for commit in commits:
        path = path.removesuffix(f"~{commit}".encode())
    return path
