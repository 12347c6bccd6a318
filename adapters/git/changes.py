"""Finds the pairs of branches that may conflict, from the paths they change. Pure.

Two branches with the same base can only conflict in three ways, whatever git's merge does in between:

- both change the same path. A rename changes two, its old and its new one, so this covers renames;
- one creates a file where the other has something inside a folder of that name;
- one removes all of a folder and the other adds a file to it: git then treats the folder as renamed, and moves the new
  file along. That is a conflict by default, and may cause others.

Everything else is taken from one side unchanged. Tests compare this with merges of all pairs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Final

from adapters.git.merge_output import path_key

_RECORD: Final = re.compile(rb":(\d{6}) (\d{6}) ([0-9a-f]+) ([0-9a-f]+) ([A-Z])\d*")
_FOLDER: Final = b"040000"
_FILES: Final = (b"100644", b"100755")


@dataclass(frozen=True, slots=True)
class FileEdit:
    """A file that both have, as it is in the base and in the branch: its mode and its object."""

    before: tuple[bytes, str]
    after: tuple[bytes, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a branch changes against its base: all paths, and of them those it adds and those it merely edits.

    `gone` are folders that it leaves nothing of. A file that becomes a link or a submodule is not merely edited.
    Paths are keys (`merge_output.path_key`).
    """

    touched: frozenset[str] = frozenset()
    added: frozenset[str] = frozenset()
    removed_folders: frozenset[str] = frozenset()
    edited: Mapping[str, FileEdit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CandidatePairs:
    """The pairs that can conflict at all, the smaller key first.

    In `edits` the two edit the same files, and nothing else that they do meets; `whole` is the rest.
    """

    edit_pairs: frozenset[tuple[int, int]]
    full_pairs: frozenset[tuple[int, int]]


NO_CHANGES: Final = Changes()


def read_changes(output: bytes) -> list[Changes]:
    """Read what `diff-tree --stdin -r -t --no-renames -z` prints for pairs of trees, in their order.

    Raises ValueError for anything else.
    """
    changes: list[Changes] = []
    position = 0
    while position < len(output):
        end = output.find(b"\n", position)
        if end < 0:
            raise ValueError(f"no header of a pair of trees: {output[position : position + 80]!r}")
        position = end + 1
        touched: list[str] = []
        added: list[str] = []
        removed_folders: list[str] = []
        edited: dict[str, FileEdit] = {}
        while output[position : position + 1] == b":":
            path_start = output.find(b"\0", position)
            end = output.find(b"\0", path_start + 1)
            record = _RECORD.fullmatch(output, position, path_start)
            if record is None or end < 0:
                raise ValueError(f"no change of a file: {output[position : position + 120]!r}")
            before, after, old, new, status = record.groups()
            path = path_key(output[path_start + 1 : end])
            if _FOLDER in (before, after):
                if status == b"D":
                    removed_folders.append(path)
            else:
                touched.append(path)
                if status == b"A":
                    added.append(path)
                elif before in _FILES and after in _FILES:
                    edited[path] = FileEdit((before, old.decode()), (after, new.decode()))
            position = end + 1
        changes.append(Changes(frozenset(touched), frozenset(added), frozenset(removed_folders), edited))
    return changes


def parent_folders(path: str) -> Iterator[str]:
    """The folders that a path lies in, from the innermost; the root is none."""
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path


def candidate_pairs(changes: Mapping[int, Changes], keys: Collection[int] | None = None) -> CandidatePairs:
    """The pairs that can conflict at all; with `keys` those that one of these is part of."""
    keys_by_path = _group_by_path((key, change.touched) for key, change in changes.items())
    keys_by_removed_folder = _group_by_path((key, change.removed_folders) for key, change in changes.items())
    common_pairs = set(_pairs(keys_by_path.values(), keys))
    full_pairs = {(first, second) for first, second in common_pairs if not _only_edits(changes[first], changes[second])}
    # Of the others only what lies in the right place is looked at closer: there may be a thousand of them.
    selected = [change for key, change in changes.items() if keys is not None and key in keys]
    file_prefixes = tuple(f"{path}/" for change in selected for path in change.touched)
    folder_prefixes = tuple(f"{path}/" for change in selected for path in change.removed_folders)
    for key, change in changes.items():
        is_selected = keys is None or key in keys
        for path in change.touched:
            if is_selected or path.startswith(file_prefixes):
                for folder in parent_folders(path):
                    if folder in keys_by_path:
                        full_pairs.update(_pairs_with(key, keys_by_path[folder], keys))
        for path in change.added if keys_by_removed_folder else ():
            if is_selected or path.startswith(folder_prefixes):
                for folder in parent_folders(path):
                    if folder in keys_by_removed_folder:
                        full_pairs.update(_pairs_with(key, keys_by_removed_folder[folder], keys))
    return CandidatePairs(frozenset(common_pairs - full_pairs), frozenset(full_pairs))


def both_edited(first: Changes, second: Changes) -> list[str]:
    """The files that both edit, and not in the same way, in order."""
    return sorted(
        path
        for path, edit in first.edited.items()
        if (second_edit := second.edited.get(path)) is not None and second_edit.after != edit.after
    )


def _only_edits(first: Changes, second: Changes) -> bool:
    return all(path in first.edited and path in second.edited for path in first.touched & second.touched)


def _group_by_path(paths: Iterable[tuple[int, Collection[str]]]) -> dict[str, list[int]]:
    keys: dict[str, list[int]] = {}
    for key, names in paths:
        for name in names:
            keys.setdefault(name, []).append(key)
    return keys


def _pairs(groups: Iterable[list[int]], keys: Collection[int] | None) -> Iterator[tuple[int, int]]:
    for group in groups:
        if len(group) < 2:
            continue
        if keys is None:
            yield from combinations(sorted(group), 2)
        else:
            selected = [key for key in group if key in keys]
            for first, second in product(selected, group):
                if first != second:
                    yield min(first, second), max(first, second)


def _pairs_with(key: int, group: list[int], keys: Collection[int] | None) -> Iterator[tuple[int, int]]:
    for other in group:
        if other != key and (keys is None or key in keys or other in keys):
            yield min(key, other), max(key, other)
