"""Agents of the storm: most work, some die, some fall silent, some come back when nobody waits for them any more.

What an agent does on an attempt depends on the seed and the attempt alone, not on when it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sandbox import Conclusion
from sandbox.actors.agents import AgentWork, Crashes, RandomOutput, Stalls, WritesFiles
from sandbox.state.models import WorkflowRun

SHARED = "shop/cart.py"  # some change the same lines of this file


@dataclass(frozen=True, slots=True)
class Moody:
    """An agent. `seed` is the storm's."""

    seed: int

    async def __call__(self, work: AgentWork) -> None:
        """Work, or not."""
        task, attempt = work.task, work.attempt
        chance = Random(f"{self.seed}:{work.repository.full_name}:{task}:{attempt}")
        fate = chance.random()
        await work.think(chance.uniform(20, 120))
        files = {f"work/task_{task}.py": f"TASK = {task}\n"}
        if chance.random() < 0.1:
            files[SHARED] = f"def total(prices):\n    return sum(prices) + {task} - {task}\n"
        if fate < 0.06:
            await Crashes()(work)
        elif fate < 0.09:
            await Crashes(files)(work)
        elif fate < 0.13:
            await Stalls()(work)
        elif fate < 0.16:
            await RandomOutput()(work)
        elif fate < 0.2:
            await work.think(35 * 60)  # long after it was given up, if it was
            await WritesFiles(files)(work)
        else:
            await WritesFiles(files)(work)


def ci(seed: int) -> Callable[[WorkflowRun], Conclusion | None]:
    """How CI ends: one in ten heads is red."""

    def decide(run: WorkflowRun) -> Conclusion | None:
        if run.event in ("repository_dispatch", "workflow_dispatch"):
            return None
        chance = Random(f"{seed}:{run.head_sha}")
        seconds = chance.uniform(5, 60)
        return Conclusion.success(seconds=seconds) if chance.random() >= 0.1 else Conclusion.failure(seconds=seconds)

    return decide
