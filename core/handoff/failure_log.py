"""Extracts the reason for a failed job from its log.

A job's log is long, and the reason is somewhere above the clean-up at its end. Test runners and compilers report
locations in lines of a known form; the forms are data below. The result is bounded, free of secrets and escapes, and
meant for a code fence (`core.text_safety.sanitize.fence`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.text_safety.sanitize import mask_secrets, normalize_text, one_line

MAX_LOG_LENGTH = 2_000_000  # characters read, the last ones: a failure ends its job
MAX_LINES = 50_000  # read, likewise
MAX_LINE_LENGTH = 500  # characters
MAX_TESTS = 50


@dataclass(frozen=True, slots=True)
class LogExcerpt:
    """The first error line, the names of the failing tests, and the last lines before the failure."""

    first_error: str | None
    failing_tests: tuple[str, ...]
    tail: str


def extract_failure(log: str, max_lines: int = 60, max_chars: int = 6000) -> LogExcerpt:
    """Read the log of one GitHub Actions job (timestamps, `##[group]`, `##[error]`, colours), or any other.

    `tail` has at most `max_lines` lines and `max_chars` characters and ends where the failure was reported; a line is
    cut after `MAX_LINE_LENGTH` characters. Never raises; about 0.6 s were measured for `MAX_LOG_LENGTH` characters.
    """
    lines = list(_lines("\n".join(log[-MAX_LOG_LENGTH:].rsplit("\n", MAX_LINES)[-MAX_LINES:])))
    while lines and not lines[-1].text.strip():
        lines.pop()
    # After the last error comes only the clean-up of earlier steps.
    last_index = max((index for index, line in enumerate(lines) if line.marker == "error"), default=len(lines) - 1)
    texts = [line.text[:MAX_LINE_LENGTH] for line in lines[: last_index + 1]]
    tail: list[str] = []
    remaining = max_chars
    for text in reversed(texts):
        remaining -= len(text) + 1
        if remaining < -1 or len(tail) == max_lines:
            break
        tail.append(text)
    return LogExcerpt(_first_error(lines), _failing_tests(lines), "\n".join(reversed(tail)).strip("\n"))


_TIMESTAMP = re.compile(
    r"^(?:[^\t]{1,200}\t[^\t]{1,200}\t)?\ufeff?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z ?", re.ASCII
)
_MARKER = re.compile(
    r"##\[(group|endgroup|error|warning|notice|command|section|debug)\]|::(error|warning|notice|group|endgroup|debug)"
    r"(?: [^\n:]{0,500})?::"
)
_MARKER_PREFIX = {"error": "Error: ", "warning": "Warning: ", "command": "$ ", "group": "> ", "section": "> "}


def _strip_timestamp(line: str) -> str:
    # A progress bar rewrites its line with carriage returns; only the last version counts.
    return _TIMESTAMP.sub("", line.lstrip("\ufeff"), count=1).rstrip("\r").rpartition("\r")[2]


@dataclass(frozen=True, slots=True)
class _LogLine:
    text: str
    marker: str = ""
    is_setup: bool = False  # the runner repeats the command and environment of a step: not its output


def _lines(log: str) -> Iterator[_LogLine]:
    # Secrets are masked in the whole text, since a private key spans lines, and without timestamps, which would break
    # it up.
    stripped = (_strip_timestamp(line) for line in log.split("\n"))
    is_setup = False
    for text in mask_secrets(normalize_text("\n".join(stripped))).split("\n"):
        match = _MARKER.match(text)
        marker = (match[1] or match[2]) if match else ""
        content = text[match.end() :] if match else text
        if marker == "group":
            is_setup = content.startswith("Run ")
        if marker in {"debug", "endgroup"}:
            is_setup = is_setup and marker != "endgroup"
            continue
        yield _LogLine((_MARKER_PREFIX.get(marker, "") + content).rstrip(), marker, is_setup)


# How runners name a failing test: in the first group or, where its class comes after it, in `of` and `test`.
_TEST_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        # pytest: the summary, and the running list of -v and of xdist
        r"(?:\[gw\d+\] \[ *\d+%\] )?(?:FAILED|ERROR) ([^\s:]+\.py(?:::.{1,300}?)?)(?: - .*)?$",
        r"([^\s:]+\.py::\S{1,300}) (?:FAILED|ERROR)(?: +\[ *\d+%\])?$",
        # unittest
        r"(?:FAIL|ERROR): (?P<test>\w+) \((?P<of>[\w.]+)\)",
        # Jest and Vitest: the summary, the list of results
        r" {0,4}\u25cf (.{1,300}? \u203a .{1,300})$",
        r" *(?:FAIL|\u00d7) +(\S+\.[cm]?[jt]sx? > .{1,300}?)(?: \d+ ?ms)?$",
        r" *[\u2715\u2717] (.{1,300}?)(?: \(\d+(?:\.\d+)? ?m?s\))?$",
        # go test, cargo test
        r" *--- FAIL: (\S{1,300}) \(",
        r"test (\S{1,300})(?: - should panic)? \.\.\. FAILED$",
        # Maven's Surefire (old and new), Gradle
        r"(?:\[ERROR\] +)?(?P<test>\w+)(?:\[[^\]]{0,99}\])?\((?P<of>[\w.$]+)\).{0,200}<<< (?:FAILURE|ERROR)!",
        r"(?:\[ERROR\] +)?([\w.$]+\.\w+)(?:\[[^\]]{0,100}\])? .{0,200}<<< (?:FAILURE|ERROR)!",
        r"(\w[\w.$]{0,200} > .{1,300}) FAILED$",
        # RSpec, dotnet test, TAP
        r"rspec (\./\S{1,300}:\d+)",
        r" +Failed (\w[\w.+]*\.\w.{0,300}?) \[[^\]]{1,30}\]$",
        r"not ok \d+ -? ?(.{1,300}?)(?: # time=.*)?$",
    )
)


def _failing_tests(lines: list[_LogLine]) -> tuple[str, ...]:
    tests: dict[str, None] = {}
    for line in lines:
        text = "" if line.is_setup else line.text[: 2 * MAX_LINE_LENGTH]
        match = next(filter(None, (pattern.match(text) for pattern in _TEST_PATTERNS)), None)
        if match is None:
            continue
        names = match.groupdict()
        if not names:
            tests[one_line(match[1], 300)] = None
        elif names["of"].endswith(f".{names['test']}"):  # Python 3.11 and later repeat the method
            tests[one_line(names["of"], 300)] = None
        else:
            tests[one_line(f"{names['of']}.{names['test']}", 300)] = None
        if len(tests) == MAX_TESTS:
            break
    return tuple(tests)


_ERROR = re.compile(
    r"E   +\S"  # pytest's own account of a failed assertion
    r"|(?:\w[\w.]{0,100}\.)?[A-Z]\w{0,80}(?:Error|Exception|Failure|Interrupt)(?:: |$)"  # ends a traceback
    r"|(?:uncaught |unhandled )?(?:fatal |internal |syntax |compilation |build )?(?:error|fatal|failure)"
    r"(?:\[\w+\]|[ \t]+[A-Z]+\d+)?:"
    r"|panic: |thread '.{1,100}' panicked at|Caused by: |FAIL(?:ED)? |--- FAIL: |npm (?:ERR!|error) "
    r"|make(?:\[\d+\])?: \*\*\*|\[ERROR\] |assertion failed|AssertionError|Segmentation fault|Command failed",
    re.IGNORECASE,
)
# `src/a.c:12:3: error: …`, `a.ts(3,5): error TS2304: …`, `bash: line 1: foo: command not found`
_LOCATED = re.compile(
    r"[^\s:(]{1,300}(?::\d+|\(\d+)(?:[:,]\d+)?\)?: (?:fatal )?error\b"
    r"|.{1,200}: (?:command not found|No such file or directory)$"
)
_NO_ERROR = re.compile(r"error: (?:0|none|null|false)\b|\[ERROR\] *$|.*\b0 (?:errors|failures|failed)\b", re.IGNORECASE)
_EXIT = re.compile(r"Error: (?:The process .{1,300} failed with exit code|Process completed with exit code) ")


def _first_error(lines: list[_LogLine]) -> str | None:
    """The first line that names an error; the exit status of a process only if nothing else is known."""
    exit_line: str | None = None
    for line in lines:
        text = line.text.strip()[:MAX_LINE_LENGTH]
        if line.is_setup or not text or _NO_ERROR.match(text):
            continue
        if _EXIT.match(text):
            exit_line = exit_line or text
        elif line.marker == "error" or _ERROR.match(text) or _LOCATED.match(text):
            return re.sub(r"^E   +", "", text)
    return exit_line
