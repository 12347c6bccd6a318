"""The forecast: what a text names, what is found by it, and how texts from anybody are borne."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.forecast.file_index import FileIndex
from core.forecast.history import ChangeHistory, FinishedWork, commit_text
from core.forecast.mentions import MAX_PATHS, MAX_SYMBOLS, find_references
from core.forecast.model import MAX_FILES, Forecast
from core.forecast.predict import RepositoryKnowledge, TaskText, predict_files
from core.forecast.tokenize import words_of

FILES = (
    "README.md",
    "shop/__init__.py",
    "shop/cart.py",
    "shop/tax.py",
    "shop/orders/tax.py",
    "shop/orders/export.py",
    "tests/test_cart.py",
    "tests/test_export.py",
    "web/Basket.tsx",
)
TREE = FileIndex(FILES)


def foreseen(text: str = "", files: tuple[str, ...] = (), **sight: object) -> dict[str, float]:
    """The weights by path, in a tree of a few files."""
    found = predict_files(TaskText(text, files), RepositoryKnowledge(**{"file_index": TREE, **sight}))  # type: ignore[arg-type]
    return {file.path: file.weight for file in found.files}


def test_what_a_text_names() -> None:
    text = "Fix `compute_tax()` in shop/tax.py:12-14, see web/Basket.tsx. Not https://example.com/a/b.py, e.g. or 3.11."
    named = find_references(text + " The class Basket uses `rate` and MAX_ITEMS; the total(prices) of order(s).")
    assert named.paths[:2] == ("shop/tax.py", "web/Basket.tsx")
    assert not any("example" in path or "3.11" in path for path in named.paths)
    assert named.symbols == ("compute_tax", "Basket", "rate", "MAX_ITEMS")


def test_paths_out_of_the_repository_are_none() -> None:
    text = "../../etc/passwd /etc/passwd ~/x.py a/../b.py .git/config C:\\x.py file=a.py https://x.org/a.py @org/team"
    assert [path for path in find_references(text).paths if "passwd" in path or "git" in path or ".." in path] == []


def test_the_form_counts_most_then_the_text_then_a_word() -> None:
    by_form = foreseen(files=("shop/tax.py",))["shop/tax.py"]
    by_text = foreseen("Fix shop/tax.py")["shop/tax.py"]
    by_word = foreseen("Fix the export")["shop/orders/export.py"]
    assert by_form > by_text > by_word > 0
    two = foreseen("Fix `tax.py`")
    assert two == {"shop/orders/tax.py": by_text / 2, "shop/tax.py": by_text / 2}
    assert "shop/orders/export.py" in foreseen("Fix shop.orders.export today")


def test_an_area_gives_each_of_its_files_a_share() -> None:
    orders = ("shop/orders/tax.py", "shop/orders/export.py")
    few, many = foreseen(files=("shop/orders",)), foreseen(files=("shop/**",))
    assert {path for path in few if path.startswith("shop")} == set(orders)
    assert {path for path in many if path.startswith("shop")} == {path for path in FILES if path.startswith("shop/")}
    assert all(many[path] < few[path] for path in orders)
    assert foreseen(files=("*.tsx",)).keys() == {"web/Basket.tsx"}
    huge = FileIndex(f"src/m{n}.py" for n in range(5000))
    assert foreseen(files=("src", "**"), file_index=huge) == {}, "of so many none is likely"


def test_a_file_that_is_to_be_made_is_foreseen_too() -> None:
    assert foreseen(files=("shop/refunds.py",)).keys() == {"shop/refunds.py"}
    assert foreseen("Put it into shop/refunds.py.").keys() == {"shop/refunds.py"}
    assert foreseen("Either and/or both, 24/7; ask acme/team.") == {}
    assert foreseen("Put it into shop/refunds.py", file_index=None).keys() == {"shop/refunds.py"}


def test_a_symbol_counts_the_more_the_fewer_files_have_it() -> None:
    one = foreseen("Round `total`", symbols={"total": ("shop/cart.py",)})
    three = foreseen("Round `total`", symbols={"total": ("shop/cart.py", "shop/tax.py", "README.md")})
    assert one["shop/cart.py"] > three["shop/cart.py"]
    everywhere = tuple(f"src/m{n}.py" for n in range(100))
    assert "src/m1.py" not in foreseen("Round `total`", symbols={"total": everywhere})


def test_similar_work_and_what_is_changed_together() -> None:
    export, cart = ("shop/orders/export.py", "tests/test_export.py"), ("shop/cart.py", "tests/test_cart.py")
    done = [FinishedWork.from_text(f"Orders are written as {kind}", export) for kind in ("csv", "json", "xml", "pdf")]
    done += [
        FinishedWork.from_text(f"The basket counts {what}", cart) for what in ("twice", "gifts", "pieces", "weights")
    ]
    past = ChangeHistory(done)
    found = foreseen("Orders are written as yaml", history=past)
    assert found["tests/test_export.py"] > found.get("tests/test_cart.py", 0)
    assert foreseen("Fix shop/cart.py", history=past)["tests/test_cart.py"] > 0.5, "its test goes with it"
    alone = ChangeHistory([FinishedWork.from_text("The basket counts", ("shop/cart.py",))] * 9)
    assert foreseen("Fix shop/cart.py", history=alone)["tests/test_cart.py"] < 0.2, "where that is the custom"
    gone = FileIndex(["shop/cart.py"])
    assert foreseen("Orders are written as yaml", history=past, file_index=gone) == {}, (
        "what is no longer there is not changed"
    )


def test_the_past_forgets_the_oldest_and_what_was_everywhere() -> None:
    past = ChangeHistory((FinishedWork.from_text(f"word{n}", [f"f{n}"]) for n in range(10)), max_size=4)
    past.add(FinishedWork.from_text("a formatter", [f"f{n}" for n in range(200)]))
    assert (len(past), past.change_count("f9"), past.change_count("f1")) == (4, 1, 0)
    assert past.similar(frozenset({"word1"}), 3) == []
    [(likeness, one)] = past.similar(frozenset({"word9"}), 3)
    assert (round(likeness, 6), one.files) == (1.0, ("f9",))


def test_words_and_messages() -> None:
    assert words_of("computeTaxes of the HTTPServer's entries") == {"compute", "taxe", "httpserver", "entry"}
    assert commit_text("Merge pull request #12 from acme/x\n\nRound the total") == "Round the total"
    assert commit_text("Merge branch 'round-total'") == "Merge branch 'round-total'"
    assert commit_text("Merge the two carts\n\nbody") == "Merge the two carts\n\nbody"


@given(st.text(max_size=400), st.lists(st.text(min_size=1, max_size=40), max_size=5))
def test_any_text_gives_a_bounded_forecast_and_the_same_again(text: str, files: list[str]) -> None:
    said = TaskText(text, tuple(files))
    found = predict_files(said, RepositoryKnowledge(TREE, {}, ChangeHistory([FinishedWork.from_text(text, FILES[:3])])))
    assert found == predict_files(
        said,
        RepositoryKnowledge(FileIndex(reversed(FILES)), {}, ChangeHistory([FinishedWork.from_text(text, FILES[:3])])),
    )
    assert len(found.files) <= MAX_FILES
    assert all(0 < file.weight <= 1 and file.reason for file in found.files)
    assert [file.weight for file in found.files] == sorted((file.weight for file in found.files), reverse=True)
    assert len({file.path for file in found.files}) == len(found.files)


@pytest.mark.parametrize(
    "text",
    ["`" * 50_000, "a/" * 50_000, "x." * 50_000, "_" * 100_000, "aB" * 50_000, "/".join("ab" for _ in range(40_000)),
     " ".join(f"s{n}/f_{n}.py" for n in range(9_000)), "*" * 10_000, "class " * 20_000, "\n" * 100_000],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_a_hostile_text_takes_no_longer_than_another(text: str) -> None:
    begun = time.process_time()
    named = find_references(text)
    assert len(named.paths) <= MAX_PATHS
    assert len(named.symbols) <= MAX_SYMBOLS
    found = predict_files(
        TaskText(text, ("*a" * 140, "[" * 200, "**/" * 90, "[!a-]*", text[:300])), RepositoryKnowledge(TREE)
    )
    assert isinstance(found, Forecast)
    assert time.process_time() - begun < 2, "the work grows faster than the text"
