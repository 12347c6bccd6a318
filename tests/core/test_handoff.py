"""The hand-off packet: complete, plain JSON, and the same in both forms."""

from __future__ import annotations

import json

from core.handoff.packet import DependencyResult
from core.task.model import ChecksState
from core.texts import handoff_text
from tests.builders import MERGE_SHA, NOW, SHA, Story, body, failed_check

TEXT = (
    body(
        "Sell apples, and pears.",
        ("apples are sold", "pears are sold"),
        priority="P1",
        required_capabilities="python",
        preferred_capabilities="docs",
        definition_of_done="- [ ] the docs say so",
        dependencies="#3, acme/web#4",
        files="shop/fruit.py",
        estimate="2 h",
    )
    + "\n\n### Background\n\nPeople like fruit."
)


def filed() -> Story:
    story = Story()
    story.dependencies = {"#3": True, "acme/web#4": True}
    story.dependency_results = (DependencyResult("#3", "done", "Fruit", 9, MERGE_SHA, ("shop/a.py",)),)
    return story.file_ready_task(title="Sell fruit", text=TEXT)


def test_the_packet_holds_everything_the_issue_says() -> None:
    story = filed().assign()
    packet = story.packet()
    assert packet == {
        "version": 1,
        "sealed_at": story.now.isoformat(),
        "repository": "acme/shop",
        "task": {
            "number": 1,
            "title": "Sell fruit",
            "url": "https://github.com/acme/shop/issues/1",
            "priority": "P1",
        },
        "attempt": 1,
        "agent": "codex",
        "role": "implement",
        "branch": "task/1-1",
        "base": "main",
        "goal": "Sell apples, and pears.",
        "criteria": ["apples are sold", "pears are sold"],
        "definition_of_done": ["the docs say so"],
        "plan": {
            "kind": story.task.kind,
            "reason": story.task.kind_reason,
            "steps": packet["plan"]["steps"],
        },
        "required": ["python"],
        "preferred": ["docs"],
        "files": ["shop/fruit.py"],
        "dependencies": [
            {
                "reference": "#3",
                "state": "done",
                "title": "Fruit",
                "pull_request": 9,
                "merge_sha": MERGE_SHA,
                "files": ["shop/a.py"],
            },
            {
                "reference": "acme/web#4",
                "state": "unknown",
                "title": None,
                "pull_request": None,
                "merge_sha": None,
                "files": [],
            },
        ],
        "notes": "### Background\n\nPeople like fruit.",
        "estimate": "2 h",
        "plan_text": None,
        "pull_request": None,
        "history": [],
        "feedback": None,
        "report": {
            "how": "Open a pull request from `task/1-1` into `main` whose description contains `Closes #1`.",
            "closing_line": "Closes #1",
        },
    }
    assert packet["plan"]["steps"]
    assert json.loads(json.dumps(packet)) == packet


def test_the_next_attempt_gets_what_went_wrong() -> None:
    story = filed().reach_review()
    failed = failed_check(step="pytest", first_error="E assert 1 == 2", failing_tests=("test_fruit",), log_tail="boom")
    story.report_checks(ChecksState.FAILURE, None, failed)
    packet = story.assign().packet()
    assert (packet["attempt"], packet["branch"]) == (2, "task/1-2")
    (earlier,) = packet["history"]
    assert earlier["feedback"] == packet["feedback"]
    assert {k: earlier[k] for k in ("number", "agent", "outcome", "reason", "branch", "pull_request", "head_sha")} == {
        "number": 1,
        "agent": "codex",
        "outcome": "failed",
        "reason": "CI failed: tests",
        "branch": "task/1-1",
        "pull_request": 7,
        "head_sha": SHA,
    }
    assert packet["feedback"]["sha"] == SHA
    assert packet["feedback"]["failed_checks"] == [
        {
            "name": "tests",
            "url": failed.url,
            "step": "pytest",
            "first_error": "E assert 1 == 2",
            "failing_tests": ["test_fruit"],
            "log_tail": "boom",
        }
    ]


def test_the_packet_is_sealed() -> None:
    """What is edited after the assignment is for the next attempt."""
    story = filed().assign()
    packet = story.packet()
    story.see_issue(text=body("Something else."))
    assert packet["goal"] == "Sell apples, and pears."


def test_the_markdown_says_what_the_json_says() -> None:
    story = filed().reach_review()
    story.report_checks(ChecksState.FAILURE, None, failed_check(log_tail="boom"))
    packet = story.assign().packet()
    text = handoff_text(dict(packet))
    said = [
        packet["goal"], *packet["criteria"], *packet["definition_of_done"], *packet["files"], packet["branch"],
        packet["base"], *packet["plan"]["steps"], packet["notes"], packet["report"]["how"],
        packet["estimate"], *packet["required"], *packet["preferred"], packet["feedback"]["title"], "boom",
        *(d["reference"] for d in packet["dependencies"]), "Fruit", MERGE_SHA,
        packet["history"][0]["compare_url"],
        packet["history"][0]["branch"], packet["task"]["title"], packet["task"]["url"],
    ]  # fmt: skip
    assert [words for words in said if words not in text] == []
    assert NOW.isoformat()[:10] in text, "when it was sealed"
