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
    is_behind: bool  # it left main before main's tip
    has_rename: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GeneratedRepository:
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
    merge_indexes: list[int] = field(default_factory=list)
    versions: list[Lines | None] = field(default_factory=list)

    def version_at(self, merge: int) -> Lines | None:
        index = bisect_right(self.merge_indexes, merge)
        return self.versions[index - 1] if index else None

    def set_version(self, merge: int, lines: Lines | None) -> None:
        self.merge_indexes.append(merge)
        self.versions.append(lines)


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change beside a line that is known by its text, so that it can be made in any version of the file."""

    anchor: str
    replaces_anchor: bool
    lines: Lines

    def apply_to(self, old_lines: Lines) -> Lines:
        index = old_lines.index(self.anchor) if self.anchor in old_lines else len(old_lines) - 1
        return (*old_lines[: index + (not self.replaces_anchor)], *self.lines, *old_lines[index + 1 :])


@dataclass(slots=True)
class _Topic:
    edits: dict[str, list[_Edit]] = field(default_factory=dict)
    new_files: dict[str, tuple[_File, Lines]] = field(default_factory=dict)
    renames: dict[str, str] = field(default_factory=dict)
    title: str = ""
    body: str = ""


def generate(path: Path, seed: int, files: int = 2000, commits: int = 3000, branches: int = 200) -> GeneratedRepository:
    """Make a bare repository at `path` with so many files and commits on main, and so many open branches.

    Half of the branches left main some merges ago, a tenth rename a file, each makes three edits.
    """
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True, env=ENVIRONMENT)
    with tempfile.NamedTemporaryFile() as marks:
        process = subprocess.Popen(
            ["git", "fast-import", "--quiet", "--date-format=raw", f"--export-marks={marks.name}"],
            cwd=path,
            stdin=subprocess.PIPE,
            env=ENVIRONMENT,
        )
        assert process.stdin
        builder = _HistoryBuilder(random.Random(seed), process.stdin)
        builder.create_first_commit(files)
        while builder.commit_count < commits:
            builder.merge_topic()
        open_branches = [builder.open_branch(number) for number in range(branches)]
        process.stdin.close()
        if process.wait():
            raise RuntimeError("git fast-import failed")
        shas_by_mark = dict(line.split() for line in Path(marks.name).read_text(encoding="ascii").splitlines())
    shas = [shas_by_mark[f":{mark}"] for mark in builder.main_marks]
    return GeneratedRepository(
        path,
        shas[-1],
        tuple(shas[1:]),
        tuple(
            OpenBranch(name, shas_by_mark[f":{mark}"], topic.title, topic.body, behind, bool(topic.renames), paths)
            for name, mark, topic, behind, paths in open_branches
        ),
    )


class _HistoryBuilder:
    def __init__(self, rng: random.Random, stream: IO[bytes]) -> None:
        self.rng = rng
        self.stream = stream
        self.commit_count = 0
        self.last_mark = 0
        self.main_marks: list[int] = []  # the mark of each state of main
        self.files: dict[str, _File] = {}
        self.parts: list[str] = []
        self.paths_by_part: dict[str, list[str]] = {}
        self.shared_paths = ["CHANGELOG.md", "config/routes.yml", "shop/settings.py"]

    def create_first_commit(self, count: int) -> None:
        """The first commit: nearly all files; the rest comes with the topics."""
        count = count * 12 // 13
        self.parts = list(text.PARTS[: max(2, min(len(text.PARTS), count // 25))])
        for path in self.shared_paths:
            self._add_first_file(
                path,
                _File("shop"),
                [f"{path} {line_number}: {text.function_name(self.rng)}" for line_number in range(60)],
            )
        number = 0
        while len(self.files) < count:
            part = self.parts[number % len(self.parts)]
            number += 1
            if number <= len(self.parts):
                self._add_first_file(f"docs/{part}.md", _File(part), text.page_lines(part, self.rng))
                continue
            for path, file, lines in self._new_file_pair(part):
                if len(self.files) < count:
                    self._add_first_file(path, file, lines)
        self.main_marks.append(
            self._write_commit(
                "main", None, None, "Begin", {file_path: entry.version_at(0) for file_path, entry in self.files.items()}
            )
        )

    def _add_first_file(self, path: str, file: _File, lines: Sequence[str]) -> None:
        file.set_version(0, tuple(lines))
        self._register_file(path, file)

    def _register_file(self, path: str, file: _File) -> None:
        self.files[path] = file
        self.paths_by_part.setdefault(file.part, []).append(path)

    def _new_file_pair(self, part: str) -> list[tuple[str, _File, list[str]]]:
        """A new source file and its test."""
        while True:
            thing = f"{self.rng.choice(text.NOUNS)}_{self.rng.choice(text.NOUNS)}"
            path = f"shop/{part}/{thing}.py"
            if path not in self.files:
                break
        symbols = [text.function_name(self.rng) for _ in range(self.rng.randint(3, 8))]
        tests = [f"test_{name}" for name in symbols]
        source, test = _File(part, symbols), _File(part, tests)
        return [
            (path, source, text.source_lines(part, thing, symbols, self.rng)),
            (f"tests/{part}/test_{thing}.py", test, text.source_lines(part, thing, tests, self.rng)),
        ]

    def merge_topic(self) -> None:
        """One to three commits on a topic branch that left main a while ago, and the merge into main."""
        tip = len(self.main_marks) - 1
        branch_point = max(0, tip - min(int(self.rng.expovariate(0.5)), 8))
        topic, changed_paths = self._make_topic(branch_point, None)
        rounds = min(len(changed_paths), self.rng.choice((1, 1, 2, 2, 3))) or 1
        parent = self.main_marks[branch_point]
        for number in range(rounds):
            round_paths = changed_paths[number::rounds]
            changes = self._apply_topic(topic, round_paths, branch_point)
            message = topic.title if number == 0 else self.rng.choice(("wip", "Review", "More of it", topic.title))
            parent = self._write_commit("topic", parent, None, message, changes)
        number = len(self.main_marks)
        slug = "-".join(topic.title.lower().replace("`", "").split()[:4])
        message = f"Merge pull request #{number} from {self.rng.choice(text.PEOPLE)}/{slug}"
        changes = self._apply_topic(topic, changed_paths, tip)
        merge = self._write_commit(
            "main", self.main_marks[-1], parent, f"{message}\n\n{topic.title}\n\n{topic.body}", changes
        )
        self.main_marks.append(merge)
        for path, (file, _) in topic.new_files.items():
            self._register_file(path, file)
        for old, new in topic.renames.items():
            if new in changes:
                self._register_file(new, _File(self.files[old].part, self.files[old].symbols))
        for path, lines in changes.items():
            self.files[path].set_version(number, lines)

    def open_branch(self, number: int) -> tuple[str, int, _Topic, bool, tuple[str, ...]]:
        """A branch with three edits, of which a tenth also renames a file, and every other one left main earlier."""
        tip = len(self.main_marks) - 1
        is_behind = number % 2 == 1 and tip > 0
        branch_point = self.rng.randint(max(0, tip - 40), tip - 1) if is_behind else tip
        topic, changed_paths = self._make_topic(branch_point, 3, has_rename=number % 10 == 4)
        name = f"task/{number + 1}-1"
        changes = self._apply_topic(topic, changed_paths, branch_point)
        message = f"{topic.title}\n\n{topic.body}"
        mark = self._write_commit(name, self.main_marks[branch_point], None, message, changes)
        return name, mark, topic, is_behind, tuple(changes)

    def _make_topic(
        self, branch_point: int, edit_count: int | None, has_rename: bool | None = None
    ) -> tuple[_Topic, list[str]]:
        """What a topic changes, as seen from this state of main; with `edits` exactly so many in known files."""
        rng = self.rng
        weights = [1 / (folder + 3) for folder in range(len(self.parts))]
        part = rng.choices(self.parts, weights)[0]
        main_path = self._choose_file(part, branch_point, only_source=rng.random() < 0.85)
        edited_paths = [main_path, *self._related_files(main_path, part, branch_point)]
        if edit_count is not None:
            while len(edited_paths) < edit_count:
                edited_paths.append(self._choose_file(part, branch_point))
            edited_paths = [main_path, *rng.sample(edited_paths[1:], edit_count - 1)]
        topic = _Topic()
        for path in edited_paths:
            topic.edits.setdefault(path, []).append(self._make_edit(path, branch_point))
        if has_rename if has_rename is not None else rng.random() < 0.04:
            folder, name = main_path.rsplit("/", 1) if "/" in main_path else ("", main_path)
            topic.renames[main_path] = (
                f"{folder}/{name.split('.')[0]}_{rng.randrange(10_000)}.{name.rsplit('.', 1)[-1]}"
            )
        if edit_count is None and rng.random() < 0.06:
            topic.new_files = {path: (file, tuple(lines)) for path, file, lines in self._new_file_pair(part)}
        topic.title, topic.body = text.issue_text(part, main_path, self.files[main_path].symbols, rng)
        return topic, [*dict.fromkeys(edited_paths), *topic.new_files]

    def _related_files(self, main_path: str, part: str, branch_point: int) -> Iterable[str]:
        """What is changed along with a file."""
        rng = self.rng
        thing = main_path.rsplit("/", 1)[-1]
        for path, probability in ((f"tests/{part}/test_{thing}", 0.6), (f"docs/{part}.md", 0.2)):
            if (
                path != main_path
                and path in self.files
                and self.files[path].version_at(branch_point)
                and rng.random() < probability
            ):
                yield path
        part_index = self.parts.index(part)
        neighbour = self.parts[(part_index * 7 + 3) % len(self.parts)]
        for other_part, probability in ((part, 0.5), (part, 0.2), (neighbour, 0.2), (rng.choice(self.parts), 0.08)):
            if rng.random() < probability:
                yield self._choose_file(other_part, branch_point)
        if rng.random() < 0.12:
            yield rng.choice(self.shared_paths)

    def _choose_file(self, part: str, branch_point: int, *, only_source: bool = False) -> str:
        """A file of this part; a few of them are changed far more often than the others."""
        candidates = [path for path in self.paths_by_part[part] if self._is_present(path, branch_point)]
        candidates = [path for path in candidates if path.startswith("shop/")] if only_source else candidates
        return candidates[min(int(self.rng.expovariate(8 / len(candidates))), len(candidates) - 1)]

    def _is_present(self, path: str, branch_point: int) -> bool:
        """Whether a file is there as seen from this state of main, and still is at main's tip."""
        file = self.files[path]
        return file.version_at(branch_point) is not None and file.versions[-1] is not None

    def _make_edit(self, path: str, branch_point: int) -> _Edit:
        rng, lines = self.rng, self.files[path].version_at(branch_point)
        assert lines
        anchor = rng.choice([line for line in lines if line.strip()])
        roll = rng.random()
        if roll < 0.6:
            return _Edit(anchor, True, (text.random_statement(rng),))
        if roll < 0.85:
            return _Edit(anchor, False, tuple(text.random_statement(rng) for _ in range(rng.randint(1, 3))))
        if roll < 0.95:
            name = text.function_name(rng)
            self.files[path].symbols.append(name)
            return _Edit(lines[-1], False, tuple(text.function_lines(name, rng)))
        return _Edit(anchor, True, ())

    def _apply_topic(self, topic: _Topic, paths: Iterable[str], state: int) -> dict[str, Lines | None]:
        """The files that a topic leaves behind when it is laid on this state of main; None removes one."""
        changes: dict[str, Lines | None] = {}
        for path in paths:
            if path in topic.new_files:
                changes[path] = topic.new_files[path][1]
                continue
            lines = self.files[path].version_at(state)
            if lines is None:
                continue
            for edit in topic.edits[path]:
                lines = edit.apply_to(lines)
            if path in topic.renames:
                changes[path], changes[topic.renames[path]] = None, lines
            else:
                changes[path] = lines
        return changes

    def _write_commit(
        self, branch: str, parent: int | None, merged_mark: int | None, message: str, changes: dict[str, Lines | None]
    ) -> int:
        self.last_mark += 1
        self.commit_count += branch == "main" or branch == "topic"
        name = text.PEOPLE[self.last_mark % len(text.PEOPLE)]
        ident = f"{name.capitalize()} <{name}@example.com> {EPOCH + 600 * self.last_mark} +0000"
        message_bytes = message.encode()
        ref = "refs/heads/main" if branch == "main" else f"refs/heads/{branch}"
        header = f"commit {ref}\nmark :{self.last_mark}\nauthor {ident}\ncommitter {ident}\ndata {len(message_bytes)}\n"
        self.stream.write(header.encode() + message_bytes + b"\n")
        if parent is not None:
            self.stream.write(b"from :%d\n" % parent)
        if merged_mark is not None:
            self.stream.write(b"merge :%d\n" % merged_mark)
        for path, lines in changes.items():
            if lines is None:
                self.stream.write(b"D %s\n" % path.encode())
            else:
                content = "".join(f"{line}\n" for line in lines).encode()
                self.stream.write(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content))
        self.stream.write(b"\n")
        return self.last_mark
