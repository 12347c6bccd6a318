"""The benchmark runs, at a size at which its times mean nothing; what does not depend on time holds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.bench import conflicts, intake, scheduler_load
from tests.bench.__main__ import main
from tests.bench.figure import Figure
from tests.bench.generated import generate
from tests.bench.rules import balance


def test_each_figure_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--only", "rules"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["figure"] for line in lines] == ["balance_spread", "balance_spread_by_chance", "assignment_scaling"]
    assert all({"value", "unit", "target", "holds"} <= line.keys() for line in lines)


def test_the_figures_of_the_checks_for_conflicts_are_lines_of_json_and_the_verdicts_agree(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert conflicts.main(["--tiny"]) == 0
    lines = {told["figure"]: told for told in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(lines) == [
        "check_vs_worktree",
        "pairs200_vs_exhaustive",
        "verdict_mismatches",
        "push_vs_matrix",
        "forecast_precision",
        "forecast_recall",
        "pairs1000_vs_pairs200",
        "memory_mb_above_idle",
    ]
    assert lines["verdict_mismatches"]["value"] == 0
    assert lines["verdict_mismatches"]["compared"] > 20
    assert lines["memory_mb_above_idle"]["holds"]
    recall = lines["forecast_recall"]
    assert 0 < recall["right"] <= recall["foreseen"]
    assert recall["value"] <= recall["of_files_that_were_there"] <= 1


def test_the_figures_of_the_clock_are_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert scheduler_load.main(["--tiny"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    names = [line["figure"] for line in lines]
    assert names[:2] == ["sweep_scaling", "history_scaling"]
    assert names[2:4] == ["digest_points", "digest_content_writes"]
    assert names[4:] == ["help_behind_hung_fetches_ms", "escalation_worst_seconds"]
    assert [line["holds"] for line in lines[2:4]] == [True, True]
    assert lines[2]["writes_unchanged"] == 0
    assert lines[4]["repositories_that_hung"] >= 2
    assert lines[5]["calls_that_hung"] > 0


def test_what_was_answered_202_outlives_the_process_that_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert intake.main(["--tiny", "--only", "busy"]) == 0
    lines = {told["figure"]: told for told in map(json.loads, capsys.readouterr().out.splitlines())}
    assert list(lines) == ["intake_p99_ms", "lost_after_kill", "memory_mb_10k_tasks"]
    assert lines["lost_after_kill"]["value"] == 0
    assert lines["lost_after_kill"]["taken"] > 10
    assert lines["memory_mb_10k_tasks"]["holds"]


def test_a_target_may_be_the_least_that_is_wanted_or_none_at_all() -> None:
    assert json.loads(Figure("faster", 9, "times", 10, at_least=True).to_json())["holds"] is False
    assert json.loads(Figure("faster", 9, "times", 10, at_least=True).to_json())["target"] == ">= 10"
    assert "target" not in json.loads(Figure("shown", 9, "times", None).to_json())


def test_limits_are_distinguished_from_goals() -> None:
    told = json.loads(Figure("latency", 1_200, "ms", 1_000, 5_000).to_json())
    assert (told["holds"], told["must_holds"]) == (False, True)


def test_equal_agents_are_kept_in_balance_and_chance_does_not_do_it() -> None:
    ours, chance = balance(500)
    assert ours.is_on_target
    assert chance.value > 1


def test_a_generated_repository_is_what_it_says_and_the_same_each_time(tmp_path: Path) -> None:
    made = generate(tmp_path / "one", 7, files=60, commits=90, branches=20)
    again = generate(tmp_path / "two", 7, files=60, commits=90, branches=20)

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=made.path, capture_output=True, check=True, text=True).stdout

    assert (made.main, made.merges, made.branches) == (again.main, again.merges, again.branches)
    assert 90 <= int(git("rev-list", "--count", "main")) < 95
    assert git("rev-list", "--merges", "main").split() == list(reversed(made.merges))
    assert 50 <= len(git("ls-tree", "-r", "--name-only", "main").split()) <= 75
    behind = [branch for branch in made.branches if git("merge-base", made.main, branch.sha).strip() != made.main]
    assert behind == [branch for branch in made.branches if branch.is_behind]
    assert len(behind) == 10
    assert sum(branch.has_rename for branch in made.branches) == 2
    for branch in made.branches:
        changed = git("diff", "--name-only", "--no-renames", f"main...{branch.sha}").splitlines()
        assert set(changed) == set(branch.paths)
