"""A repository that looks like a real one, made from a seed: a history of merged topic branches, and open branches.

Main grows by topic branches that are merged with a commit of two parents, whose message has a title and a few sentences
as an issue would. A topic changes what belongs together: a file, its test, others of its part, sometimes one of a
neighbouring part, the change log, or something else entirely. The same seed gives the same commits.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.bench import generated_text as text

EPOCH = 1_700_000_000  # the time of the first commit; ten minutes between two
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
Lines = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenBranch:
    """A branch that is not merged yet: its commit, what it says, and what it changes."""

    name: str
    sha: str
    title: str
    body: str
    behind: bool  # it left main before main's tip
    renames: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """What was made: main's tip, its merge commits from the oldest, and the open branches."""

    path: Path
    main: str
    merges: tuple[str, ...]
    branches: tuple[OpenBranch, ...]


@dataclass(slots=True)
class _File:
    """A file through main's history: what it held from which merge on, None where it was not there."""

    part: str
    symbols: list[str] = field(default_factory=list)
    since: list[int] = field(default_factory=list)
    held: list[Lines | None] = field(default_factory=list)

    def at(self, merge: int) -> Lines | None:
        place = bisect_right(self.since, merge)
        return self.held[place - 1] if place else None

    def becomes(self, merge: int, lines: Lines | None) -> None:
        self.since.append(merge)
        self.held.append(lines)


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change beside a line that is known by its text, so that it can be made in any version of the file."""

    anchor: str
    replaces: bool
    lines: Lines

    def on(self, before: Lines) -> Lines:
        place = before.index(self.anchor) if self.anchor in before else len(before) - 1
        return (*before[: place + (not self.replaces)], *self.lines, *before[place + 1 :])


@dataclass(slots=True)
class _Topic:
    edits: dict[str, list[_Edit]] = field(default_factory=dict)
    new: dict[str, tuple[_File, Lines]] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    title: str = ""
    body: str = ""


def generate(path: Path, seed: int, files: int = 2000, commits: int = 3000, branches: int = 200) -> Generated:
    """Make a bare repository at `path` with so many files and commits on main, and so many open branches.

    Half of the branches left main some merges ago, a tenth rename a file, each makes three edits.
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True, env=ENVIRONMENT)
    with tempfile.NamedTemporaryFile() as marks:
        importing = subprocess.Popen(
            ["git", "fast-import", "--quiet", "--date-format=raw", f"--export-marks={marks.name}"],
            cwd=path,
            stdin=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        assert importing.stdin
        maker = _Maker(random.Random(seed), importing.stdin)
        maker.begin(files)
        while maker.count < commits:
            maker.merge_a_topic()
        opened = [maker.open_branch(number) for number in range(branches)]
        importing.stdin.close()
        if importing.wait():
            raise RuntimeError("git fast-import failed")
        known = dict(line.split() for line in Path(marks.name).read_text(encoding="ascii").splitlines())
    shas = [known[f":{mark}"] for mark in maker.main]
    return Generated(
        path,
        shas[-1],
        tuple(shas[1:]),
        tuple(
            OpenBranch(name, known[f":{mark}"], topic.title, topic.body, behind, bool(topic.renames), paths)
            for name, mark, topic, behind, paths in opened
        ),
    )


class _Maker:
    def __init__(self, chance: random.Random, out: IO[bytes]) -> None:
        self.chance = chance
        self.out = out
        self.count = 0
        self.mark = 0
        self.main: list[int] = []  # the mark of each state of main
        self.files: dict[str, _File] = {}
        self.parts: list[str] = []
        self.of_part: dict[str, list[str]] = {}
        self.shared = ["CHANGELOG.md", "config/routes.yml", "shop/settings.py"]

    def begin(self, count: int) -> None:
        """The first commit: nearly all files; the rest comes with the topics."""
        count = count * 12 // 13
        self.parts = list(text.PARTS[: max(2, min(len(text.PARTS), count // 25))])
        for path in self.shared:
            self._first(path, _File("shop"), [f"{path} {n}: {text.symbol(self.chance)}" for n in range(60)])
        number = 0
        while len(self.files) < count:
            part = self.parts[number % len(self.parts)]
            number += 1
            if number <= len(self.parts):
                self._first(f"docs/{part}.md", _File(part), text.page(part, self.chance))
                continue
            for path, file, lines in self._pair(part):
                if len(self.files) < count:
                    self._first(path, file, lines)
        self.main.append(self._commit("main", None, None, "Begin", {p: f.at(0) for p, f in self.files.items()}))

    def _first(self, path: str, file: _File, lines: Sequence[str]) -> None:
        file.becomes(0, tuple(lines))
        self._know(path, file)

    def _know(self, path: str, file: _File) -> None:
        self.files[path] = file
        self.of_part.setdefault(file.part, []).append(path)

    def _pair(self, part: str) -> list[tuple[str, _File, list[str]]]:
        """A new source file and its test."""
        while True:
            thing = f"{self.chance.choice(text.THINGS)}_{self.chance.choice(text.THINGS)}"
            path = f"shop/{part}/{thing}.py"
            if path not in self.files:
                break
        symbols = [text.symbol(self.chance) for _ in range(self.chance.randint(3, 8))]
        tests = [f"test_{name}" for name in symbols]
        source, test = _File(part, symbols), _File(part, tests)
        return [
            (path, source, text.source(part, thing, symbols, self.chance)),
            (f"tests/{part}/test_{thing}.py", test, text.source(part, thing, tests, self.chance)),
        ]

    def merge_a_topic(self) -> None:
        """One to three commits on a topic branch that left main a while ago, and the merge into main."""
        tip = len(self.main) - 1
        left = max(0, tip - min(int(self.chance.expovariate(0.5)), 8))
        topic, order = self._topic(left, None)
        rounds = min(len(order), self.chance.choice((1, 1, 2, 2, 3))) or 1
        parent = self.main[left]
        for number in range(rounds):
            some = order[number::rounds]
            changes = self._changes(topic, some, left)
            message = topic.title if number == 0 else self.chance.choice(("wip", "Review", "More of it", topic.title))
            parent = self._commit("topic", parent, None, message, changes)
        number = len(self.main)
        slug = "-".join(topic.title.lower().replace("`", "").split()[:4])
        message = f"Merge pull request #{number} from {self.chance.choice(text.PEOPLE)}/{slug}"
        changes = self._changes(topic, order, tip)
        merge = self._commit("main", self.main[-1], parent, f"{message}\n\n{topic.title}\n\n{topic.body}", changes)
        self.main.append(merge)
        for path, (file, _) in topic.new.items():
            self._know(path, file)
        for old, new in topic.renames.items():
            if new in changes:
                self._know(new, _File(self.files[old].part, self.files[old].symbols))
        for path, lines in changes.items():
            self.files[path].becomes(number, lines)

    def open_branch(self, number: int) -> tuple[str, int, _Topic, bool, tuple[str, ...]]:
        """A branch with three edits, of which a tenth also renames a file, and every other one left main earlier."""
        tip = len(self.main) - 1
        behind = number % 2 == 1 and tip > 0
        left = self.chance.randint(max(0, tip - 40), tip - 1) if behind else tip
        topic, order = self._topic(left, 3, renames=number % 10 == 4)
        name = f"task/{number + 1}-1"
        changes = self._changes(topic, order, left)
        message = f"{topic.title}\n\n{topic.body}"
        mark = self._commit(name, self.main[left], None, message, changes)
        return name, mark, topic, behind, tuple(changes)

    def _topic(self, left: int, edits: int | None, renames: bool | None = None) -> tuple[_Topic, list[str]]:
        """What a topic changes, as seen from this state of main; with `edits` exactly so many in known files."""
        chance = self.chance
        weights = [1 / (place + 3) for place in range(len(self.parts))]
        part = chance.choices(self.parts, weights)[0]
        first = self._one_of(part, left, source=chance.random() < 0.85)
        wanted = [first, *self._beside(first, part, left)]
        if edits is not None:
            while len(wanted) < edits:
                wanted.append(self._one_of(part, left))
            wanted = [first, *chance.sample(wanted[1:], edits - 1)]
        topic = _Topic()
        for path in wanted:
            topic.edits.setdefault(path, []).append(self._edit(path, left))
        if renames if renames is not None else chance.random() < 0.04:
            place, name = first.rsplit("/", 1) if "/" in first else ("", first)
            topic.renames[first] = f"{place}/{name.split('.')[0]}_{chance.randrange(10_000)}.{name.rsplit('.', 1)[-1]}"
        if edits is None and chance.random() < 0.06:
            topic.new = {path: (file, tuple(lines)) for path, file, lines in self._pair(part)}
        topic.title, topic.body = text.described(part, first, self.files[first].symbols, chance)
        return topic, [*dict.fromkeys(wanted), *topic.new]

    def _beside(self, first: str, part: str, left: int) -> Iterable[str]:
        """What is changed along with a file."""
        chance = self.chance
        thing = first.rsplit("/", 1)[-1]
        for path, likely in ((f"tests/{part}/test_{thing}", 0.6), (f"docs/{part}.md", 0.2)):
            if path != first and path in self.files and self.files[path].at(left) and chance.random() < likely:
                yield path
        place = self.parts.index(part)
        neighbour = self.parts[(place * 7 + 3) % len(self.parts)]
        for of, likely in ((part, 0.5), (part, 0.2), (neighbour, 0.2), (chance.choice(self.parts), 0.08)):
            if chance.random() < likely:
                yield self._one_of(of, left)
        if chance.random() < 0.12:
            yield chance.choice(self.shared)

    def _one_of(self, part: str, left: int, *, source: bool = False) -> str:
        """A file of this part; a few of them are changed far more often than the others."""
        there = [path for path in self.of_part[part] if self._there(path, left)]
        there = [path for path in there if path.startswith("shop/")] if source else there
        return there[min(int(self.chance.expovariate(8 / len(there))), len(there) - 1)]

    def _there(self, path: str, left: int) -> bool:
        """Whether a file is there as seen from this state of main, and still is at main's tip."""
        file = self.files[path]
        return file.at(left) is not None and file.held[-1] is not None

    def _edit(self, path: str, left: int) -> _Edit:
        chance, lines = self.chance, self.files[path].at(left)
        assert lines
        anchor = chance.choice([line for line in lines if line.strip()])
        kind = chance.random()
        if kind < 0.6:
            return _Edit(anchor, True, (text.statement(chance),))
        if kind < 0.85:
            return _Edit(anchor, False, tuple(text.statement(chance) for _ in range(chance.randint(1, 3))))
        if kind < 0.95:
            name = text.symbol(chance)
            self.files[path].symbols.append(name)
            return _Edit(lines[-1], False, tuple(text.function(name, chance)))
        return _Edit(anchor, True, ())

    def _changes(self, topic: _Topic, paths: Iterable[str], state: int) -> dict[str, Lines | None]:
        """The files that a topic leaves behind when it is laid on this state of main; None removes one."""
        changes: dict[str, Lines | None] = {}
        for path in paths:
            if path in topic.new:
                changes[path] = topic.new[path][1]
                continue
            lines = self.files[path].at(state)
            if lines is None:
                continue
            for edit in topic.edits[path]:
                lines = edit.on(lines)
            if path in topic.renames:
                changes[path], changes[topic.renames[path]] = None, lines
            else:
                changes[path] = lines
        return changes

    def _commit(
        self, branch: str, parent: int | None, merged: int | None, message: str, changes: dict[str, Lines | None]
    ) -> int:
        self.mark += 1
        self.count += branch == "main" or branch == "topic"
        name = text.PEOPLE[self.mark % len(text.PEOPLE)]
        when = f"{name.capitalize()} <{name}@example.com> {EPOCH + 600 * self.mark} +0000"
        said = message.encode()
        ref = "refs/heads/main" if branch == "main" else f"refs/heads/{branch}"
        head = f"commit {ref}\nmark :{self.mark}\nauthor {when}\ncommitter {when}\ndata {len(said)}\n"
        self.out.write(head.encode() + said + b"\n")
        if parent is not None:
            self.out.write(b"from :%d\n" % parent)
        if merged is not None:
            self.out.write(b"merge :%d\n" % merged)
        for path, lines in changes.items():
            if lines is None:
                self.out.write(b"D %s\n" % path.encode())
            else:
                content = "".join(f"{line}\n" for line in lines).encode()
                self.out.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
        self.out.write(b"\n")
        return self.mark
