"""Which lines of each side's version stand in conflict.

The merged file holds the conflicts between markers. Diffs from a side's own version to the one that was merged, and
from that to the merged file, give the shift between their line numbers, so the part between the markers leads back to
lines that people see in their pull request. All conflicts of many merges are looked up at once, by two processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from adapters.git.mirror import Mirror
from adapters.git.object_reader import ObjectInfo
from adapters.git.scratch import Scratch

_LARGEST: Final = 1024 * 1024
"""Bytes of a file whose lines are looked up; nobody reads annotations on larger ones."""

_AT_ONCE: Final = 500
_BYTES: Final = 4 * 1024 * 1024
"""Conflicts looked up together, and bytes of their merged files that are in memory meanwhile."""

_HUNK: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_FILE: Final = re.compile(rb"diff --git a/(\d+) b/\d+")


@dataclass(frozen=True, slots=True)
class LineRange:
    """Lines `first` to `last`, counted from 1, both included; where lines were removed, the line before the
    gap.
    """

    first: int
    last: int


Sides = tuple[tuple[LineRange, ...], tuple[LineRange, ...]]
Hunks = list[tuple[int, int, int, int]]
NO_LINES: Final[Sides] = ((), ())


@dataclass(frozen=True, slots=True)
class Own:
    """A side's own version of a file: at this commit, by the path it has there or, if it is behind, in the base."""

    commit: str
    path: bytes
    base: str

    @property
    def place(self) -> bytes:
        """Its name for git."""
        return b"%s:%s" % (self.commit.encode(), self.path)


@dataclass(frozen=True, slots=True)
class Spot:
    """One file in conflict: where it is in the merged tree, and the names of both commits as they stand in its markers.

    `merged` are the blobs of both sides that were merged. `own` is where each side's own version is to be found,
    None if that is the one that was merged.
    """

    tree: str
    path: bytes
    commits: tuple[str, str]
    merged: tuple[str, str]
    own: tuple[Own | None, Own | None] = (None, None)


async def conflict_lines(mirror: Mirror, scratch: Scratch, spots: Sequence[Spot]) -> list[Sides]:
    """The conflicting lines of both sides' own versions, for each spot.

    None for binary or very large files, and for a side that has no own version where it should be. Raises GitError.
    """
    found: list[Sides] = []
    rest = iter(spots)
    while some := list(islice(rest, _AT_ONCE)):
        found += await _some(mirror, scratch, some)
    return found


async def _some(mirror: Mirror, scratch: Scratch, spots: Sequence[Spot]) -> list[Sides]:
    owns = dict.fromkeys(own for spot in spots for own in spot.own if own is not None)
    known = await _blobs(scratch, dict.fromkeys([*map(_place, spots), *(own.place for own in owns)]))
    if renamed := [own for own in owns if known[own.place] is None]:
        known |= await _under_old_names(mirror, scratch, renamed)
    found: list[Sides] = []
    for few in _by_size(spots, known):
        blobs = (known[_place(spot)] for spot in few)
        texts = await _texts(scratch, {blob.name for blob in blobs if blob and blob.size <= _LARGEST})
        regions: list[list[tuple[range, range]]] = []
        hunks: dict[tuple[str, str], Hunks] = {}
        for spot in few:
            merged = known[_place(spot)]
            text = texts.get(merged.name) if merged is not None else None
            regions.append([] if text is None else _regions(text.split(b"\n"), spot.commits))
            if regions[-1]:
                hunks |= {step: [] for side in (0, 1) for step in _steps(spot, side, known)}
        await _diff(mirror, scratch, hunks)
        for spot, some in zip(few, regions, strict=True):
            ours, theirs = (
                _lines(some, side, [hunks[step] for step in _steps(spot, side, known)] if some else [])
                for side in (0, 1)
            )
            found.append((ours, theirs))
    return found


def _by_size(spots: Sequence[Spot], known: Mapping[bytes, ObjectInfo | None]) -> Iterator[list[Spot]]:
    """Spots whose merged files may be in memory together."""
    some: list[Spot] = []
    size = 0
    for spot in spots:
        merged = known[_place(spot)]
        its = 0 if merged is None or merged.size > _LARGEST else merged.size
        if some and size + its > _BYTES:
            yield some
            some, size = [], 0
        some.append(spot)
        size += its
    yield some


def _steps(spot: Spot, side: int, known: Mapping[bytes, ObjectInfo | None]) -> list[tuple[str, str]]:
    """The versions to go through from the merged file back to a side's own; none if that is not to be found."""
    merged, own = known[_place(spot)], spot.own[side]
    if merged is None:
        return []
    steps = [(spot.merged[side], merged.name)]
    if own is not None:
        version = known[own.place]
        if version is None or version.size > _LARGEST:
            return []
        steps.append((version.name, spot.merged[side]))
    return steps


def _place(spot: Spot) -> bytes:
    return b"%s:%s" % (spot.tree.encode(), spot.path)


