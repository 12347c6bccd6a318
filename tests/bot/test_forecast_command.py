"""`orchestrator forecast`: a history is replayed and judged, and nothing of the repository is executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bot.cli.main import app
from core.forecast.evaluation import ForecastScore, evaluate_forecast
from core.forecast.model import Forecast, PredictedFile
from tests.adapters.git_repositories import WorkTree

RUNNER = CliRunner()


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    return WorkTree(tmp_path / "shop")


def _merge(work: WorkTree, number: int, message: str, files: dict[bytes, bytes | None]) -> None:
    work.branch("topic")
    work.commit(files, "wip")
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "--no-ff", "-m", f"Merge pull request #{number} from ada/topic\n\n{message}", "topic")


def _run_forecast(*arguments: str) -> dict[str, object]:
    done = RUNNER.invoke(app, ["forecast", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_merged_branches_are_replayed(work: WorkTree) -> None:
    work.commit({b"shop/cart.py": b"def total(): ...\n", b"shop/tax.py": b"1\n", b"README.md": b"1\n"}, "Begin")
    _merge(work, 1, "Round `total()`\n\nIt loses cents.", {b"shop/cart.py": b"def total(): ... # 2\n"})
    _merge(work, 2, "Refunds\n\nPut them into shop/refunds.py.", {b"shop/refunds.py": b"1\n", b"README.md": b"2\n"})
    _merge(work, 3, "Fix `shop/tax.py`", {b"shop/other.py": b"1\n"})
    told = _run_forecast(str(work.folder))
    assert (told["replayed"], told["branches"]) == ("merges", 3)
    assert told["each"] == [
        {"title": "Round `total()`", "foreseen": 1, "right": 1, "changed": 1, "new": 0, "left_out": False},
        {"title": "Refunds", "foreseen": 1, "right": 1, "changed": 2, "new": 0, "left_out": False},
        {"title": "Fix `shop/tax.py`", "foreseen": 1, "right": 0, "changed": 1, "new": 1, "left_out": False},
    ]
    assert (told["precision"], told["recall"], told["recall_without_new_files"]) == (0.6667, 0.5, 0.6667)
    assert _run_forecast(str(work.folder), "--limit", "1")["branches"] == 1
    shown = RUNNER.invoke(app, ["forecast", str(work.folder / "shop")])
    assert shown.exit_code == 0
    assert "precision   67%" in shown.stdout
    assert "3 merged branches" in shown.stdout


def test_without_merges_each_commit_counts_and_nothing_is_executed(work: WorkTree, tmp_path: Path) -> None:
    ran, evil = tmp_path / "ran", tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {ran}\n")
    evil.chmod(0o755)
    work.commit({b"a.py": b"1\n", b".gitattributes": b"* diff=evil filter=evil\n"}, "Begin")
    work.commit({b"[red]b.py": b"1\n", b"a.py": b"2\n"}, "[bold]Fix[/bold] a.py and `evil_name` :smile: \x1b[31m")
    for key in ("gpg.program", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.smudge",
                "core.fsmonitor", "core.pager", "core.sshCommand", "core.editor"):  # fmt: skip
        work.git("config", key, str(evil))
    work.git("config", "log.showSignature", "true")
    told = _run_forecast(str(work.folder))
    assert (told["replayed"], told["branches"], told["right"]) == ("commits", 1, 1)
    shown = RUNNER.invoke(app, ["forecast", str(work.folder)]).stdout
    assert "[bold]Fix[/bold] a.py" in shown
    assert "\x1b" not in shown
    assert not ran.exists()


def test_what_cannot_be_replayed_says_why(work: WorkTree, tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        done = RUNNER.invoke(app, ["forecast", *arguments])
        assert done.exit_code == 2
        return " ".join((done.output or done.stderr).split())

    assert "no commits yet" in said(str(work.folder))
    work.commit({b"a": b"1"})
    assert "only one commit" in said(str(work.folder))
    assert "No such file or directory" in said(str(tmp_path / "nowhere"))
    (tmp_path / "file").touch()
    assert "Not a directory" in said(str(tmp_path / "file"))
    (tmp_path / "plain").mkdir()
    assert "not a git repository" in said(str(tmp_path / "plain"))
    assert "greater than" in said(str(work.folder), "--limit", "0")


def test_shares_and_what_is_left_out() -> None:
    likely = Forecast((PredictedFile("a", 0.9, ""), PredictedFile("b", 0.3, ""), PredictedFile("c", 0.29, "")))
    one = evaluate_forecast("t", likely, ["a", "c", "new"], {"a", "b", "c"})
    assert (one.predicted, one.changed, one.correct, one.created) == (2, 3, 1, 1)
    wide = evaluate_forecast("w", likely, [str(n) for n in range(51)], ())
    score = ForecastScore((one, wide))
    assert score.scored_branches == (one,)
    assert (score.precision, score.recall, score.recall_existing) == (1 / 2, 1 / 3, 1 / 2)
    assert ForecastScore(()).precision is None
    assert ForecastScore((evaluate_forecast("n", Forecast(), ["a"], ()),)).precision is None
