"""Saves open pull requests and the results of comparing them, and finds the tasks that these concern."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from adapters.database import open_pulls
from core.conflicts.pulls import ConflictingPull, ConflictReport, OpenPull, Precedence, PullPair, resolve_conflict
from core.conflicts.summary import check_fingerprint
from core.effects.base import CheckRun, CompareBranches, RequestTrialMerge
from core.signals.base import BaseMoved, PullFacts, TrialMergeDone
from core.task.model import Actor, Pull
from core.texts.checks import CONFLICT_CHECK, conflict_check
from engine.session import NumberedSignal, Session


async def save_pull(session: Session, facts: PullFacts, task: int | None) -> list[NumberedSignal]:
    """Save a pull request as GitHub has it, and return the signals that this causes.

    One without a task is compared when it changed. A merge moves the base of all others: they are compared again before
    anything else is merged.
    """
    connection, repository_id = session.connection, session.repository.id  # no pending write is read here
    changed = await open_pulls.upsert(connection, repository_id, task, facts)
    if changed and task is None:
        effect = RequestTrialMerge(facts.number, facts.number, facts.branch, facts.base, facts.head_sha)
        await session.enqueue_effects(facts.number, effect)
    if facts.merged and not facts.open:
        return await update_base(session, facts.base, facts.merge_sha or "")
    if not facts.open:
        session.closed_pulls.add(facts.number)
    return []


async def update_base(session: Session, base: str, sha: str) -> list[NumberedSignal]:
    """Request a new comparison of the pull requests into `base`, which is at `sha` now; return their tasks' signals."""
    pulls = (await open_pulls.list_open(await session.flushed_connection(), session.repository.id, base)).values()
    if any(pull.needs_comparison or pull.trial_merge is None or pull.trial_merge.base_sha != sha for pull in pulls):
        await session.enqueue_effects(0, CompareBranches(base))
    return [(pull.task, BaseMoved(base, sha)) for pull in pulls if pull.task is not None]


async def delete_pairs_of(session: Session, numbers: Collection[int]) -> list[NumberedSignal]:
    """Delete the pairs of pull requests that were closed without a merge; return the signals that this causes."""
    connection, repository_id = session.connection, session.repository.id
    pairs = await open_pulls.load_pairs(connection, repository_id, numbers)
    await open_pulls.delete_pairs(connection, repository_id, [pair.numbers for pair in pairs])
    conflicting = {number for pair in pairs if not pair.is_clean for number in pair.numbers}
    return await _update_pulls(session, conflicting - set(numbers))


async def save_report(session: Session, report: ConflictReport) -> list[NumberedSignal]:
    """Save a report, except for pull requests that were pushed to meanwhile; return the signals that this causes."""
    connection, repository_id = await session.flushed_connection(), session.repository.id
    pulls = await open_pulls.list_open(connection, repository_id, report.base)
    current = {number for number, sha in report.heads.items() if number in pulls and pulls[number].head_sha == sha}
    trials = {
        n: report.trial_merges[n]
        for n in current
        if n in report.trial_merges and report.trial_merges[n] != pulls[n].trial_merge
    }
    await open_pulls.save_trial_merges(connection, repository_id, trials)
    affected = set(trials) | (
        current & report.pull_numbers
        if report.pull_numbers is not None
        else {n for n in current if pulls[n].needs_comparison}
    )
    if report.pairs is not None:
        compared = current if report.pull_numbers is None else current & report.pull_numbers
        before = {
            pair.numbers: pair
            for pair in await open_pulls.load_pairs(connection, repository_id, compared)
            if current.issuperset(pair.numbers) and pair.numbers not in report.unknown_pairs
        }
        after = {pair.numbers: pair for pair in report.pairs if current.issuperset(pair.numbers)}
        new = {key: pair for key, pair in after.items() if before.get(key) != pair}
        gone = before.keys() - after.keys()
        await open_pulls.delete_pairs(connection, repository_id, gone)
        await open_pulls.save_pairs(connection, repository_id, new.values())
        for key in new.keys() | gone:
            if _conflicting_files(before.get(key)) != _conflicting_files(after.get(key)):
                affected.update(key)
    return await _update_pulls(session, affected, report.changed_files, report.earlier_base_shas)


def _conflicting_files(pair: PullPair | None) -> object:
    return pair.files if pair else ()


async def _update_pulls(
    session: Session,
    numbers: Collection[int],
    touched: Mapping[int, tuple[str, ...]] | None = None,
    past: frozenset[str] = frozenset(),
) -> list[NumberedSignal]:
    """Return the signals for the tasks of these pull requests; of those without a task, update the check."""
    if not numbers:
        return []
    connection, repository_id = await session.flushed_connection(), session.repository.id
    pulls = await open_pulls.list_open(connection, repository_id)
    conflicts: dict[int, list[PullPair]] = {}
    for pair in await open_pulls.load_pairs(connection, repository_id, numbers):
        if not pair.is_clean and set(pair.numbers) <= pulls.keys():
            conflicts.setdefault(pair.low_number, []).append(pair)
            conflicts.setdefault(pair.high_number, []).append(pair)
    signals: list[NumberedSignal] = []
    for number in sorted(set(numbers) & pulls.keys()):
        pull = pulls[number]
        if pull.trial_merge is None:
            continue  # its trial merge is under way, and causes the signal
        rivals = tuple(
            _conflicting_pull(pull, pulls[pair.other_number(number)], pair) for pair in conflicts.get(number, ())
        )
        if pull.task is not None:
            files = (touched or {}).get(number, ())
            signals.append(
                (
                    pull.task,
                    TrialMergeDone.from_trial_merge(number, pull.head_sha, pull.trial_merge, files, rivals, past),
                )
            )
        else:
            await _update_check(session, pull, rivals)
    return signals


def _conflicting_pull(this: OpenPull, other: OpenPull, pair: PullPair) -> ConflictingPull:
    resolution = resolve_conflict(this.side, other.side, share_files=True, clean=False)
    turns = {this.number: Precedence.THIS, other.number: Precedence.OTHER}
    return ConflictingPull(
        pull=other.number,
        task=other.task,
        sha=other.head_sha,
        branch=other.branch,
        owner=other.owner,
        opened_at=other.opened_at,
        is_older=(other.opened_at, other.number) < (this.opened_at, this.number),
        precedence=turns[resolution.waiting_pull] if resolution.waiting_pull is not None else Precedence.NEITHER,
        reason=resolution.reason,
        files=pair.files_for(this.number),
    )


async def _update_check(session: Session, open_pull: OpenPull, conflicting_pulls: tuple[ConflictingPull, ...]) -> None:
    pull = Pull(
        number=open_pull.number,
        attempt=0,
        branch=open_pull.branch,
        base=open_pull.base,
        head_sha=open_pull.head_sha,
        url=open_pull.url,
        author=Actor(0, open_pull.author),
        updated_at=session.now,
        head_seen_at=session.now,
        trial_merge=open_pull.trial_merge,
        conflicting_pulls=conflicting_pulls,
    )
    check = conflict_check(pull)
    fingerprint = check_fingerprint(pull, check.conclusion)
    if fingerprint == open_pull.check_fingerprint:
        return
    await open_pulls.set_check_fingerprint(session.connection, session.repository.id, open_pull.number, fingerprint)
    effect = CheckRun(
        open_pull.number,
        CONFLICT_CHECK,
        open_pull.head_sha,
        check.conclusion,
        check.title,
        check.summary,
        annotations=check.annotations,
    )
    await session.enqueue_effects(open_pull.number, effect)
