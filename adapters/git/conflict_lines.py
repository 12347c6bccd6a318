"""Finds the lines of each side's version that are in conflict.

The merged file holds the conflicts between markers. Diffs from a side's own version to the merged input, and from that
to the merged file, give the shift between line numbers, so the part between the markers leads back to lines that people
see in their pull request. All conflicts of many merges are looked up at once, by two processes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from adapters.git.mirror import Mirror
from adapters.git.object_reader import ObjectInfo
from adapters.git.scratch import ScratchObjects

_MAX_FILE_BYTES: Final = 1024 * 1024
"""Bytes of a file whose lines are looked up; annotations on larger files help no reader."""

_MAX_BATCH: Final = 500
_MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
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
class SideVersion:
    """A side's own version of a file: at this commit, by the path it has there or, if it is behind, in the base."""

    commit: str
    path: bytes
    base: str

    @property
    def object_name(self) -> bytes:
        """Its name for git."""
        return b"%s:%s" % (self.commit.encode(), self.path)


@dataclass(frozen=True, slots=True)
class ConflictLocation:
    """One file in conflict: where it is in the merged tree, and the names of both commits as they stand in its markers.

    `merged` are the blobs of both sides that were merged. `own` is where each side's own version is to be found,
    None if that is the one that was merged.
    """

    tree: str
    path: bytes
    commits: tuple[str, str]
    blobs: tuple[str, str]
    own_versions: tuple[SideVersion | None, SideVersion | None] = (None, None)


async def find_conflict_lines(
    mirror: Mirror, scratch: ScratchObjects, locations: Sequence[ConflictLocation]
) -> list[Sides]:
    """The conflicting lines of both sides' own versions, for each spot.

    None for binary or very large files, and for a side that has no own version where it should be. Raises GitError.
    """
    results: list[Sides] = []
    remaining = iter(locations)
    while batch := list(islice(remaining, _MAX_BATCH)):
        results += await _find_batch(mirror, scratch, batch)
    return results


async def _find_batch(mirror: Mirror, scratch: ScratchObjects, locations: Sequence[ConflictLocation]) -> list[Sides]:
    versions = dict.fromkeys(
        version for location in locations for version in location.own_versions if version is not None
    )
    infos = await _blob_infos(
        scratch, dict.fromkeys([*map(_object_name, locations), *(version.object_name for version in versions)])
    )
    if renamed := [version for version in versions if infos[version.object_name] is None]:
        infos |= await _renamed_blobs(mirror, scratch, renamed)
    results: list[Sides] = []
    for group in _group_by_size(locations, infos):
        blobs = (infos[_object_name(location)] for location in group)
        texts = await _read_texts(scratch, {blob.name for blob in blobs if blob and blob.size <= _MAX_FILE_BYTES})
        regions: list[list[tuple[range, range]]] = []
        hunks: dict[tuple[str, str], Hunks] = {}
        for location in group:
            merged_info = infos[_object_name(location)]
            text = texts.get(merged_info.name) if merged_info is not None else None
            regions.append([] if text is None else _find_regions(text.split(b"\n"), location.commits))
            if regions[-1]:
                hunks |= {step: [] for side in (0, 1) for step in _diff_steps(location, side, infos)}
        await _fill_hunks(mirror, scratch, hunks)
        for location, file_regions in zip(group, regions, strict=True):
            ours, theirs = (
                _map_regions(
                    file_regions,
                    side,
                    [hunks[step] for step in _diff_steps(location, side, infos)] if file_regions else [],
                )
                for side in (0, 1)
            )
            results.append((ours, theirs))
    return results


def _group_by_size(
    locations: Sequence[ConflictLocation], infos: Mapping[bytes, ObjectInfo | None]
) -> Iterator[list[ConflictLocation]]:
    """Spots whose merged files may be in memory together."""
    group: list[ConflictLocation] = []
    size = 0
    for location in locations:
        merged_info = infos[_object_name(location)]
        file_size = 0 if merged_info is None or merged_info.size > _MAX_FILE_BYTES else merged_info.size
        if group and size + file_size > _MAX_BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(location)
        size += file_size
    yield group


def _diff_steps(
    location: ConflictLocation, side: int, infos: Mapping[bytes, ObjectInfo | None]
) -> list[tuple[str, str]]:
    """The versions to go through from the merged file back to a side's own; none if that is not to be found."""
    merged_info, own_version = infos[_object_name(location)], location.own_versions[side]
    if merged_info is None:
        return []
    steps = [(location.blobs[side], merged_info.name)]
    if own_version is not None:
        version = infos[own_version.object_name]
        if version is None or version.size > _MAX_FILE_BYTES:
            return []
        steps.append((version.name, location.blobs[side]))
    return steps


