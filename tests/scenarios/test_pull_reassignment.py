"""A pull request belongs to another task, or to none, than when it was first seen: what is asked of it is sent at once.

The effects of a pull request are kept under its key, and keep the number under which they were first asked for; the job
that sends them has to look there.
"""

import pytest

from tests.scenarios.shop import body
from tests.scenarios.world import World

SUM = "def total(prices):\n    return sum(prices)\n"


def cart(factor: str) -> dict[str, str]:
    return {"shop/cart.py": SUM.replace("sum(prices)", f"sum(prices) * {factor}")}


@pytest.mark.parametrize("linked", ["when it is opened", "by an edit"])
async def test_a_pull_request_that_becomes_a_tasks_is_merged_at_once(world: World, linked: str) -> None:
    issue = await world.files("Tax in the total", body("Tax it.", needs="tests"), "blocked")  # no agent takes it
    await world.alice.pushes(world.shop, "tax", cart("1.19"))
    link = f"Closes #{issue.number}"
    text = link if linked == "when it is opened" else ""
    pull = await world.alice.opens_pull(world.shop, title="Tax it", head="tax", base="main", body=text)
    await world.settle()
    if linked == "by an edit":
        await world.alice.edits_pull(pull, body=link)
        await world.settle()
    await world.says(issue, "/unblock")
    assert world.status(issue) == "done"
    assert f"merge #{pull.number}" in world.written()


async def test_one_that_is_pushed_to_after_it_became_a_tasks_is_tried_again(world: World) -> None:
    await world.files("Tax in the total", body("Tax it.", needs="tests"), "blocked")
    second = await world.files("Another tax", body("Tax it twice.", needs="tests"), "blocked")
    await world.alice.pushes(world.shop, "tax", cart("1.19"))
    pull = await world.alice.opens_pull(world.shop, title="Tax it", head="tax", base="main")
    await world.settle()
    await world.alice.edits_pull(pull, body=f"Closes #{second.number}")
    await world.settle()
    await world.alice.pushes(world.shop, "tax", cart("1.20"))
    await world.settle()
    assert world.check_of(pull).conclusion == "success"
    await world.says(second, "/unblock")
    assert world.status(second) == "done"
    world.ignore_writes("only the outcome matters")


async def test_two_pull_requests_of_one_branch_are_both_tried_at_once(world: World) -> None:
    await world.alice.pushes(world.shop, "release", cart("2"))
    await world.alice.pushes(world.shop, "tax", cart("1.19"))
    await world.settle()
    assert world.written() == []
    await world.alice.opens_pull(world.shop, title="Tax it", head="tax", base="main")
    await world.settle()
    assert world.written() == ["check conflict-first: success"]
    await world.alice.opens_pull(world.shop, title="Tax it there too", head="tax", base="release")
    await world.settle()
    assert world.written() == ["check conflict-first: failure"]
