"""Task templates: the 24 that come along, and what is said of a file that is not right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from config.problems import ConfigError
from config.task_templates import (
    BUILT_IN_FOLDER,
    TEMPLATES_FOLDER,
    TaskTemplate,
    TemplateFile,
    built_in_templates,
    effective_templates,
    load_templates,
    parse_template,
)

GOOD = """\
version: 1
title: Voucher
use: A voucher of a new kind.
kind: functional
goal: Customers can use the voucher that the title names.
criteria: [a voucher counts once]
estimate: 2 h
phases: {red: a test, green: some code, refactor: less code}
"""


def own(text: str, name: str = "voucher", **more: str) -> TemplateFile:
    """A file in a repository's own folder."""
    return TemplateFile(f"{TEMPLATES_FOLDER}/{name}.yml", f"sha of {text}", text, **more)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_template(text, "voucher.yml")
    return str(caught.value)


def test_there_is_one_for_each_kind_of_work_that_a_product_team_does() -> None:
    assert set(built_in_templates()) == {
        *("feature", "api-endpoint", "ui-page", "form", "payment", "email", "auth", "migration", "background-job"),
        *("webhook", "test-debt", "refactor", "bug", "performance", "accessibility", "security-fix"),
        *("dependency-upgrade", "ci", "deployment", "monitoring", "docs", "analytics", "content", "spike"),
    }
    assert len(built_in_templates()) == len(list(BUILT_IN_FOLDER.iterdir())) == 24


@pytest.mark.parametrize("name", built_in_templates())
def test_each_template_has_what_an_assignee_needs(name: str) -> None:
    template = built_in_templates()[name]
    assert len(template.criteria) >= 5
    assert len(template.integration) >= 3
    assert template.components
    assert template.words
    assert not template.capabilities, "no agent of a team need have it"
    assert (template.phases is not None) == (template.kind == "functional")


def test_no_two_say_the_same() -> None:
    said = [line for t in built_in_templates().values() for line in (*t.criteria, *t.integration, t.goal, t.use)]
    assert len(said) == len(set(said))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("criterias: [x]", "voucher.yml:9:1: `criterias`: unknown key `criterias`; did you mean `criteria`?"),
        ("priority: P9", "must be one of P0, P1, P2, not `P9`"),
        ("files: [../secret]", "must be a path or pattern from the top of the repository"),
        ("files: [the docs]", "put other things under `components`"),
        ("components: [checkout.py]", "must be two words or more"),
        ("integration: ['# Goal']", "no heading, code block or HTML"),
        ("done: ['  blanks']", "must be one line of 1 to 300 characters without blanks around it"),
        ("capabilities: [Python 3]", "write `python-3`"),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_its_fix(change: str, told: str) -> None:
    assert told in refusal(f"{GOOD}{change}\n")
    assert "voucher.yml:9:" in refusal(f"{GOOD}{change}\n")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("refactor: less", "refaktor: less", "unknown key `refaktor`; did you mean `refactor`?"),
        ("[a voucher counts once]", "[]", "must not be empty"),
        ("estimate: 2 h\n", "", "the key `estimate` is missing"),
        ("version: 1", "version: 2", "must be 1, not `2`"),
        ("kind: functional", "kind: non-functional", "only a functional task has phases"),
        ("phases: {red: a test, green: some code, refactor: less code}\n", "", "a functional task needs its phases"),
        ("Customers can use the voucher that the title names.", '"a\\n\\n### Priority\\n\\nP0"', "no heading"),
        ("Customers can use the voucher that the title names.", '"a\\n```\\nb"', "code block"),
        ("Customers can use the voucher that the title names.", '"a\\n<!-- b"', "HTML"),
    ],
)
def test_so_is_one_inside(old: str, new: str, told: str) -> None:
    assert old in GOOD
    assert told in refusal(GOOD.replace(old, new))


def test_a_file_that_is_no_yaml_or_has_no_name_is_refused() -> None:
    assert "not valid YAML" in refusal("a: [")
    with pytest.raises(ConfigError, match="is not a valid template name"):
        parse_template(GOOD, f"{TEMPLATES_FOLDER}/My Voucher.yml")


def test_a_mistake_in_one_of_ours_stops_the_start_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "voucher.yml").write_text(GOOD + "prio: P0\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"voucher\.yml:9:1: `prio`: unknown key `prio`; did you mean `priority`\?"):
        load_templates(tmp_path)
    (tmp_path / "voucher.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read: not UTF-8"):
        load_templates(tmp_path)
    (tmp_path / "voucher.yml").unlink()
    with pytest.raises(ConfigError, match="no task templates"):
        load_templates(tmp_path)


def test_a_repositorys_own_stand_beside_ours_and_go_before_them() -> None:
    there = effective_templates([own(GOOD), own(GOOD.replace("Voucher", "Our bug"), "bug")])
    assert there.by_name.keys() == built_in_templates().keys() | {"voucher"}
    assert list(there.by_name) == sorted(there.by_name)
    assert (there.by_name["bug"].title, there.by_name["form"]) == ("Our bug", built_in_templates()["form"])
    assert there.repository_names == {"voucher", "bug"}
    assert not there.invalid_files


def test_a_broken_one_stops_no_other_and_no_other_is_given_for_it() -> None:
    there = effective_templates([own(GOOD + "x: 1\n", "bug"), own(GOOD), own("", "form", problem="it is not UTF-8")])
    assert "voucher" in there.by_name
    assert "bug" not in there.by_name
    assert there.invalid_files[f"{TEMPLATES_FOLDER}/bug.yml"].startswith("line 9: `x`: unknown key `x`; valid keys are")
    assert there.invalid_files[f"{TEMPLATES_FOLDER}/form.yml"] == "it is not UTF-8"


def test_every_key_is_described() -> None:
    assert [name for name, field in TaskTemplate.model_fields.items() if not field.description] == []
    assert yaml.safe_load(GOOD).keys() <= TaskTemplate.model_fields.keys()
