"""Which branches may conflict with each other, told from the paths they change. Pure.

Two branches with the same base can only conflict in three ways, whatever git's merge does in between:

- both change the same path. A rename changes two, its old and its new one, so this covers all that renames do;
- one makes a file where the other has something inside a folder of that name;
- one leaves nothing of a folder and the other adds a file to it: git then takes the folder for renamed, and moves the
  new file along. That is a conflict by default, and may cause others.

Everything else is taken from one side as it is. Tests hold this against merges of all pairs.
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
class Edit:
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
    gone: frozenset[str] = frozenset()
    edited: Mapping[str, Edit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Suspects:
    """The pairs that can conflict at all, the smaller key first.

    In `edits` the two edit the same files, and nothing else that they do meets; `whole` is the rest.
    """

    edits: frozenset[tuple[int, int]]
    whole: frozenset[tuple[int, int]]


NONE: Final = Changes()


def read_changes(output: bytes) -> list[Changes]:
    """Read what `diff-tree --stdin -r -t --no-renames -z` prints for pairs of trees, in their order.

    Raises ValueError for anything else.
    """
    found: list[Changes] = []
    at = 0
    while at < len(output):
        end = output.find(b"\n", at)
        if end < 0:
            raise ValueError(f"no header of a pair of trees: {output[at : at + 80]!r}")
        at = end + 1
        touched: list[str] = []
        added: list[str] = []
        gone: list[str] = []
        edited: dict[str, Edit] = {}
        while output[at : at + 1] == b":":
            middle = output.find(b"\0", at)
            end = output.find(b"\0", middle + 1)
            record = _RECORD.fullmatch(output, at, middle)
            if record is None or end < 0:
                raise ValueError(f"no change of a file: {output[at : at + 120]!r}")
            before, after, old, new, status = record.groups()
            path = path_key(output[middle + 1 : end])
            if _FOLDER in (before, after):
                if status == b"D":
                    gone.append(path)
            else:
                touched.append(path)
                if status == b"A":
                    added.append(path)
                elif before in _FILES and after in _FILES:
                    edited[path] = Edit((before, old.decode()), (after, new.decode()))
            at = end + 1
        found.append(Changes(frozenset(touched), frozenset(added), frozenset(gone), edited))
    return found


def folders(path: str) -> Iterator[str]:
    """The folders that a path lies in, from the innermost; the root is none."""
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path


def may_conflict(changes: Mapping[int, Changes], of: Collection[int] | None = None) -> Suspects:
    """The pairs that can conflict at all; with `of` those that one of these is part of."""
    touching = _by_path((key, change.touched) for key, change in changes.items())
    leaving = _by_path((key, change.gone) for key, change in changes.items())
    sharing = set(_pairs(touching.values(), of))
    whole = {(one, other) for one, other in sharing if not _only_edits(changes[one], changes[other])}
    # Of the others only what lies in the right place is looked at closer: there may be a thousand of them.
    chosen = [change for key, change in changes.items() if of is not None and key in of]
    below_files = tuple(f"{path}/" for change in chosen for path in change.touched)
    below_gone = tuple(f"{path}/" for change in chosen for path in change.gone)
    for key, change in changes.items():
        every = of is None or key in of
        for path in change.touched:
            if every or path.startswith(below_files):
                for folder in folders(path):
                    if folder in touching:
                        whole.update(_with(key, touching[folder], of))
        for path in change.added if leaving else ():
            if every or path.startswith(below_gone):
                for folder in folders(path):
                    if folder in leaving:
                        whole.update(_with(key, leaving[folder], of))
    return Suspects(frozenset(sharing - whole), frozenset(whole))


def both_edit(one: Changes, other: Changes) -> list[str]:
    """The files that both edit, and not in the same way, in order."""
    return sorted(
        path
        for path, edit in one.edited.items()
        if (its := other.edited.get(path)) is not None and its.after != edit.after
    )


def _only_edits(one: Changes, other: Changes) -> bool:
    return all(path in one.edited and path in other.edited for path in one.touched & other.touched)


def _by_path(paths: Iterable[tuple[int, Collection[str]]]) -> dict[str, list[int]]:
    keys: dict[str, list[int]] = {}
    for key, names in paths:
        for name in names:
            keys.setdefault(name, []).append(key)
    return keys


def _pairs(groups: Iterable[list[int]], of: Collection[int] | None) -> Iterator[tuple[int, int]]:
    for group in groups:
        if len(group) < 2:
            continue
        if of is None:
            yield from combinations(sorted(group), 2)
        else:
            chosen = [key for key in group if key in of]
            for one, other in product(chosen, group):
                if one != other:
                    yield min(one, other), max(one, other)


def _with(key: int, group: list[int], of: Collection[int] | None) -> Iterator[tuple[int, int]]:
    for other in group:
        if other != key and (of is None or key in of or other in of):
            yield min(key, other), max(key, other)
