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
    template_task = Story().file_ready_task().task
    variants = [
        replace(template_task, required_capabilities=capabilities)
        for capabilities in (*((skill,) for skill in SKILLS), ("tests",), ())
    ]
    return [
        replace(variants[number % len(variants)], number=number, priority=Priority(f"P{number * 3 // length}"))
        for number in range(1, length)
    ]  # fmt: skip


def team(size: int, max_tasks: int) -> list[Agent]:
    """So many agents of four kinds, each with the same room."""
    return [agent(f"agent-{number:03}", SKILLS[number % 4], "tests", max_tasks=max_tasks) for number in range(size)]


def _measure_pass(length: int, agents: list[Agent], runs: int) -> float:
    tasks, durations = queue(length), []
    for _ in range(runs):
        gc.collect()
        started_at = perf_counter()
        assignment_pass = AssignmentPass(agents, Scoring(), NOW)
        for task in tasks:  # each choice is kept where it belongs and let go, as the bot does it
            assignment_pass.choose(task)
        durations.append(perf_counter() - started_at)
    return min(durations)  # what else the machine does only ever adds


def scaling(small: int = 1_000, large: int = 10_000, agents: int = 200, runs: int = 5) -> Figure:
    """How much longer a pass takes over ten times the tasks; the worse of agents soon full and agents never full."""
    cases = {}
    for name, max_tasks in (("soon_full", 2), ("never_full", -(-large // agents) * 4)):
        small_seconds, large_seconds = (
            _measure_pass(length, team(agents, max_tasks), runs) for length in (small, large)
        )
        cases[name] = {
            "seconds_small": round(small_seconds, 3),
            "seconds_large": round(large_seconds, 3),
            "ratio": large_seconds / small_seconds,
        }
    worst = max(case["ratio"] for case in cases.values())
    rounded = {name: {key: round(value, 3) for key, value in case.items()} for name, case in cases.items()}
    details = {"tasks": [small, large], "agents": agents, "best_of": runs, "cases": rounded}
    return Figure("assignment_scaling", worst, "times", 12, details=details)


def balance(tasks: int = 2_000, agents: int = 10, max_tasks: int = 3, seed: int = 1) -> list[Figure]:
    """Equal agents, one stream of tasks that each take equally long: busiest minus idlest, by us and by chance."""
    equal_agents = [agent(f"agent-{n:02}", max_tasks=max_tasks) for n in range(agents)]
    rng = random.Random(seed)
    template_task = Story().file_ready_task().task

    def choose_by_score(candidates: list[Agent]) -> str:
        return AssignmentPass(candidates, Scoring(), NOW).choose(template_task).agent or ""

    def choose_at_random(candidates: list[Agent]) -> str:
        return rng.choice([candidate for candidate in candidates if candidate.active_tasks < candidate.max_tasks]).name

    figures = []
    for name, choose in (("balance_spread", choose_by_score), ("balance_spread_by_chance", choose_at_random)):
        held_spread, total_spread = _simulate_stream(equal_agents, tasks, choose, random.Random(seed))
        details = {
            "tasks": tasks,
            "agents": agents,
            "room": max_tasks,
            "spread_ever": total_spread,
            "spread_in_hand": held_spread,
        }
        figures.append(Figure(name, max(held_spread, total_spread), "tasks", 1, details=details))
    return figures


def _simulate_stream(
    team_agents: list[Agent], tasks: int, choose: Callable[[list[Agent]], str], rng: random.Random
) -> tuple[int, int]:
    """The largest spread of tasks in hand at any moment, and of tasks ever given at the end."""
    agents_by_name = {member.name: member for member in team_agents}
    running: deque[tuple[float, str]] = deque()
    clock, max_spread = 0.0, 0
    task_seconds = (
        len(team_agents) * team_agents[0].max_tasks * 0.6
    )  # a task takes so long that about six in ten places are taken
    for _ in range(tasks):
        clock += rng.expovariate(1.0)
        while running and running[0][0] <= clock:
            _, name = running.popleft()
            agents_by_name[name] = replace(agents_by_name[name], active_tasks=agents_by_name[name].active_tasks - 1)
        if all(member.active_tasks >= member.max_tasks for member in agents_by_name.values()):
            clock, name = running.popleft()
            agents_by_name[name] = replace(agents_by_name[name], active_tasks=agents_by_name[name].active_tasks - 1)
        chosen = agents_by_name[choose(list(agents_by_name.values()))]
        agents_by_name[chosen.name] = replace(
            chosen, active_tasks=chosen.active_tasks + 1, total_assigned=chosen.total_assigned + 1
        )
        running.append((clock + task_seconds, chosen.name))
        held_counts = [member.active_tasks for member in agents_by_name.values()]
        max_spread = max(max_spread, max(held_counts) - min(held_counts))
    totals = Counter({member.name: member.total_assigned for member in agents_by_name.values()}).values()
    return max_spread, max(totals) - min(totals)
