"""Files in conflict, as people are told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adapters.git.conflict_lines import NO_LINES, LineRange, Own, Spot, conflict_lines
from adapters.git.merge_output import ParsedMerge, path_text
from adapters.git.merge_tree import MergeError
from adapters.git.mirror import Mirror
from adapters.git.process import GitError
from adapters.git.scratch import Scratch

_LINES_OF: Final = 50
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
class InConflict:
    """A file in conflict as it was merged: its path in the merged tree and its own, the kind, the objects by stage.

    `own` says where the version of either side is whose lines are told, if it is not the one that was merged.
    """

    place: bytes
    path: bytes
    kind: str
    stages: dict[int, str]
    own: tuple[Own | None, Own | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A merge that is not clean: the merged tree, the commits as they stand in the markers, and the files."""

    tree: str
    commits: tuple[str, str]
    files: tuple[InConflict, ...]

    @classmethod
    def of(cls, merged: ParsedMerge, commits: tuple[str, str]) -> Conflict:
        """What merging these two commits came to."""
        files = (
            InConflict(file.raw_path, own_path(file.raw_path, commits), file.kind, file.stages) for file in merged.files
        )
        return cls(merged.tree, commits, tuple(files))


async def conflicted_files(
    mirror: Mirror, scratch: Scratch, conflicts: Sequence[Conflict], *, lines: bool = True
) -> list[tuple[ConflictedFile, ...]]:
    """The files of each conflict; with `lines` those of the first of them are named.

    Raises MergeError when git cannot read what it has just merged.
    """
    spots: list[Spot] = []
    places: list[tuple[int, int]] = []
    for number, conflict in enumerate(conflicts):
        both = [at for at, file in enumerate(conflict.files) if 2 in file.stages and 3 in file.stages]
        for at in both[:_LINES_OF] if lines else ():
            file = conflict.files[at]
            places.append((number, at))
            merged = (file.stages[2], file.stages[3])
            spots.append(Spot(conflict.tree, file.place, conflict.commits, merged, file.own))
    try:
        found = dict(zip(places, await conflict_lines(mirror, scratch, spots), strict=True))
    except GitError as error:
        raise MergeError(f"the conflict cannot be read: {error.stderr}") from error
    return [
        tuple(
            ConflictedFile(path_text(file.path), file.kind, *found.get((number, at), NO_LINES))
            for at, file in enumerate(conflict.files)
        )
        for number, conflict in enumerate(conflicts)
    ]


def own_path(path: bytes, commits: tuple[str, str]) -> bytes:
    """Undo git's moving aside of a file where the other side has a folder: `d~<commit>` is `d`."""
    for commit in commits:
        path = path.removesuffix(f"~{commit}".encode())
    return path
