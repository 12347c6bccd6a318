"""Functional or not: the words decide, the reason names them, and the accuracy is measured."""

from pathlib import Path
from typing import TypedDict

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from core.intake.classifier import DEFAULT_RULES, ClassificationRules, classify, plan_steps


class Example(TypedDict):
    split: str
    kind: str
    title: str
    body: str


DATA = Path(__file__).parents[1] / "data" / "classification.yml"
EXAMPLES: list[Example] = yaml.safe_load(DATA.read_text(encoding="utf-8"))


def accuracy(examples: list[Example]) -> float:
    right = [classify(e["title"], e["body"], DEFAULT_RULES).kind == e["kind"] for e in examples]
    return sum(right) / len(right)


def test_accuracy_on_the_labelled_set() -> None:
    tune = [e for e in EXAMPLES if e["split"] == "tune"]
    check = [e for e in EXAMPLES if e["split"] == "check"]
    assert len(EXAMPLES) >= 60
    assert len(check) >= 50
    print(f"\naccuracy: tune {accuracy(tune):.3f} of {len(tune)}, held out {accuracy(check):.3f} of {len(check)}")
    print(f"together {accuracy(EXAMPLES):.3f} of {len(EXAMPLES)}")
    assert accuracy(EXAMPLES) >= 0.9
    assert accuracy(check) >= 0.9


def test_no_example_stands_on_both_sides() -> None:
    assert len({e["title"] for e in EXAMPLES}) == len(EXAMPLES)
    assert {(e["split"], e["kind"]) for e in EXAMPLES} == {
        (split, kind) for split in ("tune", "check") for kind in ("functional", "non-functional")
    }


def test_the_reason_names_the_words_on_both_sides() -> None:
    answer = classify("Fix the webhook", "It crashes when an order is paid.")
    assert answer.kind == "non-functional"
    assert answer.reason == ("Non-functional, because of “fix”, “crash*” (weight 16); against: “webhook*” (weight 6).")


def test_the_title_weighs_more_than_the_body() -> None:
    rules = ClassificationRules(functional=("voucher",), non_functional=("slow",))
    assert classify("Voucher", "slow", rules).kind == "functional"
    assert classify("Slow", "voucher", rules).kind == "non-functional"


def test_the_headings_of_the_form_say_nothing_about_a_task() -> None:
    assert classify("Pay later", "### Goal\n\nCustomers can.\n\n### Dependencies\n\n#12").kind == "functional"
    assert "dependenc" not in classify("Pay later", "### Goal\n\nCustomers can.\n\n### Dependencies").reason


def test_weights_prefixes_phrases_and_nonsense_in_the_rules_of_a_repository() -> None:
    rules = ClassificationRules(functional=("pay*^5", "", "*", "x^y"), non_functional=("dead   letter^2",))
    assert classify("Payments", "dead\nletter", rules).reason == (
        "Functional, because of “pay*” (weight 15); against: “dead letter” (weight 2)."
    )
    assert classify("Prepaid dead-letter", "", rules).reason == "Functional, because no keyword says otherwise."


def test_a_star_at_the_beginning_of_a_word_stands_for_something() -> None:
    rules = ClassificationRules(functional=(), non_functional=("*error^3",))
    assert classify("", "ValueError: no such key", rules).kind == "non-functional"
    assert classify("Error pages", "error", rules).kind == "functional"


def test_without_evidence_or_with_as_much_on_both_sides_a_test_comes_first() -> None:
    rules = ClassificationRules(functional=("a",), non_functional=("b",))
    assert classify("", "", rules).kind == "functional"
    assert classify("a b", "b a", rules).kind == "functional"


def test_the_words_of_a_repository_cannot_ping_anybody_from_the_reason() -> None:
    rules = ClassificationRules(functional=("@alice",), non_functional=())
    assert "@alice" not in classify("ask @alice", "", rules).reason


@pytest.mark.parametrize(
    ("kind", "first_words"),
    [
        ("functional", ["Red", "Green", "Refactor"]),
        ("non-functional", ["Symptom", "Cause", "Change", "Proof"]),
    ],
)
def test_each_class_has_its_plan(kind: str, first_words: list[str]) -> None:
    lines = plan_steps("functional" if kind == "functional" else "non-functional")
    assert [line.partition(":")[0] for line in lines] == first_words


@given(st.text(), st.text())
def test_any_text_gets_a_class_and_always_the_same(title: str, body: str) -> None:
    answer = classify(title, body)
    assert answer == classify(title, body)
    assert answer.kind in {"functional", "non-functional"}
    assert len(answer.reason) < 600
