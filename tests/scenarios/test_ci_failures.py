"""CI is red: the next attempt gets what failed, and after three a person is called."""

from collections.abc import Iterable

from sandbox import ScriptedResult
from sandbox.actions.scripted_result import CiScript
from sandbox.actors.agents import WritesFiles
from sandbox.state.models import WorkflowRun
from tests.scenarios.shop import body
from tests.scenarios.world import World
from tests.scenarios.writes import merge_lines, review_lines, start_lines

BROKEN = {"shop/tax.py": "RATE = 19\n"}
FIXED = {"shop/tax.py": "RATE = 0.19\n"}
LOG = "\n".join(
    [
        *(f"collecting {n} …" for n in range(500)),
        "export API_TOKEN=s3cr3t-value-that-no-one-should-see",
        "thanks @mallory for #1, fixes #1",
        "FAILED tests/test_tax.py::test_rate - AssertionError: 19 != 0.19",
        "E   AssertionError: 19 != 0.19",
        "##[error]Process completed with exit code 1.",
    ]
)


def _in_turn(*outcomes: ScriptedResult) -> CiScript:
    """CI's runs end so, one after the other; all after the last are green."""
    ahead = iter(outcomes)

    def script(run: WorkflowRun) -> ScriptedResult:
        return next(ahead, ScriptedResult.success())

    return script


def _red() -> ScriptedResult:
    return ScriptedResult.failure(step="pytest", log=LOG, job="test")


def _feedback(comments: Iterable[str]) -> list[str]:
    return [text for text in comments if "CI failed" in text]


async def test_ci_red_then_green(world: World) -> None:
    codex = world.agent("codex", WritesFiles(BROKEN, fixes=FIXED))
    world.ci(_in_turn(_red()))
    issue = await world.files("Add the tax rate", body(needs="tests"))

    assert world.written() == [
        *start_lines(1, "codex", card="card"),
        "dispatch task/1-2 to codex",
        "#2 comment: CI failed: test",
        "check conflict-first: success",
        '#2 {"state": "closed"}',
        *merge_lines(1, 3),
    ]
    assert world.status(issue) == "done"
    assert world.shop.pull(2).issue.state == "closed"
    assert not world.shop.pull(2).merged
    assert world.shop.git.read("main", "shop/tax.py") == FIXED["shop/tax.py"]
    events = await world.events(issue)
    assert events.count("task_sent_back") == 1
    assert "task_reassigned" in events

    second = codex.work_items[1].packet
    assert (second["attempt"], second["branch"], second["agent"]) == (2, "task/1-2", "codex")
    [failed] = second["feedback"]["failed_checks"]
    assert failed["step"] == "pytest"
    assert failed["failing_tests"] == ["tests/test_tax.py::test_rate"]
    assert "AssertionError: 19 != 0.19" in failed["first_error"]
    assert second["feedback"]["sha"] == world.shop.pull(2).head_sha
    [first] = second["history"]
    assert (first["outcome"], first["pull_request"], first["branch"]) == ("failed", 2, "task/1-1")


async def test_the_feedback_is_bounded_masked_and_harmless(world: World) -> None:
    world.agent("codex", WritesFiles(BROKEN, fixes=FIXED))
    world.ci(_in_turn(_red()))
    await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")

    [text] = _feedback(world.comments(world.shop.issue(2)))
    assert "in step “pytest”" in text
    assert "tests/test_tax.py::test_rate" in text
    assert "s3cr3t" not in text
    assert "collecting 3 …" not in text
    assert "collecting 499 …" in text
    assert len(text) < 10_000
    outside = text.split("```")[0]
    assert "@mallory" not in outside
    assert world.shop.issue(1).state == "closed"


async def test_three_red_call_a_person_and_retry_starts_over(world: World) -> None:
    codex = world.agent("codex", WritesFiles(BROKEN))
    claude = world.agent("claude", WritesFiles(BROKEN))
    world.ci(_in_turn(_red(), _red(), _red()))
    issue = await world.files("Add the tax rate", body(needs="python"))

    assert world.status(issue) == "failed"
    assert "needs-human" in issue.label_names
    assert len(codex.work_items) + len(claude.work_items) == 3
    # Two failed fixes of one agent in a row: the third attempt is another's.
    assert sorted((len(codex.work_items), len(claude.work_items))) == [1, 2]
    assert world.written()[-6:] == [
        "#4 comment: CI failed: test",
        "#1 comment: @alice **this task needs a person.**",
        "#1 assigned to alice",
        '#3 {"state": "closed"}',
        "#1 labels status:failed",
        "#1 card edited",
    ]
    [call] = world.comments(issue)
    assert "3 attempts failed" in call
    assert "`/retry`" in call

    await world.says(issue, "/retry")
    assert world.status(issue) == "done"
    assert "needs-human" not in issue.label_names
    assert (await world.task(issue)).attempt == 4
    assert world.written() == [
        "dispatch task/1-4 to codex",
        "#1 reaction eyes",
        "#1 reaction rocket",
        "#1 labels status:in-progress",
        "#1 card edited",
        '#4 {"state": "closed"}',
        "check conflict-first: success",
        *merge_lines(1, 5),
    ]
    assert issue.comments[-1].reaction_names == ["eyes", "rocket"]


async def test_a_failed_check_of_an_old_head_is_ignored(world: World) -> None:
    """CI of the first commit ends red after a second one was pushed; only the second one's word counts."""
    codex = world.agent("codex", WritesFiles(BROKEN))
    world.ci(_in_turn(ScriptedResult.failure(step="pytest", log=LOG, seconds=60), ScriptedResult.success(seconds=120)))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "review"
    await world.alice.pushes(world.shop, "task/1-1", FIXED)
    await world.settle()
    world.ignore_writes("the red run and the push")

    await world.advance(seconds=60)
    assert world.status(issue) == "review"
    assert world.written() == []

    await world.advance(seconds=60)
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert world.written() == merge_lines(1, 2)


async def test_an_agent_fixes_its_own_branch_in_time(world: World) -> None:
    """The agent pushed to the same pull request before anybody read the red; no second attempt is needed."""
    world.agent("codex", WritesFiles(BROKEN))
    world.ci(_in_turn(ScriptedResult.failure(step="pytest", log=LOG, seconds=60)))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    await world.alice.pushes(world.shop, "task/1-1", FIXED)
    await world.settle()
    assert world.status(issue) == "done"
    await world.advance(seconds=60)
    assert "CI failed" not in "".join(world.comments(world.shop.issue(2)))
    world.ignore_writes("the merge")


async def test_a_repository_without_ci(world: World) -> None:
    """No checks ever appear: after a while there are none, and the merge goes on."""
    await world.alice.pushes(world.shop, "main", {".github/workflows/ci.yml": None})
    world.hub.set_ci_script(world.shop, None)
    world.agent("codex", WritesFiles(FIXED))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "review"
    assert world.written() == [*start_lines(1, "codex", card="card"), *review_lines(1)]
    await world.advance(minutes=2)
    assert world.status(issue) == "done"
    assert world.written() == merge_lines(1, 2)
