"""The demo files its tasks as GitHub's issue form does."""

from __future__ import annotations

import pytest

from bot.demo import shelf
from bot.demo.form import FormError, IssueForm
from bot.demo.story import ERRANDS, STORY
from config.repository import CONFIG_PATH, parse_repository_config
from core.intake import parse

FORM = IssueForm.parse(shelf.shop()[shelf.FORM])


def test_answers_stand_below_their_labels() -> None:
    body = FORM.render({"goal": "So be it.", "required-capabilities": "python", "dependencies": "#3"})
    assert body.startswith("### Goal\n\nSo be it.\n\n### Acceptance criteria\n\n- [ ]\n\n")
    assert "### Priority\n\nP2\n\n" in body
    assert body.endswith("### Estimate\n\n_No response_\n")
    intake = parse(body)
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
    files = shelf.shop()
    team = parse_repository_config(files[CONFIG_PATH]).agents
    assert set(team) == set(STORY.agents)
    assert len({agent.capabilities for agent in team.values()}) == len(team)
    assert {".github/workflows/agent.yml", ".github/workflows/ci.yml", shelf.FORM} <= files.keys()
    assert all(shelf.work(errand.name) for errand in ERRANDS)


def test_the_story_has_what_it_promises() -> None:
    assert len(ERRANDS) == 8
    assert {errand.answers["priority"] for errand in ERRANDS} == {"P0", "P1", "P2"}
    assert sum(bool(errand.after) for errand in ERRANDS) == 3
    assert sum(errand.completed is not None for errand in ERRANDS) == 1
    assert sum(errand.first is not None for errand in ERRANDS) == 1
    assert [name for name, part in STORY.agents.items() if part.dies] == ["cursor"]
    assert [name for name, part in STORY.agents.items() if part.broke] == ["devin"]
