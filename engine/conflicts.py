"""What comes of comparing open pull requests, kept and told to those whom it concerns. Always inside a unit of work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from adapters.database import open_pulls
from core.conflicts.pulls import ConflictingPull, ConflictReport, OpenPull, Precedence, PullPair, resolve
from core.conflicts.summary import check_fingerprint
from core.effects.base import CheckRun, CompareBranches, RequestTrialMerge
from core.signals.base import BaseMoved, PullFacts, TrialMergeDone
from core.task.model import Actor, Pull
from core.texts.checks import CONFLICT_CHECK, conflict_check

if TYPE_CHECKING:
    from engine.unit_of_work import UnitOfWork


async def on_pull_seen(unit: UnitOfWork, facts: PullFacts, task: int | None) -> None:
    """A pull request was seen, of a `task` or of nobody's. One that is nobody's is compared when it changed.

    A merge moves the base for all others: they are compared anew before anything else is merged.
    """
    connection, home = unit.connection, unit.repository.id  # nothing that waits is read here
    new = await open_pulls.upsert(connection, home, task, facts)
    if new and task is None:
        await unit.enqueue_effects(
            facts.number, RequestTrialMerge(facts.number, facts.number, facts.branch, facts.base, facts.head_sha)
        )
    if facts.open:
        return
    if facts.merged:
        await base_moved(unit, facts.base, facts.merge_sha or "")
    else:
        unit.pull_closed(facts.number)


async def base_moved(unit: UnitOfWork, base: str, sha: str) -> None:
    """Something went into `base`, which is at `sha` now: whatever is to go there is compared anew."""
    there = await open_pulls.list_open(await unit.written(), unit.repository.id, base)
    for flight in there.values():
        if flight.task is not None:
            await unit.apply(flight.task, BaseMoved(base, sha))
    if any(flight.asks or flight.trial is None or flight.trial.base_sha != sha for flight in there.values()):
        await unit.enqueue_effects(0, CompareBranches(base))


async def on_pulls_closed(unit: UnitOfWork, numbers: Collection[int]) -> None:
    """These pull requests are not merged, and are in nobody's way any more."""
    connection, home = unit.connection, unit.repository.id
    known = await open_pulls.load_pairs(connection, home, numbers)
    await open_pulls.delete_pairs(connection, home, [(pair.one, pair.other) for pair in known])
    met = {number for pair in known if not pair.clean for number in (pair.one, pair.other)}
    await _notify_pull(unit, met - set(numbers))


async def apply_report(unit: UnitOfWork, found: ConflictReport) -> None:
    """Keep what was found, as far as nothing was pushed meanwhile, and tell those whom it concerns."""
    connection, home = await unit.written(), unit.repository.id
    there = await open_pulls.list_open(connection, home, found.base)
    current = {number for number, sha in found.heads.items() if number in there and there[number].head_sha == sha}
    trials = {n: found.trials[n] for n in current if n in found.trials and found.trials[n] != there[n].trial}
    await open_pulls.save_trial_merges(connection, home, trials)
    stirred = set(trials) | (current & found.of if found.of is not None else {n for n in current if there[n].asks})
    if found.pairs is not None:
        about = current if found.of is None else current & found.of
        known = {
            (pair.one, pair.other): pair
            for pair in await open_pulls.load_pairs(connection, home, about)
            if {pair.one, pair.other} <= current and (pair.one, pair.other) not in found.unsure
        }
        now = {(pair.one, pair.other): pair for pair in found.pairs if {pair.one, pair.other} <= current}
        new = {key: pair for key, pair in now.items() if known.get(key) != pair}
        await open_pulls.delete_pairs(connection, home, known.keys() - now.keys())
        await open_pulls.save_pairs(connection, home, new.values())
        changed = new.keys() | (known.keys() - now.keys())
        stirred |= {number for key in changed if _conflict(known.get(key)) != _conflict(now.get(key)) for number in key}
    await _notify_pull(unit, stirred, found.touched, found.past)


def _conflict(pair: PullPair | None) -> object:
    return pair.files if pair else ()


async def _notify_pull(
    unit: UnitOfWork,
    numbers: Collection[int],
    touched: Mapping[int, tuple[str, ...]] | None = None,
    past: frozenset[str] = frozenset(),
) -> None:
    """Tell these pull requests how they stand: their task decides; where there is none, the check just says it."""
    if not numbers:
        return
    connection, home = await unit.written(), unit.repository.id
    there = await open_pulls.list_open(connection, home)
    met: dict[int, list[PullPair]] = {}
    for pair in await open_pulls.load_pairs(connection, home, numbers):
        if not pair.clean and {pair.one, pair.other} <= there.keys():
            met.setdefault(pair.one, []).append(pair)
            met.setdefault(pair.other, []).append(pair)
    for number in sorted(set(numbers) & there.keys()):
        flight = there[number]
        trial = flight.trial
        if trial is None:
            continue  # it is being compared, and told then
        rivals = tuple(_rival(flight, there[pair.beside(number)], pair) for pair in met.get(number, ()))
        if flight.task is not None:
            signal = TrialMergeDone.of(number, flight.head_sha, trial, (touched or {}).get(number, ()), rivals, past)
            await unit.apply(flight.task, signal)
        else:
            await _update_check(unit, flight, rivals)


def _rival(this: OpenPull, other: OpenPull, pair: PullPair) -> ConflictingPull:
    verdict = resolve(this.side, other.side, shares=True, clean=False)
    turns = {this.number: Precedence.THIS, other.number: Precedence.OTHER}
    return ConflictingPull(
        pull=other.number,
        task=other.task,
        sha=other.head_sha,
        branch=other.branch,
        who=other.who,
        opened_at=other.opened_at,
        first=(other.opened_at, other.number) < (this.opened_at, this.number),
        waits=turns[verdict.waits] if verdict.waits is not None else Precedence.NOBODY,
        why=verdict.why,
        files=pair.seen_from(this.number),
    )


async def _update_check(unit: UnitOfWork, flight: OpenPull, rivals: tuple[ConflictingPull, ...]) -> None:
    pull = Pull(
        number=flight.number,
        attempt=0,
        branch=flight.branch,
        base=flight.base,
        head_sha=flight.head_sha,
        url=flight.url,
        author=Actor(0, flight.author),
        updated_at=unit.now,
        head_seen_at=unit.now,
        trial=flight.trial,
        rivals=rivals,
    )
    check = conflict_check(pull)
    shown = check_fingerprint(pull, check.conclusion)
    if shown == flight.shown:
        return
    await open_pulls.set_check_fingerprint(unit.connection, unit.repository.id, flight.number, shown)
    effect = CheckRun(
        flight.number,
        CONFLICT_CHECK,
        flight.head_sha,
        check.conclusion,
        check.title,
        check.summary,
        annotations=check.annotations,
    )
    await unit.enqueue_effects(flight.number, effect)
