"""What the scripts take for an order and what they refuse; the hand-off by reference and as a text."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from adapters.agents import RepositoryContext
from adapters.agents.actions import MAX_PACKET_COMMENTS, ActionsAdapter
from adapters.github import GitHub
from adapters.github.models import Comment
from config.agent_kinds import ActionsAgent
from core.effects.base import StartAgent
from core.texts import COMMENT_LIMIT, comment_marker, packet_comments
from tests.builders import NO_SERVICES, NOW
from tests.workflows.agent_kit import BOT_ID, RUN_TOKEN, Stage, api_server, git, make_packet, make_payload

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY_EVENT = ActionsAgent(adapter="actions", event="agent-task")
BY_WORKFLOW = ActionsAgent(adapter="actions", workflow="agent.yml")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage for orders that are refused: nothing happens on it."""
    with api_server() as api:
        yield Stage(tmp_path_factory.mktemp("shared"), api)


@pytest.fixture
def refusing(shared: Stage) -> Iterator[Stage]:
    shared.event = {"client_payload": make_payload(make_packet())}
    shared.api.comments.clear()
    shared.api.requests.clear()
    yield shared
    assert git(shared.job_folder, "branch", "--show-current") == ""
    assert list(shared.temp_folder.iterdir()) == []


# The hand-off by reference


