"""What agents did is measured: `/agents` shows it, `/metrics` has it, and deadlines learn from it."""

from datetime import timedelta

from adapters.database import attempts
from core.assignment.stats import AttemptRecord
from core.task.model import LearnedTimeout, Role
from sandbox.actors.agents import Stalls, WritesFiles
from tests.scenarios.shop import body
from tests.scenarios.world import World


async def test_a_merged_task_shows_in_the_figures_of_its_agent(world: World) -> None:
    world.agent("codex", WritesFiles({"shop/tax.py": "RATE = 0.19\n"}, title="Tax"), think_seconds=90)
    issue = await world.files("Add the tax rate", body(needs="tests"))
    await world.advance(seconds=90)
    assert world.status(issue) == "done"
    await world.says(issue, "/agents")
    answer = world.comments(issue)[-1]
    assert "| `codex` | all | 1 | 1 | 0% | 100% | 1.0 | 90 s | 90 s |" in answer
    assert "| `codex` | `tests` | 1 | 1 |" in answer
    page = (await world.bot.metrics.render(world.bot.database, world.clock.now())).decode()
    assert 'orchestrator_agent_error_rate{agent="codex",repository="acme/shop"} 0.0' in page
    assert 'orchestrator_agent_completion_seconds_median{agent="codex",repository="acme/shop"} 90.' in page
    world.ignore_writes("only the outcome matters")


async def test_slow_is_not_dead(world: World) -> None:
    """Twenty attempts at which it took four minutes to begin: it is given six, and the card says so."""
    now = world.clock.now()
    began = [
        AttemptRecord(
            n, 1, "codex", Role.IMPLEMENT, (), now, now + timedelta(minutes=4), ended_at=now, outcome="delivered"
        )
        for n in range(1001, 1021)
    ]
    async with world.bot.database.transaction() as connection:
        await attempts.save(connection, world.shop.id, began)
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    lease = (await world.task(issue)).lease
    assert lease
    assert lease.learned_timeout == LearnedTimeout(timedelta(minutes=6), timedelta(minutes=10))
    assert "**Time limits** | 6 min to start, then 10 min without a sign of life" in world.card(issue)
    world.ignore_writes("only the outcome matters")
