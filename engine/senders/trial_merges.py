"""Senders that look for conflicts on the local mirror: one open pull request, or all that go into a base."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

from adapters.database import open_pulls
from adapters.git import BaseMerge as OnBase
from adapters.git import ConflictedFile, ConflictingPair, GitError, MergeError, commits_containing, is_ancestor
from adapters.git import MatrixResult as OnMirror
from adapters.git.conflict_lines import LineRange
from adapters.github.errors import GitHubError
from core.conflicts.pulls import ConflictReport, FileConflict, OpenPull, PullPair, Span, TrialMerge
from core.effects.base import CompareBranches, RequestTrialMerge
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders.context import SendContext, SendResult

MAX_FILES = 200  # names of changed files that are kept of one pull request
MAX_CONFLICTS = 50  # files in conflict that are kept of one merge
MAX_SPANS = 20  # places in each of them


async def try_merge(effect: RequestTrialMerge, errand: SendContext) -> SendResult:
    """Merge one pull request with its base and the others. A verdict is for exactly the commits it names."""
    there = await _in_flight(errand, effect.base)
    if effect.pull_number not in there or there[effect.pull_number].head_sha != effect.head_sha:
        return SendResult()  # it is closed, or another push came in between: its own news asks for another trial
    return SendResult(report=await _compare(errand, effect.base, there, frozenset({effect.pull_number})))


async def compare_branches(effect: CompareBranches, errand: SendContext) -> SendResult:
    """Merge all that go into the base with it, and with each other."""
    all_there = await _in_flight(errand)
    there = {number: flight for number, flight in all_there.items() if flight.base == effect.base}
    found = await _compare(errand, effect.base, there, None) if there else None
    bases = {flight.base for flight in all_there.values()} | {errand.repository.default_branch}
    with contextlib.suppress(GitError, TimeoutError, ValueError):  # a later comparison tidies up
        kept = [*(f"refs/heads/{base}" for base in bases), *(f"refs/pull/{number}/head" for number in all_there)]
        await errand.mirror.prune_refs(kept)
    return SendResult(report=found)


async def _in_flight(errand: SendContext, base: str | None = None) -> dict[int, OpenPull]:
    async with errand.database.autocommit() as connection:
        return await open_pulls.list_open(connection, errand.repository.id, base)


async def _compare(
    errand: SendContext, base: str, there: Mapping[int, OpenPull], of: frozenset[int] | None
) -> ConflictReport:
    mirror = errand.mirror
    base_ref, refs = f"refs/heads/{base}", {number: f"refs/pull/{number}/head" for number in there}
    heads = {number: flight.head_sha for number, flight in there.items()}
    try:
        known = await mirror.resolve_refs(refs.values())
        news = [refs[number] for number, sha in heads.items() if known[refs[number]] != sha]
        fetched = await mirror.fetch([base_ref, *news], await errand.github.git_token())
        base_sha = fetched[base_ref]
        if base_sha is None:
            raise MergeError(f"there is no branch {base}")
        moved = {number for number, ref in refs.items() if ref in fetched and fetched[ref] != heads[number]}
        found = await errand.mirrors.matrix.compare(
            mirror, base_sha, {number: sha for number, sha in heads.items() if number not in moved}, of
        )
        # Only who keeps branches up to date asks whether they are.
        keeps = errand.repository.config is not None and errand.repository.config.merge.update == "always"
        current = await commits_containing(mirror, base_sha) if keeps else frozenset(heads.values())
        said = {flight.base_said for flight in there.values() if flight.base_said} - {base_sha}
        past = frozenset([sha for sha in said if await is_ancestor(mirror, sha, base_sha)])
    except (GitError, MergeError, TimeoutError, ValueError) as error:
        # Those that wait for a result learn that there is none; earlier results stay valid.
        trial = TrialMerge("", None, problem=one_line(mask_secrets(str(error)), 300))
        asked = {number for number, flight in there.items() if flight.trial_merge is None or flight.asks}
        return ConflictReport(base, heads, dict.fromkeys(asked if of is None else of, trial), of=of)
    trials = {
        number: _trial(base_sha, trial, behind=trial.head not in current) for number, trial in found.base_merges.items()
    }
    for number in moved & (of if of is not None else moved):
        trials[number] = TrialMerge(base_sha, None, problem="the head changed in the meantime")
    for number, trial in trials.items():
        if trial.clean is False and trial != there[number].trial_merge and not await _ci_started(errand, heads[number]):
            trials[number] = replace(trial, ci_started=False)
    return ConflictReport(
        base, heads, trials, _touched(found), _pairs(found, heads), frozenset(found.undecided), of, past
    )


async def _ci_started(errand: SendContext, sha: str) -> bool:
    """Whether any check but ours is there. Where GitHub does not say, nothing is claimed."""
    try:
        runs = await errand.github.list_check_runs(errand.name, sha)
    except GitHubError:
        return True
    return any(run.app is None or run.app.id != errand.identity.app_id for run in runs)


def _trial(base_sha: str, trial: OnBase, *, behind: bool) -> TrialMerge:
    files = tuple(_file(file, turned=True) for file in trial.files[:MAX_CONFLICTS])
    return TrialMerge(base_sha, trial.clean, files, one_line(mask_secrets(trial.problem), 300), behind)


def _touched(found: OnMirror) -> dict[int, tuple[str, ...]]:
    return {
        number: tuple(one_line(path, 300) for path in sorted(trial.touched)[:MAX_FILES])
        for number, trial in found.base_merges.items()
        if trial.clean
    }


def _pairs(found: OnMirror, heads: Mapping[int, str]) -> tuple[PullPair, ...]:
    clean = [PullPair(one, other, heads[one], heads[other]) for one, other in found.mergeable]
    return (*clean, *(_pair(clash, heads) for clash in found.conflicts))


def _pair(clash: ConflictingPair, heads: Mapping[int, str]) -> PullPair:
    # A conflict without a file is none that could be shown; git always names one.
    files = tuple(_file(file) for file in clash.files[:MAX_CONFLICTS]) or (FileConflict("?", "unknown"),)
    return PullPair(clash.low, clash.high, heads[clash.low], heads[clash.high], files)


def _file(file: ConflictedFile, *, turned: bool = False) -> FileConflict:
    here, there = (file.theirs, file.ours) if turned else (file.ours, file.theirs)
    return FileConflict(one_line(file.path, 300), file.kind, _spans(here), _spans(there))


def _spans(lines: tuple[LineRange, ...]) -> tuple[Span, ...]:
    return tuple(Span(span.first, span.last) for span in lines[:MAX_SPANS])
