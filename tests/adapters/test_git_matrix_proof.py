"""The few merges of the matrix give the verdicts of merging every pair, and those of a real work tree."""

from __future__ import annotations

import asyncio
import os
import tempfile
from itertools import combinations
from pathlib import Path

import git_histories
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adapters.git.conflicted import Conflict, conflicted_files
from adapters.git.matrix import Comparison, Matrix
from adapters.git.merge_output import ParsedMerge
from adapters.git.mirror import Mirror
from adapters.git.runs import run_merges
from adapters.git.scratch import scratch_objects

EXAMPLES = int(os.environ.get("MERGE_EXAMPLES", "12"))  # thousands, to look for what nobody thought of
cheaply = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # simplifying what fails takes minutes with real git
)


def mirror_at(folder: Path) -> Mirror:
    mirror = Mirror(folder, 1, "https://github.com/acme/shop.git")
    mirror.path.parent.mkdir()
    return mirror


def told(comparison: Comparison) -> dict[tuple[int, int], object]:
    """Every pair that was compared, with the files in conflict."""
    found: dict[tuple[int, int], object] = {(clash.one, clash.other): clash.files for clash in comparison.clashes}
    return {**found, **comparison.unknown}


async def all_pairs(mirror: Mirror, history: git_histories.History) -> dict[tuple[int, int], object]:
    """The same without any thought: each branch is merged with the base, and then every pair."""
    found: dict[tuple[int, int], object] = {}
    async with scratch_objects(mirror) as scratch:
        tried = await run_merges(mirror, [(history.base, head) for head in history.heads.values()], scratch.environment)
        ours: dict[int, str] = {}
        for key, result in zip(history.heads, tried, strict=True):
            assert isinstance(result, ParsedMerge)
            if result.clean:
                ours[key] = scratch.commit(result.tree, history.base)
        pairs = list(combinations(sorted(ours), 2))
        asked = [(ours[one], ours[other]) for one, other in pairs]
        for pair, names, merged in zip(pairs, asked, await run_merges(mirror, asked, scratch.environment), strict=True):
            assert isinstance(merged, ParsedMerge)
            if not merged.clean:
                [found[pair]] = await conflicted_files(mirror, scratch, [Conflict.of(merged, names)])
    return found


@cheaply
@given(git_histories.stories, st.integers(0, 5))
def test_the_verdicts_are_those_of_merging_every_pair(story: tuple, pushed: int) -> None:  # type: ignore[type-arg]
    async def compare(mirror: Mirror, history: git_histories.History) -> None:
        matrix = Matrix()
        some = await matrix.compare(mirror, history.base, history.heads, of=[pushed])
        found = await matrix.compare(mirror, history.base, history.heads)
        true = await all_pairs(mirror, history)
        assert told(found).keys() == true.keys()
        for clash in found.clashes:
            pair = (clash.one, clash.other)
            files = true[pair]
            assert [(f.path, f.kind) for f in clash.files] == [(f.path, f.kind) for f in files]  # type: ignore[attr-defined]
            if history.plain.issuperset(pair):
                assert clash.files == files
        assert told(some).keys() == {pair for pair in true if pushed in pair}

    with tempfile.TemporaryDirectory() as folder:
        mirror = mirror_at(Path(folder))
        asyncio.run(compare(mirror, git_histories.make(mirror.path, *story)))
