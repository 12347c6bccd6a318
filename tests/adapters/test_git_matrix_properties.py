"""The few merges of the matrix give the verdicts of merging every pair, and those of a real work tree."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterable
from itertools import combinations, permutations
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adapters.git.branches import find_tree, merge_with_base
from adapters.git.changes import Changes
from adapters.git.conflict_files import ConflictedFile, MergeConflict, read_conflict_files
from adapters.git.matrix import Matrix, MatrixResult
from adapters.git.merge_output import ParsedMerge
from adapters.git.merge_tree import MergeError, run_merges
from adapters.git.mirror import Mirror
from adapters.git.scratch import scratch_objects
from tests.adapters import git_histories

EXAMPLES = int(os.environ.get("MERGE_EXAMPLES", "8"))  # thousands, to search for unknown cases
cheaply = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="MERGE_EXAMPLES" not in os.environ,
    phases=[Phase.explicit, Phase.generate],  # simplifying what fails takes minutes with real git
)


def mirror_at(folder: Path) -> Mirror:
    mirror = Mirror(folder, 1, "https://github.com/acme/shop.git")
    mirror.path.parent.mkdir()
    return mirror


async def all_pairs(
    mirror: Mirror, history: git_histories.History
) -> dict[tuple[int, int], tuple[ConflictedFile, ...] | None]:
    """What the matrix should find, without any thought: every branch is merged with the base, and then every pair.

    A pair that git itself fails on (2.39 has mistakes in rare cases) is left out.
    """
    found: dict[tuple[int, int], tuple[ConflictedFile, ...] | None] = {}
    async with scratch_objects(mirror) as scratch:
        tried = await run_merges(mirror, [(history.base, head) for head in history.heads.values()], scratch.environment)
        ours = {
            key: scratch.write_commit(result.tree, history.base)
            for key, result in zip(history.heads, tried, strict=True)
            if isinstance(result, ParsedMerge) and result.clean
        }
        pairs = list(combinations(sorted(ours), 2))
        asked = [(ours[one], ours[other]) for one, other in pairs]
        conflicts: dict[tuple[int, int], MergeConflict] = {}
        for pair, names, merged in zip(pairs, asked, await run_merges(mirror, asked, scratch.environment), strict=True):
            if isinstance(merged, MergeError):
                assert "git itself failed" in str(merged)
            elif merged.clean:
                found[pair] = None
            else:
                conflicts[pair] = MergeConflict.from_merge(merged, names)
        files = await read_conflict_files(mirror, scratch, list(conflicts.values()))
        found |= zip(conflicts, files, strict=True)
    return found


def verdicts(
    comparison: MatrixResult, like: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], tuple[ConflictedFile, ...] | None]:
    """The same of a comparison; what it does not name it takes for clean."""
    clashes = {(clash.low, clash.high): clash.files for clash in comparison.conflicts}
    return {pair: clashes.get(pair) for pair in like}


def names(found: dict[tuple[int, int], tuple[ConflictedFile, ...] | None]) -> dict[tuple[int, int], object]:
    return {pair: None if files is None else [(f.path, f.kind) for f in files] for pair, files in found.items()}


@cheaply
@given(git_histories.histories, st.integers(0, 5))
def test_the_verdicts_are_those_of_merging_every_pair(story: tuple, pushed: int) -> None:  # type: ignore[type-arg]
    async def compare(mirror: Mirror, history: git_histories.History) -> None:
        matrix = Matrix()
        some = await matrix.compare(mirror, history.base, history.heads, keys=[pushed])
        found = await matrix.compare(mirror, history.base, history.heads)
        true = await all_pairs(mirror, history)
        assert names(verdicts(found, true)) == names(true)
        plain = {pair: files for pair, files in true.items() if history.plain_branches.issuperset(pair)}
        assert verdicts(found, plain) == plain  # with their lines
        assert true.keys().isdisjoint(found.undecided)
        assert some.conflicts == tuple(clash for clash in found.conflicts if pushed in (clash.low, clash.high))
        assert some.mergeable == tuple(pair for pair in found.mergeable if pushed in pair)

    with tempfile.TemporaryDirectory() as folder:
        mirror = mirror_at(Path(folder))
        asyncio.run(compare(mirror, git_histories.make_history(mirror.path, *story)))


@cheaply
@given(git_histories.histories, st.integers(0, 99))
def test_once_one_is_merged_the_other_conflicts_if_and_only_if_the_matrix_says_so(
    story: tuple,  # type: ignore[type-arg]
    chosen: int,
) -> None:
    """One is squashed into main, as GitHub does, then the other is merged as it is: all pairs in both orders, and one
    of them in a work tree.

    One case is left out: the second is behind main, and files were renamed or removed. What git takes for a
    rename depends on the files at both ends, and so on where the branch left main: there the verdict may differ in rare
    cases, such as a file renamed to the name of another that main has got since.
    """

    async def compare(mirror: Mirror, history: git_histories.History, work: Path) -> None:
        found = await Matrix().compare(mirror, history.base, history.heads)
        clashes = {(clash.low, clash.high) for clash in found.conflicts}
        clean = [key for key, trial in found.base_merges.items() if trial.clean]
        pairs = [pair for pair in permutations(clean, 2) if tuple(sorted(pair)) not in found.undecided]
        async with scratch_objects(mirror) as scratch:
            tree = await find_tree(mirror, history.base)
            branches = await merge_with_base(mirror, scratch, history.base, tree, [history.heads[key] for key in clean])
            merged = {key: scratch.write_commit(branches[history.heads[key]].tree, history.base) for key in clean}
            asked = [(merged[first], history.heads[second]) for first, second in pairs]
            results = await run_merges(mirror, asked, scratch.environment)
        removing = {key for key in clean if removes(branches[history.heads[key]].changes)}
        sure = []
        for (first, second), result in zip(pairs, results, strict=True):
            steady = not history.main_removes and removing.isdisjoint((first, second))
            if isinstance(result, ParsedMerge) and (second in history.plain_branches or steady):
                sure.append((first, second))
                assert result.clean is (tuple(sorted((first, second))) not in clashes), (first, second)
        if sure:
            first, second = sure[chosen % len(sure)]
            conflicts = really_merged(mirror.path, work, history.base, history.heads[first], history.heads[second])
            assert conflicts is (tuple(sorted((first, second))) in clashes)

    with tempfile.TemporaryDirectory() as folder:
        mirror = mirror_at(Path(folder))
        work = Path(folder, "work")
        work.mkdir()
        asyncio.run(compare(mirror, git_histories.make_history(mirror.path, *story), work))


def removes(changes: Changes) -> bool:
    return any(path not in changes.added and path not in changes.edited for path in changes.touched)


def really_merged(repository: Path, work: Path, base: str, first: str, second: str) -> bool:
    """Whether the second conflicts, in a work tree, once the first was squashed into the base."""
    who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    places = {"GIT_DIR": str(repository), "GIT_WORK_TREE": str(work)}

    def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**git_histories.ENVIRONMENT, **who, **places}
        return subprocess.run(["git", *arguments], cwd=work, env=environment, capture_output=True, check=False)

    for step in (("checkout", "-q", "-f", "--detach", base), ("merge", "-q", "--squash", first)):
        assert git(*step).returncode == 0
    assert git("commit", "-q", "--allow-empty", "-m", "x").returncode == 0
    done = git("merge", "-q", "--no-commit", second)
    # Git 2.39 cannot write the index where it has to move a submodule aside; that is a conflict as well.
    assert done.returncode in {0, 1} or b"null sha1" in done.stderr, done.stderr
    return done.returncode != 0
