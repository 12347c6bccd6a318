"""What an agent learns from the log of a red job."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.handoff.failure_log import MAX_LINE_LENGTH, MAX_TESTS, extract_failure
from tests.suite import examples

PYTEST = """\
\ufeff2024-05-01T12:00:00.1234567Z ##[group]Run pytest
2024-05-01T12:00:00.1234567Z \x1b[36;1mpytest --error-for-skips\x1b[0m
2024-05-01T12:00:00.1234567Z shell: /usr/bin/bash -e {0}
2024-05-01T12:00:00.1234567Z error: this is the command, not its output
2024-05-01T12:00:00.1234567Z ##[endgroup]
2024-05-01T12:00:01.0000000Z \x1b[1mcollecting ... \x1b[0mcollected 3 items
2024-05-01T12:00:02.0000000Z tests/test_cart.py::test_total \x1b[31mFAILED\x1b[0m             [ 33%]
2024-05-01T12:00:02.0000000Z >       assert cart.total() == 18
2024-05-01T12:00:02.0000000Z \x1b[31mE       assert 17 == 18\x1b[0m
2024-05-01T12:00:02.0000000Z using token=supersecret
2024-05-01T12:00:03.0000000Z FAILED tests/test_cart.py::test_total - assert 17 == 18
2024-05-01T12:00:03.0000000Z FAILED tests/test_cart.py::test_names[a b] - assert
2024-05-01T12:00:03.0000000Z ERROR tests/test_mail.py
2024-05-01T12:00:03.0000000Z 2 failed, 1 error in 0.12s
2024-05-01T12:00:03.5000000Z ##[debug]noise
2024-05-01T12:00:04.0000000Z ##[error]Process completed with exit code 1.
2024-05-01T12:00:05.0000000Z Post job cleanup.
2024-05-01T12:00:05.0000000Z [command]/usr/bin/git version
"""


def test_a_pytest_log_is_reduced_to_its_essentials() -> None:
    found = extract_failure(PYTEST)
    assert found.first_error == "assert 17 == 18"
    assert found.failing_tests == (
        "tests/test_cart.py::test_total",
        "tests/test_cart.py::test_names[a b]",
        "tests/test_mail.py",
    )
    assert found.tail.startswith("> Run pytest\npytest --error-for-skips\n")
    assert found.tail.endswith("2 failed, 1 error in 0.12s\nError: Process completed with exit code 1.")
    assert "supersecret" not in found.tail
    assert "2024-05-01" not in found.tail
    assert "\x1b" not in found.tail


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("[gw1] [ 50%] FAILED tests/test_a.py::test_x ", "tests/test_a.py::test_x"),
        ("FAIL: test_total (tests.test_cart.CartTest)", "tests.test_cart.CartTest.test_total"),
        ("ERROR: test_total (tests.test_cart.CartTest.test_total)", "tests.test_cart.CartTest.test_total"),
        ("  \u25cf Cart \u203a adds items", "Cart \u203a adds items"),
        ("    \u2715 adds items (5 ms)", "adds items"),
        (" FAIL  src/cart.test.ts > Cart > adds items", "src/cart.test.ts > Cart > adds items"),
        ("   \u00d7 src/cart.test.ts > Cart > adds items 12ms", "src/cart.test.ts > Cart > adds items"),
        ("--- FAIL: TestTotal (0.00s)", "TestTotal"),
        ("    --- FAIL: TestTotal/with_tax (0.00s)", "TestTotal/with_tax"),
        ("test cart::tests::total ... FAILED", "cart::tests::total"),
        ("[ERROR] total(com.acme.CartTest)  Time elapsed: 0.01 s  <<< FAILURE!", "com.acme.CartTest.total"),
        ("[ERROR] com.acme.CartTest.total -- Time elapsed: 0.01 s <<< ERROR!", "com.acme.CartTest.total"),
        ("CartTest > total() FAILED", "CartTest > total()"),
        ("rspec ./spec/cart_spec.rb:12 # Cart adds items", "./spec/cart_spec.rb:12"),
        ("  Failed Acme.CartTest.Total [12 ms]", "Acme.CartTest.Total"),
        ("not ok 3 - cart adds items # time=2ms", "cart adds items"),
    ],
)
def test_failing_tests_of_many_runners(line: str, test: str) -> None:
    assert extract_failure(f"before\n{line}\nafter").failing_tests == (test,)


@pytest.mark.parametrize(
    "line",
    [
        "E   AssertionError: 1 != 2",
        "ValueError: no such voucher",
        "sqlalchemy.exc.OperationalError: gone",
        "error: could not compile `shop`",
        "error[E0308]: mismatched types",
        "src/cart.c:12:3: error: expected ';'",
        "src/cart.ts(3,5): error TS2304: Cannot find name 'x'.",
        "npm ERR! missing script: test",
        "panic: runtime error: index out of range",
        "thread 'main' panicked at src/main.rs:2:5:",
        "make: *** [Makefile:3: test] Error 2",
        "bash: line 1: pytset: command not found",
        "[ERROR] Failed to execute goal",
        "fatal: not a git repository",
        "Segmentation fault (core dumped)",
        "##[error]src/cart.py:3:1: F401 unused import",
        "::error file=src/cart.py,line=3::F401 unused import",
        "--- FAIL: TestTotal (0.00s)",
    ],
)
def test_the_first_error_of_many_tools(line: str) -> None:
    noise = "Collecting packages\nFound 0 errors\n0 failed\nerror: 0"
    log = f"{noise}\n{line}\nerror: a later one\n##[error]Process completed with exit code 2."
    shown = line.removeprefix("E   ").replace("##[error]", "Error: ")
    shown = "Error: F401 unused import" if line.startswith("::") else shown
    assert extract_failure(log).first_error == shown


def test_without_an_error_the_exit_code_is_reported() -> None:
    assert extract_failure("hm\n##[error]Process completed with exit code 2.\n").first_error == (
        "Error: Process completed with exit code 2."
    )
    assert extract_failure("all is well\n").first_error is None
    assert extract_failure("").tail == ""


def test_the_download_form_with_job_and_step_in_front_is_read_too() -> None:
    assert extract_failure("test\tRun pytest\t2024-05-01T12:00:00.1Z ValueError: x").first_error == "ValueError: x"


def test_a_progress_bar_says_only_its_last_word() -> None:
    assert extract_failure("2024-05-01T12:00:00.1Z 10%\r20%\r100%\r\n\x1b[2Kdone").tail == "100%\ndone"


def test_a_private_key_across_lines_is_masked() -> None:
    stamp = "2024-05-01T12:00:00.1Z "
    log = f"{stamp}-----BEGIN PRIVATE KEY-----\n{stamp}MIIEvQIBADAN\n{stamp}-----END PRIVATE KEY-----\n{stamp}next"
    assert extract_failure(log).tail == "***\nnext"


def test_the_excerpt_is_bounded() -> None:
    log = "\n".join(f"FAILED tests/test_{n}.py::test_x - {'y' * 2000}" for n in range(500))
    found = extract_failure(log, max_lines=10, max_chars=3000)
    assert len(found.failing_tests) == MAX_TESTS
    assert found.first_error is not None
    assert len(found.first_error) <= MAX_LINE_LENGTH
    assert len(found.tail) <= 3000
    assert found.tail.count("\n") < 10
    assert "test_499" in found.tail
    assert extract_failure("x\n" * 500).tail.count("\n") == 59


LOGS = st.lists(
    st.one_of(
        st.sampled_from(
            ["##[group]Run x", "##[endgroup]", "##[error]", "FAILED a.py::b", "error: ", "\n", "\r", "\x1b[0m", "E   x"]
        ),
        st.text(max_size=8),
    ),
    max_size=40,
).map("".join)


@examples(300)
@given(LOGS, st.integers(1, 20), st.integers(1, 500))
def test_any_log_is_read(log: str, max_lines: int, max_chars: int) -> None:
    found = extract_failure(log, max_lines, max_chars)
    assert len(found.tail) <= max_chars
    assert found.tail.count("\n") < max_lines
    assert len(found.failing_tests) <= MAX_TESTS
    assert "\x1b" not in found.tail