def _object_name(location: ConflictLocation) -> bytes:
    return b"%s:%s" % (location.tree.encode(), location.path)


def _map_regions(regions: Iterable[tuple[range, range]], side: int, steps: Sequence[Hunks]) -> tuple[LineRange, ...]:
    return tuple(_map_region(region[side], steps) for region in regions) if steps else ()


async def _blob_infos(scratch: ScratchObjects, names: Iterable[bytes]) -> dict[bytes, ObjectInfo | None]:
    """What blob each of these `<tree or commit>:<path>` is."""
    name_list = list(names)
    infos = zip(name_list, await scratch.reader.info(name_list), strict=True)
    return {name: info if info is not None and info.kind == "blob" else None for name, info in infos}


async def _renamed_blobs(
    mirror: Mirror, scratch: ScratchObjects, versions: Iterable[SideVersion]
) -> dict[bytes, ObjectInfo | None]:
    """Own versions of files that the base has renamed since their commits."""
    by_commit: dict[tuple[str, str], list[SideVersion]] = {}
    for version in versions:
        by_commit.setdefault((version.commit, version.base), []).append(version)
    old_names: dict[bytes, bytes] = {}
    for (commit, base), commit_versions in by_commit.items():
        result = await mirror.git.run(
            *("diff-tree", "-r", "-M", "--diff-filter=R", "--name-status", "-z", commit, base),
            git_dir=mirror.path,
            environment=scratch.environment,
        )
        names = result.stdout.split(b"\0")
        renames = dict(zip(names[2::3], names[1::3], strict=False))
        for version in commit_versions:
            if version.path in renames:
                old_names[version.object_name] = b"%s:%s" % (commit.encode(), renames[version.path])
    infos = await _blob_infos(scratch, dict.fromkeys(old_names.values()))
    return {object_name: infos[name] for object_name, name in old_names.items()}


async def _read_texts(scratch: ScratchObjects, names: Iterable[str]) -> dict[str, bytes]:
    sorted_names = sorted(names)
    contents = zip(sorted_names, await scratch.reader.contents(name.encode() for name in sorted_names), strict=True)
    return {name: content for name, content in contents if content is not None}


async def _fill_hunks(mirror: Mirror, scratch: ScratchObjects, hunks_by_pair: dict[tuple[str, str], Hunks]) -> None:
    """Find the hunks between each of these pairs of blobs: two trees with all of them are compared at once."""
    pairs = [pair for pair in hunks_by_pair if pair[0] != pair[1]]
    if not pairs:
        return
    before = scratch.write_tree((b"%d" % number, b"100644", pair[0]) for number, pair in enumerate(pairs))
    after = scratch.write_tree((b"%d" % number, b"100644", pair[1]) for number, pair in enumerate(pairs))
    diff = await mirror.git.run(
        *("diff-tree", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", before, after),
        git_dir=mirror.path,
        environment=scratch.environment,
    )
    hunks: Hunks = []
    for line in diff.stdout.split(b"\n"):
        if (header := _FILE.fullmatch(line)) is not None:
            hunks = hunks_by_pair[pairs[int(header[1])]]
        elif (match := _HUNK.match(line)) is not None:
            hunks.append((int(match[1]), int(match[2] or 1), int(match[3]), int(match[4] or 1)))


def _find_regions(lines: list[bytes], commits: tuple[str, str]) -> list[tuple[range, range]]:
    """Find the marked parts: for each the merged file's lines of ours and of theirs (counted from 1)."""
    ours, theirs = (re.escape(commit.encode()) for commit in commits)
    opening = re.compile(rb"<{7,} " + ours + rb"(?::.*)?\r?")
    closing = re.compile(rb">{7,} " + theirs + rb"(?::.*)?\r?")
    regions: list[tuple[range, range]] = []
    start = separator = 0
    for number, line in enumerate(lines, start=1):
        if opening.fullmatch(line):
            start, separator = number, 0
        elif start and not separator and re.fullmatch(rb"={7,}\r?", line):
            separator = number
        elif separator and closing.fullmatch(line):
            regions.append((range(start + 1, separator), range(separator + 1, number)))
            start = separator = 0
    return regions


def _map_region(region: range, steps: Sequence[Hunks]) -> LineRange:
    """Lead lines of the merged file back to the side's own file, from version to version."""
    if not region:
        line = max(1, _map_line(region.start - 1, steps))
        return LineRange(line, line)
    first, last = _map_line(region.start, steps), _map_line(region.stop - 1, steps)
    return LineRange(max(1, first), max(1, first, last))


def _map_line(line: int, steps: Sequence[Hunks]) -> int:
    for hunks in steps:
        line = _map_through_hunks(line, hunks)
    return line


def _map_through_hunks(line: int, hunks: Hunks) -> int:
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