def _lines(regions: Iterable[tuple[range, range]], side: int, steps: Sequence[Hunks]) -> tuple[LineRange, ...]:
    return tuple(_back(region[side], steps) for region in regions) if steps else ()


async def _blobs(scratch: Scratch, names: Iterable[bytes]) -> dict[bytes, ObjectInfo | None]:
    """What blob each of these `<tree or commit>:<path>` is."""
    asked = list(names)
    found = zip(asked, await scratch.reader.info(asked), strict=True)
    return {name: info if info is not None and info.kind == "blob" else None for name, info in found}


async def _under_old_names(mirror: Mirror, scratch: Scratch, owns: Iterable[Own]) -> dict[bytes, ObjectInfo | None]:
    """Own versions of files that the base has renamed since their commits."""
    by_commit: dict[tuple[str, str], list[Own]] = {}
    for own in owns:
        by_commit.setdefault((own.commit, own.base), []).append(own)
    old: dict[bytes, bytes] = {}
    for (commit, base), its in by_commit.items():
        listed = await mirror.git.run(
            *("diff-tree", "-r", "-M", "--diff-filter=R", "--name-status", "-z", commit, base),
            git_dir=mirror.path,
            environment=scratch.environment,
        )
        names = listed.stdout.split(b"\0")
        renames = dict(zip(names[2::3], names[1::3], strict=False))
        for own in its:
            if own.path in renames:
                old[own.place] = b"%s:%s" % (commit.encode(), renames[own.path])
    found = await _blobs(scratch, dict.fromkeys(old.values()))
    return {place: found[name] for place, name in old.items()}


async def _texts(scratch: Scratch, names: Iterable[str]) -> dict[str, bytes]:
    asked = sorted(names)
    contents = zip(asked, await scratch.reader.contents(name.encode() for name in asked), strict=True)
    return {name: content for name, content in contents if content is not None}


async def _diff(mirror: Mirror, scratch: Scratch, wanted: dict[tuple[str, str], Hunks]) -> None:
    """Find the hunks between each of these pairs of blobs: two trees with all of them are compared at once."""
    pairs = [pair for pair in wanted if pair[0] != pair[1]]
    if not pairs:
        return
    before = scratch.tree((b"%d" % number, b"100644", pair[0]) for number, pair in enumerate(pairs))
    after = scratch.tree((b"%d" % number, b"100644", pair[1]) for number, pair in enumerate(pairs))
    diff = await mirror.git.run(
        *("diff-tree", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", before, after),
        git_dir=mirror.path,
        environment=scratch.environment,
    )
    hunks: Hunks = []
    for line in diff.stdout.split(b"\n"):
        if (named := _FILE.fullmatch(line)) is not None:
            hunks = wanted[pairs[int(named[1])]]
        elif (hit := _HUNK.match(line)) is not None:
            hunks.append((int(hit[1]), int(hit[2] or 1), int(hit[3]), int(hit[4] or 1)))


def _regions(lines: list[bytes], commits: tuple[str, str]) -> list[tuple[range, range]]:
    """Find the marked parts: for each the merged file's lines of ours and of theirs (counted from 1)."""
    ours, theirs = (re.escape(commit.encode()) for commit in commits)
    opening = re.compile(rb"<{7,} " + ours + rb"(?::.*)?\r?")
    closing = re.compile(rb">{7,} " + theirs + rb"(?::.*)?\r?")
    regions: list[tuple[range, range]] = []
    start = middle = 0
    for number, line in enumerate(lines, start=1):
        if opening.fullmatch(line):
            start, middle = number, 0
        elif start and not middle and re.fullmatch(rb"={7,}\r?", line):
            middle = number
        elif middle and closing.fullmatch(line):
            regions.append((range(start + 1, middle), range(middle + 1, number)))
            start = middle = 0
    return regions


def _back(region: range, steps: Sequence[Hunks]) -> LineRange:
    """Lead lines of the merged file back to the side's own file, from version to version."""
    if not region:
        line = max(1, _through(region.start - 1, steps))
        return LineRange(line, line)
    first, last = _through(region.start, steps), _through(region.stop - 1, steps)
    return LineRange(max(1, first), max(1, first, last))


def _through(line: int, steps: Sequence[Hunks]) -> int:
    for hunks in steps:
        line = _own_line(line, hunks)
    return line


def _own_line(line: int, hunks: Hunks) -> int:
    """The line of the side's own file that stands at `line` of the merged one, or the last before it."""
    shift = 0
    for own_start, own_count, new_start, new_count in hunks:
        # In a hunk without lines on one side git names the line before the gap.
        new_first = new_start if new_count else new_start + 1
        own_first = own_start if own_count else own_start + 1
        if line < new_first:
            break
        if line < new_first + new_count:
            return own_first - 1 + min(line - new_first + 1, own_count)
        shift = (own_first + own_count) - (new_first + new_count)
    return line + shift
