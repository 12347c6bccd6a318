"""The command line shows the task templates; the page about them shows an example that is right."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from config.problems import ConfigError, Problem
from config.task_templates import built_in_templates, parse_template
from core.intake.templates import render_template
from tools.docs.templates import EXAMPLE, templates_page


def run(*words: str) -> tuple[int, str, str]:
    """Exit status, and what was written to both outputs."""
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.stdout, done.stderr


def test_the_list_has_a_line_for_each() -> None:
    status, out, _ = run("templates")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(built_in_templates())


def test_as_json_they_are_whole() -> None:
    told = json.loads(run("templates", "--json")[1])
    assert list(told) == list(built_in_templates())
    assert told["bug"]["criteria"] == list(built_in_templates()["bug"].criteria)


def test_one_is_printed_as_the_body_of_an_issue() -> None:
    assert run("template", "payment") == (0, render_template(built_in_templates()["payment"]), "")


@pytest.mark.parametrize(
    ("name", "hint"), [("paymnet", "There is no template `paymnet`. Did you mean payment?"), ("xyzzy", "There are acc")]
)
def test_an_unknown_name_gets_the_nearest(name: str, hint: str) -> None:
    status, out, err = run("template", name)
    assert (status, out) == (2, "")
    assert hint in err


def test_an_invalid_template_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ConfigError("bug.yml", [Problem(3, 1, "x", "unknown key `x`")])

    monkeypatch.setattr("bot.cli.main.built_in_templates", broken)
    assert run("templates") == (2, "", "bug.yml:3:1: `x`: unknown key `x`\n")


def test_the_example_of_the_page_is_right() -> None:
    assert parse_template(EXAMPLE, "voucher.yml").phases
    assert EXAMPLE in templates_page()
