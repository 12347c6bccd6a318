"""Agents of the chaos test: most work, some crash, some fall silent, some answer after their lease ended.

What an agent does on an attempt depends on the seed and the attempt alone, not on when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sandbox import ScriptedResult
from sandbox.actors.agents import AgentWork, Crashes, RandomOutput, Stalls, WritesFiles
from sandbox.state.models import WorkflowRun

SHARED_FILE = "shop/cart.py"  # some change the same lines of this file


@dataclass(frozen=True, slots=True)
class RandomAgent:
    """An agent. `seed` is the storm's."""

    seed: int

    async def __call__(self, work: AgentWork) -> None:
        """Work, or not."""
        task, attempt = work.task, work.attempt
        rng = Random(f"{self.seed}:{work.repository.full_name}:{task}:{attempt}")
        outcome = rng.random()
        await work.think(rng.uniform(20, 120))
        files = {f"work/task_{task}.py": f"TASK = {task}\n"}
        if rng.random() < 0.1:
            files[SHARED_FILE] = f"def total(prices):\n    return sum(prices) + {task} - {task}\n"
        if outcome < 0.06:
            await Crashes()(work)
        elif outcome < 0.09:
            await Crashes(files)(work)
        elif outcome < 0.13:
            await Stalls()(work)
        elif outcome < 0.16:
            await RandomOutput()(work)
        elif outcome < 0.2:
            await work.think(35 * 60)  # long after it was given up, if it was
            await WritesFiles(files)(work)
        else:
            await WritesFiles(files)(work)


def random_ci(seed: int) -> Callable[[WorkflowRun], ScriptedResult | None]:
    """How CI ends: one in ten heads is red."""

    def choose_conclusion(run: WorkflowRun) -> ScriptedResult | None:
        if run.event in ("repository_dispatch", "workflow_dispatch"):
            return None
        rng = Random(f"{seed}:{run.head_sha}")
        seconds = rng.uniform(5, 60)
        return (
            ScriptedResult.success(seconds=seconds) if rng.random() >= 0.1 else ScriptedResult.failure(seconds=seconds)
        )

    return choose_conclusion
