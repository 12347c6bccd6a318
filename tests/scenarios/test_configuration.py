"""The repository's configuration, and repositories that come, go and change their names."""

from collections.abc import AsyncIterator
from pathlib import Path

from config.labels import label_definition
from sandbox.actors.agents import Stalls, WritesFiles
from sandbox.services import labels
from tests.scenarios.shop import CODE, CONFIG, CONFIG_PATH, WORKFLOWS, body, config
from tests.scenarios.world import World, open_world, story_fixture
from tests.scenarios.writes import delivery_lines

TAX = {"shop/tax.py": "RATE = 0.19\n"}


@story_fixture
async def bare(tmp_path: Path, database_url: str) -> AsyncIterator[World]:
    """The shop without a configuration: the bot only observes."""
    async with open_world(tmp_path, database_url, {**CODE, **WORKFLOWS}) as it:
        yield it


async def test_without_a_configuration_the_bot_only_observes(bare: World) -> None:
    issue = await bare.files("Add the tax rate", body(needs="tests"))
    await bare.advance(minutes=20)
    assert bare.written() == []

    await bare.says(issue, "/status")
    written = bare.written()
    assert written[0] == "#1 reaction confused"
    assert written[1].startswith("#1 comment: I do not work on this repository yet")
    assert len(written) == 2
    await bare.says(issue, "/deploy now")
    assert bare.written() == []


async def test_a_configuration_that_comes_later_finds_the_issues_that_are_there(bare: World) -> None:
    codex = bare.agent("codex", WritesFiles(TAX))
    issue = await bare.files("Add the tax rate", body(needs="tests"))
    await bare.alice.labels(issue, "task")  # the form's label did not exist yet, so GitHub had dropped it
    ordinary = await bare.alice.opens_issue(bare.shop, "A question", "Why?")
    await bare.settle()
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: CONFIG})
    await bare.settle()
    assert bare.status(issue) == "done"
    assert len(codex.work_items) == 1
    assert ordinary.comments == []
    made = [line for line in bare.written() if line.startswith("label ")]
    assert {"label status:ready", "label P0", "label agent:codex", "label needs:docs"} <= set(made)
    assert "label stalled" not in made, "no issue carries it yet"
    assert len(made) == len(set(made))
    assert "label task" not in made  # alice made that one, and its looks are hers


async def test_a_label_that_a_person_deleted_comes_back_when_it_is_needed_and_not_before(bare: World) -> None:
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: CONFIG})
    await bare.settle()
    for name in ("P2", "status:ready"):
        label = bare.shop.label(name)
        assert label is not None
        labels.delete(bare.hub, label, bare.alice)
    bare.ignore_writes("set-up")
    await bare.alice.pushes(bare.shop, "main", {CONFIG_PATH: config(merge={"auto": False})})
    await bare.settle()
    assert bare.written() == []
    issue = await bare.files("Think about rates", body(needs="cobol"))
    assert bare.status(issue) == "pending"
    assert [line for line in bare.written() if line.startswith("label ")] == ["label P2", "label needs:cobol"]
    again = bare.shop.label("P2")
    assert again is not None
    assert again.color == label_definition("P2").colour
    assert bare.shop.label("status:ready") is None


async def test_a_bad_configuration_leaves_the_last_good_one_in_force(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: "version: 1\nagent: {}\n"})
    await world.settle()
    assert world.written() == []
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "done"
    assert world.written() == delivery_lines(1, 2, "codex", card="card")


async def test_configuration_mistakes_are_annotated_on_their_lines(world: World) -> None:
    mistakes = "".join(f"nonsense{number}: true\n" for number in range(60))
    bad = CONFIG.replace("capabilities: [python, docs]", "capabilites: [python]") + mistakes
    await world.alice.pushes(world.shop, "team", {CONFIG_PATH: bad})
    pull = await world.alice.opens_pull(world.shop, head="team", title="Another team")
    await world.settle()
    told = ["check orchestrator-config: failure", "check updated: None", "check conflict-first: success"]
    assert sorted(world.written()) == sorted(told)
    check = world.check("orchestrator-config")
    assert len(check.annotations) == 61
    assert (check.annotations[0]["path"], check.annotations[0]["start_line"]) == (CONFIG_PATH, 4)
    assert "did you mean `capabilities`?" in check.annotations[0]["message"]
    assert check.title == f"61 errors in {CONFIG_PATH}"

    await world.alice.pushes(world.shop, "team", {CONFIG_PATH: CONFIG + "limits: {max_attempts: 2}\n"})
    await world.settle()
    assert sorted(world.written()) == ["check conflict-first: success", "check orchestrator-config: success"]
    assert world.check("orchestrator-config").annotations == []
    await world.alice.merges(pull)
    await world.alice.pushes(world.shop, "words", {"README.md": "# The shop\n"})
    await world.alice.opens_pull(world.shop, head="words", title="Words alone")
    await world.settle()
    assert world.written() == ["check conflict-first: success"]


