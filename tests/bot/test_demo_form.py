"""The demo files its tasks as GitHub's issue form does."""

from __future__ import annotations

import pytest

from bot.demo import files as demo_files
from bot.demo.form import FormError, IssueForm
from bot.demo.scenario import DEMO_TASKS, SCENARIO, DemoTask
from bot.demo.solutions import Insertion
from config.repository import CONFIG_PATH, parse_repository_config
from core.intake.parser import parse_issue

FORM = IssueForm.parse(demo_files.shop_files()[demo_files.FORM])


def test_answers_stand_below_their_labels() -> None:
    body = FORM.render({"goal": "So be it.", "required-capabilities": "python", "dependencies": "#3"})
    assert body.startswith("### Goal\n\nSo be it.\n\n### Acceptance criteria\n\n- [ ]\n\n")
    assert "### Priority\n\nP2\n\n" in body
    assert body.endswith("### Estimate\n\n_No response_\n")
    intake = parse_issue(body)
    assert (intake.goal, intake.required, [d.number for d in intake.dependencies]) == ("So be it.", ("python",), [3])
    assert intake.criteria == ()
    assert FORM.labels == ("task",)


def test_what_the_form_does_not_offer_is_refused() -> None:
    with pytest.raises(FormError, match="no field gaol"):
        FORM.render({"gaol": "x"})
    with pytest.raises(FormError, match="priority offers P0, P1, P2"):
        FORM.render({"priority": "P9"})
    with pytest.raises(FormError, match="checkboxes"):
        IssueForm.parse("body: [{type: checkboxes, id: a, attributes: {label: A}}]")


def test_the_shop_is_a_repository_with_everything_that_agents_need() -> None:
    files = demo_files.shop_files()
    team = parse_repository_config(files[CONFIG_PATH]).agents
    assert set(team) == set(SCENARIO.agents)
    assert len({agent.capabilities for agent in team.values()}) == len(team)
    assert {".github/workflows/agent.yml", ".github/workflows/ci.yml", demo_files.FORM} <= files.keys()
    assert all(demo_files.solution_files(errand.solution.folder) for errand in DEMO_TASKS)


def test_the_story_has_what_it_promises() -> None:
    assert len(DEMO_TASKS) == 10
    assert {errand.answers["priority"] for errand in DEMO_TASKS} == {"P0", "P1", "P2"}
    assert sum(bool(errand.depends_on) for errand in DEMO_TASKS) == 2
    assert sum(errand.later_answers is not None for errand in DEMO_TASKS) == 1
    assert sum(errand.solution.first_folder is not None for errand in DEMO_TASKS) == 1
    assert [name for name, part in SCENARIO.agents.items() if part.crashes] == ["cursor"]
    assert [name for name, part in SCENARIO.agents.items() if part.has_no_credit] == ["devin"]


def test_who_meets_whom() -> None:
    """Two pairs change the same lines; one of them says so in its form. One more changes other lines of that file."""
    places: dict[tuple[str, str], list[str]] = {}
    for errand in DEMO_TASKS:
        for edit in errand.solution.edits:
            places.setdefault((edit.path, edit.anchor), []).append(errand.name)
            assert edit.text in edit.apply_to(demo_files.shop_files()[edit.path])
    assert sorted(places.values()) == [["coffee", "teapot"], ["coffee", "teapot"], ["pieces"], ["remove", "clear"]]
    saying = [errand.name for errand in DEMO_TASKS if {edit.path for edit in errand.solution.edits} & _named(errand)]
    assert saying == ["coffee", "teapot"]


def _named(errand: DemoTask) -> set[str]:
    return set(errand.answers.get("files", "").splitlines())


def test_a_change_whose_place_is_not_there_is_refused() -> None:
    edit = Insertion("shop/cart.py", "b", "c")
    assert edit.apply_to("abd") == "abcd"
    for old in ("a", "abb"):
        with pytest.raises(ValueError, match=r"shop/cart.py has 'b' \d times, not once"):
            edit.apply_to(old)
