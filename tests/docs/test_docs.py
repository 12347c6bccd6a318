"""The documentation keeps its word: nothing stale, no dead link, and the examples in it work."""

import re
import runpy
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from config.repository import parse_repository_config
from config.settings import Settings
from config.task_templates import parse_template
from tests.corpus import entries, entry_names
from tools.docs.configuration import main as configuration_docs
from tools.docs.generate import SECTIONS, MarkersMissing, generated_pages, insert_sections, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
MARKDOWN = MarkdownIt("commonmark").enable("table")

# Words of those who sell, marks of what is unfinished, and what concerns only the authors.
FORBIDDEN = re.compile(
    r"\b(seamless\w*|blazing\w*|cutting[- ]edge|revolutionar\w+|effortless\w*|powerful|game[- ]chang\w+|leverag\w+|"
    r"todo|fixme|tbd|lorem ipsum|coming soon|stay tuned)\b|\.library\b|/work/",
    re.IGNORECASE,
)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page in this language."""
    tokens = MARKDOWN.parse(page.read_text(encoding="utf-8"))
    return [token.content for token in tokens if token.type == "fence" and token.info == language]


def inlines(page: Path) -> Iterator[tuple[Token, list[Token]]]:
    """Every piece of running text, with the token before it."""
    before: Token | None = None
    for token in MARKDOWN.parse(page.read_text(encoding="utf-8")):
        if token.type == "inline" and before is not None:
            yield before, token.children or []
        before = token


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found: set[str] = set()
    for before, children in inlines(page):
        if before.type == "heading_open":
            heading = "".join(child.content for child in children if child.type in ("text", "code_inline"))
            found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def links(page: Path) -> Iterator[str]:
    """Every target of a link or picture."""
    for _, children in inlines(page):
        for child in children:
            target = child.attrGet("href" if child.type == "link_open" else "src")
            if target:
                yield str(target)


def test_the_generated_pages_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(write=False), configuration_docs(["--check"])) == (0, 0), capsys.readouterr().err


def test_what_is_stale_is_named_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    assert main(write=True, root=tmp_path) == 0
    capsys.readouterr()
    (tmp_path / "docs" / "commands.md").write_text("something else")
    assert main(write=False, root=tmp_path) == 1
    assert capsys.readouterr().err == "docs/commands.md is stale; run `make docs`\n"
    assert main(write=True, root=tmp_path) == 0
    assert capsys.readouterr().err == "docs/commands.md written\n"
    assert main(write=False, root=tmp_path) == 0


def test_the_words_between_the_generated_parts_stay() -> None:
    page = "before\n" + "".join(f"<!-- generated: {n} -->\nold\n<!-- end of {n} -->\n{n} goes on\n" for n in SECTIONS)
    made = insert_sections(page)
    assert made.startswith("before\n")
    assert all(f"{name} goes on\n" in made for name in SECTIONS)
    assert "old" not in made.splitlines()
    assert insert_sections(made) == made


def test_a_page_without_its_markers_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MarkersMissing, match="generated: lifecycle"):
        insert_sections("no marker here")
    assert main(write=True, root=tmp_path) == 1
    assert "docs/reference.md" in capsys.readouterr().err


def test_every_row_of_the_generated_tables_says_something() -> None:
    for text in generated_pages().values():
        for line in text.splitlines():
            assert not re.search(r"\|\s*\|", line), f"an empty cell: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        inside = target.is_relative_to(ROOT) and target.exists()
        if not inside or (parts.fragment and parts.fragment not in anchors(target)):
            dead.append(link)
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_page_has_words_that_do_not_belong(page: Path) -> None:
    assert [found[0] for found in FORBIDDEN.finditer(page.read_text(encoding="utf-8"))] == []


def test_the_index_names_every_page() -> None:
    named = {(ROOT / "docs" / link).resolve() for link in links(ROOT / "docs" / "README.md")}
    assert set(PAGES) - named == {ROOT / "docs" / "README.md"}


def test_every_configuration_that_is_shown_is_right() -> None:
    shown = [
        block for page in PAGES for block in blocks(page, "yaml") if re.search(r"^version: 1$", block, re.MULTILINE)
    ]
    assert len(shown) >= 2
    for block in shown:
        if re.search(r"^use: ", block, re.MULTILINE):
            assert parse_template(block, "voucher.yml").criteria
        else:
            assert parse_repository_config(block).agents


def test_every_part_of_a_configuration_that_is_shown_is_right() -> None:
    parts = [
        block
        for page in PAGES
        for block in blocks(page, "yaml")
        if re.match(r"(# \.github/orchestrator\.yml\n)?[a-z_]+:\n  ", block) and "version: 1" not in block
    ]
    assert len(parts) >= 4
    for part in parts:
        parse_repository_config(f"version: 1\nagents:\n  codex: {{adapter: pull}}\n{part}")


def test_every_documented_metric_and_setting_exists() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "bot").rglob("*.py"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    metrics = set(re.findall(r"\borchestrator_[a-z_]+\b", text))
    assert [name for name in sorted(metrics) if f'"{name.removesuffix("_total")}' not in source] == []
    settings = set(
        re.findall(r"`([A-Z]+(?:_[A-Z]+)*_(?:SECONDS|MB|DELIVERIES|REQUESTS|CONNECTIONS|URLS|TOKENS))`", text)
    )
    assert [name for name in sorted(settings) if name.lower() not in Settings.model_fields] == []


def test_pages_stay_short() -> None:
    def words(text: str) -> int:
        return sum(any(map(str.isalnum, word)) for word in text.split())

    by_hand = {
        page: re.sub(r"<!-- (generated|packet): .*?<!-- end of ", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for page in PAGES
        if not page.read_text(encoding="utf-8").startswith("<!-- Made from")
    }
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
    assert words(by_hand[ROOT / "docs" / "architecture.md"]) <= 4_500
    assert sum(map(words, by_hand.values())) <= 25_000


def test_every_make_command_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    there = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)\s*make ([a-z-]+)", text, re.MULTILINE))
    assert "demo" in named
    assert named <= there


def test_everything_that_operators_should_look_for_exists() -> None:
    source = "\n".join(
        p.read_text(encoding="utf-8")
        for room in ("adapters", "engine", "bot", "scheduler")
        for p in (ROOT / room).rglob("*.py")
    )
    told = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    told += (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = set(
        re.findall(
            r"`((?:effect|delivery|outbox|oldest|config|discover|github)[a-z]*_[a-z_]+|repositories_discovered)`",
            told,
        )
    )
    assert {"effect_dead_lettered", "delivery_dead_lettered", "config_synced", "repositories_discovered"} <= names
    assert [name for name in sorted(names) if f'"{name}"' not in source] == []


async def test_the_example_tries_a_configuration(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    whole, _ = blocks(ROOT / "docs" / "sandbox.md", "python")
    script = tmp_path / "try_it.py"
    script.write_text(whole, encoding="utf-8")
    card = await runpy.run_path(str(script))["main"](tmp_path, database_url)
    assert "**Status** | done" in card


async def test_the_example_makes_github_misbehave(tmp_path: Path) -> None:
    _, faults = blocks(ROOT / "docs" / "sandbox.md", "python")
    script = tmp_path / "faults.py"
    script.write_text(faults, encoding="utf-8")
    said = await runpy.run_path(str(script))["main"](tmp_path)
    assert said == ["installation created 502", "issues opened 502", "issues closed 502"]


def test_hostile_inputs_with_a_test_of_their_own_have_it() -> None:
    for name in entry_names("test"):
        path, _, function = str(entries()[name]["test"]).partition("::")
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), name