async def test_no_annotation_is_repeated_after_a_lost_response(world: World) -> None:
    await world.alice.pushes(world.shop, "team", {CONFIG_PATH: CONFIG + "".join(f"k{n}: 1\n" for n in range(60))})
    world.hub.faults.fail_response("checks/create", "500-done")
    await world.alice.opens_pull(world.shop, head="team", title="Another team")
    await world.settle()
    await world.advance(seconds=5)
    lines = [annotation["start_line"] for annotation in world.check("orchestrator-config").annotations]
    first = len(CONFIG.splitlines()) + 1
    assert sorted(lines) == list(range(first, first + 60))
    world.ignore_writes("only the outcome matters")


async def test_cards_show_a_broken_configuration_until_it_is_fixed(world: World) -> None:
    world.agent("codex", Stalls())
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: "agents: [\n"})
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert "The configuration on the default branch has errors" in world.card(issue)
    await world.says(issue, "/status")
    assert "- line 2: this is not valid YAML" in world.comments(issue)[0]
    world.ignore_writes("the card and the answer to /status")

    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: CONFIG})
    await world.settle()
    assert "mistakes" not in world.card(issue)
    assert world.written() == ["#1 card edited"]


async def test_an_agent_that_the_configuration_gains_takes_what_waits_for_it(world: World) -> None:
    issue = await world.files("Port it", body(needs="cobol"))
    assert world.status(issue) == "pending"
    world.ignore_writes("set-up")
    grace = world.agent("grace", WritesFiles(TAX))
    agents = {"grace": {"adapter": "actions", "workflow": "agent.yml", "capabilities": ["cobol"]}}
    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: config(agents=agents)})
    await world.settle()
    assert world.status(issue) == "done"
    assert len(grace.work_items) == 1
    world.ignore_writes("the task's attempt and merge")


async def test_a_dry_run_writes_only_the_card_and_the_digest(world: World) -> None:
    codex = world.agent("codex", WritesFiles(TAX))
    await world.configures(config(dry_run=True, digest={"interval": "30m"}))
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.written() == ["#1 card"]
    assert "dry run: the bot would choose codex" in world.card(issue)
    assert "**Dry run**: the bot writes only this card and the digest." in world.card(issue)
    assert codex.work_items == []

    await world.advance(minutes=30)
    assert world.written() == ["label orchestrator-digest", "issues/create "]
    told = world.shop.issues[2].body or ""
    assert "**Dry run**: this page shows what the bot would do; it does none of it." in told
    assert "| waiting (ready): dry run: the bot would choose codex" in told
    assert codex.work_items == []

    await world.says(issue, "/explain")
    assert world.written() == ["#1 reaction eyes", "#1 reaction rocket", *_one_comment(world)]

    await world.alice.pushes(world.shop, "main", {CONFIG_PATH: CONFIG})
    await world.settle()
    assert world.status(issue) == "done"
    assert len(codex.work_items) == 1
    world.ignore_writes("the task's attempt and merge")


def _one_comment(world: World) -> list[str]:
    return [f"#1 comment: {world.comments(world.shop.issue(1))[-1].splitlines()[0]}"]


async def test_a_renamed_repository_goes_on_working(world: World) -> None:
    world.agent("codex", WritesFiles(TAX))
    world.hub.rename(world.shop, "boutique")
    issue = await world.files("Add the tax rate", body(needs="tests"))
    assert world.status(issue) == "done"
    assert world.written() == delivery_lines(1, 2, "codex", card="card")


async def test_an_uninstalled_app_is_silent(world: World) -> None:
    world.agent("codex", Stalls())
    issue = await world.files("Add the tax rate", body(needs="tests"))
    world.ignore_writes("set-up")
    world.hub.emit_installation(world.installation, "installation", "deleted")
    await world.settle()
    await world.advance(hours=9)
    assert world.written() == []
    assert world.status(issue) == "in-progress"
