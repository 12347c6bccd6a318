"""What can be measured without a world: one pass over a long queue, and the balance between equal agents."""

from __future__ import annotations

import gc
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from config.repository import Scoring
from core.assignment.rules import Agent, AssignmentPass
from core.task.model import Priority, Task
from tests.bench.figure import Figure
from tests.builders import NOW, Story, agent

SKILLS = ("python", "docs", "web", "go")


def queue(length: int) -> list[Task]:
    """So many waiting tasks of all priorities, with various needs."""
    known = Story().ready().task
    wanted = [replace(known, required=needs) for needs in (*((skill,) for skill in SKILLS), ("tests",), ())]
    return [
        replace(wanted[n % len(wanted)], number=n, priority=Priority(f"P{n * 3 // length}"))
        for n in range(1, length)
    ]  # fmt: skip


def team(size: int, room: int) -> list[Agent]:
    """So many agents of four kinds, each with the same room."""
    return [agent(f"agent-{n:03}", SKILLS[n % 4], "tests", max_tasks=room) for n in range(size)]


def _seconds(length: int, agents: list[Agent], runs: int) -> float:
    tasks, taken = queue(length), []
    for _ in range(runs):
        gc.collect()
        begun = perf_counter()
        round_ = AssignmentPass(agents, Scoring(), NOW)
        for task in tasks:  # each choice is kept where it belongs and let go, as the bot does it
            round_.choose(task)
        taken.append(perf_counter() - begun)
    return min(taken)  # what else the machine does only ever adds


def scaling(small: int = 1_000, large: int = 10_000, agents: int = 200, runs: int = 5) -> Figure:
    """How much longer a pass takes over ten times the tasks; the worse of agents soon full and agents never full."""
    found = {}
    for name, room in (("soon_full", 2), ("never_full", -(-large // agents) * 4)):
        first, second = (_seconds(length, team(agents, room), runs) for length in (small, large))
        found[name] = {"seconds_small": round(first, 3), "seconds_large": round(second, 3), "ratio": second / first}
    worst = max(case["ratio"] for case in found.values())
    rounded = {name: {key: round(value, 3) for key, value in case.items()} for name, case in found.items()}
    how = {"tasks": [small, large], "agents": agents, "best_of": runs, "cases": rounded}
    return Figure("assignment_scaling", worst, "times", 12, how=how)


def balance(tasks: int = 2_000, agents: int = 10, room: int = 3, seed: int = 1) -> list[Figure]:
    """Equal agents, one stream of tasks that each take equally long: busiest minus idlest, by us and by chance."""
    hands = [agent(f"agent-{n:02}", max_tasks=room) for n in range(agents)]
    chance = random.Random(seed)
    known = Story().ready().task

    def ours(there: list[Agent]) -> str:
        return AssignmentPass(there, Scoring(), NOW).choose(known).agent or ""

    def drawn(there: list[Agent]) -> str:
        return chance.choice([one for one in there if one.holding < one.max_tasks]).name

    found = []
    for name, pick in (("balance_spread", ours), ("balance_spread_by_chance", drawn)):
        in_hand, ever = _stream(hands, tasks, pick, random.Random(seed))
        how = {"tasks": tasks, "agents": agents, "room": room, "spread_ever": ever, "spread_in_hand": in_hand}
        found.append(Figure(name, max(in_hand, ever), "tasks", 1, how=how))
    return found


def _stream(
    hands: list[Agent], tasks: int, pick: Callable[[list[Agent]], str], times: random.Random
) -> tuple[int, int]:
    """The largest spread of tasks in hand at any moment, and of tasks ever given at the end."""
    there = {one.name: one for one in hands}
    at_work: deque[tuple[float, str]] = deque()
    clock, worst = 0.0, 0
    longest = len(hands) * hands[0].max_tasks * 0.6  # a task takes so long that about six in ten places are taken
    for _ in range(tasks):
        clock += times.expovariate(1.0)
        while at_work and at_work[0][0] <= clock:
            _, name = at_work.popleft()
            there[name] = replace(there[name], holding=there[name].holding - 1)
        if all(one.holding >= one.max_tasks for one in there.values()):
            clock, name = at_work.popleft()
            there[name] = replace(there[name], holding=there[name].holding - 1)
        chosen = there[pick(list(there.values()))]
        there[chosen.name] = replace(chosen, holding=chosen.holding + 1, assigned=chosen.assigned + 1)
        at_work.append((clock + longest, chosen.name))
        held = [one.holding for one in there.values()]
        worst = max(worst, max(held) - min(held))
    ever = Counter({one.name: one.assigned for one in there.values()}).values()
    return worst, max(ever) - min(ever)