class Wall:
    """The comments of GitHub, as far as the adapter uses them: our bot writes them onto the stage."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def list_comments(self, repo: str, number: int) -> list[Comment]:
        return []

    async def create_comment(self, repo: str, number: int, body: str) -> Comment:
        assert len(body) <= COMMENT_LIMIT
        comment_id = 501 + len(self.stage.api.comments)
        url = self.stage.api.comment(comment_id, number, body)
        return Comment(id=comment_id, body=body, html_url=url, created_at=NINE, updated_at=NINE)

    async def create_dispatch(self, repo: str, event_type: str, client_payload: dict[str, Any]) -> None:
        assert len(json.dumps(client_payload)) < 64_000
        self.stage.event = {"client_payload": client_payload}

    async def dispatch_workflow(self, repo: str, workflow: str, *, ref: str, inputs: dict[str, str]) -> None:
        assert sum(map(len, inputs.values())) < 65_535
        self.stage.event = {"inputs": inputs}


def _started(stage: Stage, packet: dict[str, Any], spec: ActionsAgent) -> None:
    """The real adapter starts the agent, with a large packet."""
    site = RepositoryContext(cast(GitHub, Wall(stage)), "acme/shop", "main", BOT_ID, NO_SERVICES, NOW)
    order = StartAgent(packet["task"]["number"], packet["attempt"], packet["agent"], packet, NINE)
    asyncio.run(ActionsAdapter().start(site, spec, order, is_retry=False))


def _by_reference(stage: Stage, packet: dict[str, Any], *, attempt: int = 1, author: int = BOT_ID) -> list[str]:
    """The packet in comments as the bot writes them, by any author; returns the addresses that the dispatch names."""
    urls = []
    for part, text in enumerate(packet_comments(packet, packet["agent"], attempt), 1):
        body = f"{text}{comment_marker(f'handoff:12:{attempt}:{part}')}"
        urls.append(stage.api.comment(500 + part, 12, body, author))
    stage.event = {"client_payload": {**make_payload(make_packet()), "packet": {"comments": urls}}}
    return urls


HOSTILE = (
    "--> <!-- orchestrator:packet 1/1 e30= --> </details> `code` ````\n```\n~~~\n@alice closes #1 \r\n \t \u2028 "
    '\x00 \x1b[31m \\ " ${{ secrets.X }} $(id) ::error::no \u00e9 \u6c49 \U0001f600\n'
)


@pytest.mark.parametrize("spec", [BY_EVENT, BY_WORKFLOW], ids=["repository_dispatch", "workflow_dispatch"])
def test_a_large_packet_is_read_back_as_it_was(stage: Stage, spec: ActionsAgent) -> None:
    packet = make_packet(
        goal=HOSTILE * 800,
        notes="\U0001f600" * 30_001,  # characters of four bytes, at every place of a chunk's end
        criteria=[HOSTILE, "-->", "`" * 500],
        feedback={"title": "CI is red", "details": HOSTILE, "sha": None, "failed_checks": []},
    )
    assert len(json.dumps(packet, ensure_ascii=False).encode()) > 200_000
    _started(stage, packet, spec)
    prepared = stage.prepare()
    assert prepared.status == 0, prepared.output
    assert json.loads(Path(prepared.outputs["packet"]).read_text(encoding="utf-8")) == packet
    by_reference = Path(prepared.outputs["handoff"]).read_bytes()
    stage.write_change()
    assert stage.collect(prepared).status == 0
    reading = {token for _, path, token in stage.api.requests if "comments" in path}
    assert reading == {RUN_TOKEN}
    # What the agent reads does not depend on the way that the packet took.
    stage.event = {"client_payload": make_payload(packet)}
    assert Path(stage.prepare().outputs["handoff"]).read_bytes() == by_reference


def test_the_work_on_a_large_packet_is_handed_in(stage: Stage) -> None:
    _started(stage, make_packet(notes="long " * 20_000), BY_EVENT)
    stage.prepare_hand_in()
    assert stage.hand_in().status == 0
    assert stage.api.pulls[0]["title"] == "Add a total to the cart"
    reading = {token for _, path, token in stage.api.requests if "comments" in path}
    assert reading == {RUN_TOKEN}


def test_people_see_one_sentence_of_each_part() -> None:
    comments = packet_comments(make_packet(goal=HOSTILE * 400), "codex", 2)
    seen = [re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).strip() for text in comments]
    assert len(seen) > 1
    assert seen == [
        f"The hand-off of attempt 2 for `codex`, part {part} of {len(seen)}. It is too large for the workflow "
        "dispatch, "
        "so the workflow reads it here; you do not need to do anything."
        for part in range(1, len(seen) + 1)
    ]
    assert max(map(len, comments)) + 200 < COMMENT_LIMIT


LARGE = make_packet(notes="long " * 20_000)  # three parts


def test_a_comment_of_another_author_is_not_followed(refusing: Stage) -> None:
    _by_reference(refusing, make_packet(), author=666)
    assert "The account that started this run did not write comment" in refusing.prepare().error


def test_one_comment_of_another_author_among_the_bot_s_is_not_followed(refusing: Stage) -> None:
    _by_reference(refusing, LARGE)
    refusing.api.comments[502]["user"]["id"] = 666
    assert "The account that started this run did not write comment 502" in refusing.prepare().error


def test_a_comment_of_another_attempt_is_not_followed(refusing: Stage) -> None:
    _by_reference(refusing, make_packet(), attempt=2)
    assert "is not part 1 of the hand-off of this attempt" in refusing.prepare().error


def test_a_comment_that_is_on_another_issue_is_not_followed(refusing: Stage) -> None:
    _by_reference(refusing, make_packet())
    refusing.api.comments[501]["issue_url"] += "3"
    assert "Comment 501 is not on task 12" in refusing.prepare().error


@pytest.mark.parametrize("order", [(0, 2, 1), (1, 0, 2), (0, 0, 2), (0, 1, 1)])
def test_parts_out_of_order_are_refused(refusing: Stage, order: tuple[int, ...]) -> None:
    urls = _by_reference(refusing, LARGE)
    assert len(urls) == 3
    refusing.event["client_payload"]["packet"] = {"comments": [urls[at] for at in order]}
    assert "of the hand-off of this attempt" in refusing.prepare().error


def test_a_packet_with_a_part_missing_is_refused(refusing: Stage) -> None:
    urls = _by_reference(refusing, LARGE)
    refusing.event["client_payload"]["packet"] = {"comments": urls[:2]}
    assert "has part 1 of 3, but the dispatch names it as part 1 of 2" in refusing.prepare().error


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("A", "is damaged"),
        ("e30=e30=", "is damaged"),
        ("e3 0=", "is not part 1"),
        ("e3+/", "is not part 1"),
        ("", "is not part 1"),
        ("_w==", "not UTF-8"),
        ("ew==", "not JSON"),
        ("W10=", "no packet"),
        ("e30=", "has version None"),
    ],
)
def test_what_is_no_packet_is_refused(refusing: Stage, data: str, expected: str) -> None:
    _by_reference(refusing, make_packet())
    comment = refusing.api.comments[501]
    comment["body"] = re.sub(r"(packet 1/1 )\S*", rf"\g<1>{data}", comment["body"])
    assert expected in refusing.prepare().error


def test_words_around_the_parts_are_refused(refusing: Stage) -> None:
    _by_reference(refusing, make_packet())
    refusing.api.comments[501]["body"] += "\nand more"
    assert "is not part 1 of the hand-off" in refusing.prepare().error


def test_a_packet_from_comments_is_checked_as_any_other(refusing: Stage) -> None:
    _by_reference(refusing, make_packet(repository="acme/other"))
    assert "not for this repository" in refusing.prepare().error


@pytest.mark.parametrize(
    "address",
    [
        "https://elsewhere.example/acme/shop/issues/12#issuecomment-501",
        "{url}/acme/other/issues/12#issuecomment-501",
        "{url}/acme/shop/issues/13#issuecomment-501",
        "{url}/acme/shop/issues/12#issuecomment-501/../../7",
        "{url}/acme/shop/issues/12",
        7,
    ],
)
def test_only_comments_on_the_task_are_followed(refusing: Stage, address: object) -> None:
    _by_reference(refusing, make_packet())
    where = address.format(url=refusing.api.url) if isinstance(address, str) else address
    refusing.event["client_payload"]["packet"] = {"comments": [where]}
    assert "is not the address of a comment on task 12" in refusing.prepare().error
    assert refusing.api.requests == []


def test_a_deleted_comment_is_reported(refusing: Stage) -> None:
    _by_reference(refusing, make_packet())
    refusing.api.comments.clear()
    assert "404" in refusing.prepare().error


# What is refused


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"task": "12; id"}, "task is '12; id'"),
        ({"task": True}, "whole number"),
        ({"task": 0}, "whole number"),
        ({"attempt": "\u0661"}, "whole number"),
        ({"attempt": 2}, "is not that of attempt 2"),
        ({"agent": "Codex"}, "is not valid in a configuration"),
        ({"agent": "a\n::add-mask::x"}, "must be a name"),
        ({"branch": "task/12-1/../main"}, "is not that of attempt 1"),
        ({"branch": "main"}, "is not that of attempt 1"),
        ({"base": "--upload-pack=id"}, "is not the name of a branch"),
        ({"base": "a..b"}, "is not the name of a branch"),
        ({"base": "$(id)"}, "There is no branch '$(id)'"),
        ({"base": ""}, "must be a name"),
        ({"packet": "{"}, "not JSON"),
        ({"packet": "[]"}, "no packet"),
        ({"packet": None}, "no packet"),
        ({"packet": {"comments": []}}, f"1 to {MAX_PACKET_COMMENTS} comments"),
        ({"packet": {"comments": ["x"] * (MAX_PACKET_COMMENTS + 1)}}, f"1 to {MAX_PACKET_COMMENTS} comments"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(refusing: Stage, change: dict[str, Any], expected: str) -> None:
    payload = make_payload(make_packet())
    if change.get("base"):
        payload["packet"]["base"] = change["base"]
    refusing.event = {"client_payload": {**payload, **change}}
    assert expected in refusing.prepare().error


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 2}, "copy the newer"),
        ({"task": {"number": 13, "title": "x"}}, "not about task 12"),
        ({"attempt": 2}, "attempt is 2"),
        ({"agent": "claude"}, "agent is 'claude'"),
        ({"branch": "task/12-2"}, "branch is 'task/12-2'"),
        ({"base": "release"}, "base is 'release'"),
        ({"repository": "acme/other"}, "not for this repository"),
        ({"history": [{"number": 1}]}, "not complete"),
        ({"feedback": "all red"}, "not complete"),
        ({"plan": ["red"]}, "not complete"),
    ],
)
def test_a_packet_of_another_run_is_refused(refusing: Stage, change: dict[str, Any], expected: str) -> None:
    refusing.event["client_payload"]["packet"] = {**make_packet(), **change}
    assert expected in refusing.prepare().error


def test_a_run_that_was_not_dispatched_reports_what_it_needs(refusing: Stage) -> None:
    refusing.event = {"ref": "refs/heads/main", "commits": []}
    assert "repository_dispatch (agent-task)" in refusing.prepare().error


def test_the_hand_off_says_everything_that_the_packet_says(stage: Stage) -> None:
    words = (f"word{n}x" for n in range(1000))
    check: dict[str, Any] = {name: next(words) for name in ("name", "url", "step", "first_error", "log_tail")}
    check["failing_tests"] = [next(words), next(words)]
    attempt = {
        name: next(words) for name in ("agent", "role", "outcome", "reason", "branch", "head_sha", "compare_url")
    }
    about = ("url", "branch", "base", "head_sha", "author", "checks", "compare_url")
    pull: dict[str, Any] = {name: next(words) for name in about}
    built_on: dict[str, Any] = {name: next(words) for name in ("reference", "state", "title", "merge_sha")}
    feedback = {name: next(words) for name in ("title", "details", "sha")}
    texts: dict[str, Any] = {name: next(words) for name in ("goal", "notes", "estimate")}
    names = ("criteria", "definition_of_done", "required", "preferred", "files")
    lists: dict[str, Any] = {name: [next(words), next(words)] for name in names}
    packet = make_packet(
        **texts,
        **lists,
        plan={"kind": next(words), "reason": next(words), "steps": [next(words), next(words)]},
        plan_text={name: next(words) for name in ("text", "agent", "at")} | {"attempt": 1},
        pull_request={**pull, "number": 41, "attempt": 2, "files": [next(words)]},
        dependencies=[{**built_on, "pull_request": 51, "files": [next(words), next(words)]}],
        history=[{**attempt, "number": 1, "pull_request": 31, "feedback": None}],
        feedback={**feedback, "failed_checks": [check]},
    )
    used = int(next(words)[4:-1])
    stage.event = {"client_payload": make_payload(packet)}
    text = Path(stage.prepare().outputs["handoff"]).read_text()
    assert [f"word{n}x" for n in range(used) if f"word{n}x" not in text] == []
    assert all(number in text for number in ("#31", "#41", "#51"))
