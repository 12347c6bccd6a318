"""The benchmark runs, at a size at which its times mean nothing; what does not depend on time holds."""

from __future__ import annotations

import json

import pytest

from tests.bench.__main__ import main
from tests.bench.figure import Figure
from tests.bench.rules import balance


def test_each_figure_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--tiny", "--only", "rules"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["figure"] for line in lines] == ["balance_spread", "balance_spread_by_chance", "assignment_scaling"]
    assert all({"value", "unit", "target", "holds"} <= line.keys() for line in lines)


def test_what_must_hold_is_told_apart_from_what_we_want() -> None:
    told = json.loads(Figure("latency", 1_200, "ms", 1_000, 5_000).line())
    assert (told["holds"], told["must_holds"]) == (False, True)


def test_equal_agents_are_kept_in_balance_and_chance_does_not_do_it() -> None:
    ours, chance = balance(500)
    assert ours.holds
    assert chance.value > 1
