"""Senders that look for conflicts on the local mirror: one open pull request, or all that go into a base."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from adapters.database import open_pulls
from adapters.git import (
    BaseMerge,
    ConflictedFile,
    ConflictingPair,
    DiskLimitError,
    GitError,
    MatrixResult,
    MergeError,
    Mirror,
    commits_containing,
    is_ancestor,
)
from adapters.git.conflict_lines import LineRange
from adapters.github.errors import GitHubError
from core.conflicts.pulls import ConflictReport, FileConflict, OpenPull, PullPair, Span, TrialMerge
from core.effects.base import CompareBranches, RequestTrialMerge
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders.context import SendContext, SendResult

MAX_FILES = 200  # names of changed files that are kept of one pull request
MAX_CONFLICTS = 50  # files in conflict that are kept of one merge
MAX_SPANS = 20  # places in each of them


async def run_trial_merge(effect: RequestTrialMerge, context: SendContext) -> SendResult:
    """Merge one pull request with its base and the others. A verdict is for exactly the commits it names."""
    pulls = await _load_open_pulls(context, effect.base)
    if effect.pull_number not in pulls or pulls[effect.pull_number].head_sha != effect.head_sha:
        return SendResult()  # it is closed, or another push came in between: its own news asks for another trial
    return SendResult(report=await _compare_pulls(context, effect.base, pulls, frozenset({effect.pull_number})))


async def compare_branches(effect: CompareBranches, context: SendContext) -> SendResult:
    """Merge all that go into the base with it, and with each other."""
    all_pulls = await _load_open_pulls(context)
    base_pulls = {number: pull for number, pull in all_pulls.items() if pull.base == effect.base}
    report = await _compare_pulls(context, effect.base, base_pulls, None) if base_pulls else None
    bases = {pull.base for pull in all_pulls.values()} | {context.repository.default_branch}
    with contextlib.suppress(GitError, TimeoutError, ValueError):  # a later comparison tidies up
        refs = [*(f"refs/heads/{base}" for base in bases), *(f"refs/pull/{number}/head" for number in all_pulls)]
        await context.mirror.prune_refs(refs)
    return SendResult(report=report)


async def _load_open_pulls(context: SendContext, base: str | None = None) -> dict[int, OpenPull]:
    async with context.database.autocommit() as connection:
        return await open_pulls.list_open(connection, context.repository.id, base)


async def _compare_pulls(
    context: SendContext, base: str, pulls: Mapping[int, OpenPull], numbers: frozenset[int] | None
) -> ConflictReport:
    mirror = context.mirror
    base_ref, refs = f"refs/heads/{base}", {number: f"refs/pull/{number}/head" for number in pulls}
    heads = {number: pull.head_sha for number, pull in pulls.items()}
    try:
        local_shas = await mirror.resolve_refs(refs.values())
        missing_refs = [refs[number] for number, sha in heads.items() if local_shas[refs[number]] != sha]
        fetched, refused = await _fetch_refs(mirror, base_ref, missing_refs, await context.github.git_token())
        base_sha = fetched[base_ref]
        if base_sha is None:
            raise MergeError(f"there is no branch {base}")
        unusable = {number: refused[ref] for number, ref in refs.items() if ref in refused}
        for number, ref in refs.items():
            if ref in fetched and fetched[ref] != heads[number]:
                unusable[number] = "the head changed in the meantime"
        matrix_result = await context.mirrors.matrix.compare(
            mirror, base_sha, {number: sha for number, sha in heads.items() if number not in unusable}, numbers
        )
        # Only who keeps branches up to date asks whether they are.
        keeps_updated = context.repository.config is not None and context.repository.config.merge.update == "always"
        up_to_date = await commits_containing(mirror, base_sha) if keeps_updated else frozenset(heads.values())
        reported = {pull.reported_base_sha for pull in pulls.values() if pull.reported_base_sha} - {base_sha}
        earlier_base_shas = frozenset([sha for sha in reported if await is_ancestor(mirror, sha, base_sha)])
    except (GitError, MergeError, TimeoutError, ValueError) as error:
        # Those that wait for a result learn that there is none; earlier results stay valid.
        trial_merge = TrialMerge("", None, problem=one_line(mask_secrets(str(error)), 300))
        waiting = {number for number, pull in pulls.items() if pull.trial_merge is None or pull.needs_comparison}
        return ConflictReport(
            base, heads, dict.fromkeys(waiting if numbers is None else numbers, trial_merge), pull_numbers=numbers
        )
    trial_merges = {
        number: _trial_merge(base_sha, trial_merge, is_behind=trial_merge.head not in up_to_date)
        for number, trial_merge in matrix_result.base_merges.items()
    }
    for number, problem in unusable.items():
        if numbers is None or number in numbers:
            trial_merges[number] = TrialMerge(base_sha, None, problem=problem)
    for number, trial_merge in trial_merges.items():
        if (
            trial_merge.clean is False
            and trial_merge != pulls[number].trial_merge
            and not await _has_ci_started(context, heads[number])
        ):
            trial_merges[number] = replace(trial_merge, ci_started=False)
    return ConflictReport(
        base,
        heads,
        trial_merges,
        _changed_files(matrix_result),
        _pull_pairs(matrix_result, heads),
        frozenset(matrix_result.undecided),
        numbers,
        earlier_base_shas,
    )


async def _fetch_refs(
    mirror: Mirror, base_ref: str, refs: Sequence[str], token: str
) -> tuple[dict[str, str | None], dict[str, str]]:
    """The commits of these refs, and why others were not fetched: one that is too large must not spoil the rest."""
    try:
        return await mirror.fetch([base_ref, *refs], token), {}
    except DiskLimitError:
        fetched, refused = await mirror.fetch([base_ref], token), {}
    for ref in refs:
        try:
            fetched |= await mirror.fetch([ref], token)
        except DiskLimitError as error:
            refused[ref] = str(error)
    return fetched, refused


async def _has_ci_started(context: SendContext, sha: str) -> bool:
    """Whether any check but ours is there. Where GitHub does not say, nothing is claimed."""
    try:
        runs = await context.github.list_check_runs(context.full_name, sha)
    except GitHubError:
        return True
    return any(run.app is None or run.app.id != context.identity.app_id for run in runs)


def _trial_merge(base_sha: str, base_merge: BaseMerge, *, is_behind: bool) -> TrialMerge:
    files = tuple(_file_conflict(file, is_swapped=True) for file in base_merge.files[:MAX_CONFLICTS])
    return TrialMerge(base_sha, base_merge.clean, files, one_line(mask_secrets(base_merge.problem), 300), is_behind)


def _changed_files(matrix_result: MatrixResult) -> dict[int, tuple[str, ...]]:
    return {
        number: tuple(one_line(path, 300) for path in sorted(base_merge.touched)[:MAX_FILES])
        for number, base_merge in matrix_result.base_merges.items()
        if base_merge.clean
    }


def _pull_pairs(matrix_result: MatrixResult, heads: Mapping[int, str]) -> tuple[PullPair, ...]:
    clean = [PullPair(low, high, heads[low], heads[high]) for low, high in matrix_result.mergeable]
    return (*clean, *(_pull_pair(conflict, heads) for conflict in matrix_result.conflicts))


def _pull_pair(conflict: ConflictingPair, heads: Mapping[int, str]) -> PullPair:
    # A conflict without a file is none that could be shown; git always names one.
    files = tuple(_file_conflict(file) for file in conflict.files[:MAX_CONFLICTS]) or (FileConflict("?", "unknown"),)
    return PullPair(conflict.low, conflict.high, heads[conflict.low], heads[conflict.high], files)


def _file_conflict(file: ConflictedFile, *, is_swapped: bool = False) -> FileConflict:
    own_lines, other_lines = (file.theirs, file.ours) if is_swapped else (file.ours, file.theirs)
    return FileConflict(one_line(file.path, 300), file.kind, _to_spans(own_lines), _to_spans(other_lines))


def _to_spans(lines: tuple[LineRange, ...]) -> tuple[Span, ...]:
    return tuple(Span(span.first, span.last) for span in lines[:MAX_SPANS])
