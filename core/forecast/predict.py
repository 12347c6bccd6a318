"""Predicts the files of a task by combining the probabilities from several sources.

The weights are probabilities: of a hundred files to which a source gives 0.6, about sixty should be changed. They were
set by replaying histories (`orchestrator forecast`, docs/forecast.md). A source with little data gives lower values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from core.forecast.file_index import FileIndex
from core.forecast.history import ChangeHistory
from core.forecast.mentions import References, mentions, names_a_file
from core.forecast.model import MAX_FILES, Forecast, PredictedFile
from core.forecast.tokenize import words_of
from core.text_safety.sanitize import code

FORM = 0.9  # a file that the form names: its author thought of it
AREA = 2.0  # files that are changed in an area, whatever its size: each has its share of that,
AREA_MOST = 0.6  # and no more than this
TEXT = 0.8  # a file that the text names: it may name others only to explain itself
NEW = 0.7  # a path that reads like a file and is not there: it is to be made
UNKNOWN = 0.6  # a path, where we do not know what is there
SYMBOL = 0.7  # the one file that has a symbol of the text; of several each has its share
SYMBOL_FILES = 8  # a symbol that is in more files than this is no hint
NAMED = 0.8  # a file whose name is in the text, all its words and rare ones
NAMED_FILES = 300  # a word that is in the names of more files than this is no hint
NAMED_DOUBT = 5.0  # rarity at which half of that is left
SHARPNESS = 6  # how much more the best of several names counts
FOLDER = 0.7  # a word of a folder, against one of the name itself
NEIGHBOURS = 8  # similar pieces of work that are asked
SIMILAR = 0.6  # what they all changed is no likelier than this
SIMILAR_DOUBT = 1.5  # likeness that is needed before they count
LIKELY = 10  # files whose companions are looked for
TOGETHER = 0.8  # of the share of times that a file was changed together with a likely one
TOGETHER_OFTEN = 3  # times that that one was changed, before it counts
TOGETHER_FROM = 0.4  # the share from which it counts
COMMON = 0.25  # a file that a larger share of all work changes is common ground (a change log):
COMMON_COUNTS = 0.3  # its chance is made so much smaller, or all would wait for all
SHOWN_WHYS = 2  # reasons that are told for one file
LEAST = 0.05  # less likely files are left out
SURE = 0.95  # nothing that is only foreseen is more likely

IN_FORM, IN_TEXT = "named in the form", "named in the text"
_SPELT = frozenset((IN_FORM, IN_TEXT))  # an author who spells out a path also says its words


@dataclass(frozen=True, slots=True)
class TaskText:
    """What a task says: all of its text, and the files and areas of its form."""

    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryKnowledge:
    """What is known of the repository. `tree` None: nothing; `symbols`: in which files those of the text are."""

    tree: FileIndex | None = None
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    past: ChangeHistory = field(default_factory=ChangeHistory)


@dataclass(slots=True)
class _Chance:
    """What was said of one file so far."""

    apart: float = 1.0  # the chance that every source is wrong
    whys: dict[str, float] = field(default_factory=dict)  # what each of them said, and how sure it was

    def hear(self, weight: float, why: str) -> None:
        """One more source."""
        self.apart *= 1.0 - weight
        self.whys[why] = max(weight, self.whys.get(why, 0.0))

    @property
    def why(self) -> str:
        """The best reasons."""
        best = sorted(self.whys, key=lambda why: (-self.whys[why], why))
        return "; ".join(best[:SHOWN_WHYS])


def forecast(said: TaskText, sight: RepositoryKnowledge, digest: str = "") -> Forecast:
    """The files that a task is likely to change. The same input gives the same forecast."""
    named = mentions(said.text)
    found: dict[str, _Chance] = {}
    for path, weight, why in _sources(said, named, sight):
        found.setdefault(path, _Chance()).hear(weight, why)
    words = words_of(said.text)
    for path, weight, why in _names(words, sight):
        if path not in found or not found[path].whys.keys() & _SPELT:
            found.setdefault(path, _Chance()).hear(weight, why)
    for path, weight, why in list(_together(found, sight)):
        found.setdefault(path, _Chance()).hear(weight, why)
    weights = {
        path: min(SURE, 1.0 - chance.apart) * (COMMON_COUNTS if sight.past.usual(path) > COMMON else 1.0)
        for path, chance in found.items()
    }
    files = [
        PredictedFile(path, round(weight, 3), found[path].why) for path, weight in weights.items() if weight >= LEAST
    ]
    files.sort(key=lambda file: (-file.weight, file.path))
    return Forecast(tuple(files[:MAX_FILES]), digest, sight.tree is not None)


_Told = Iterable[tuple[str, float, str]]


def _sources(said: TaskText, named: References, sight: RepositoryKnowledge) -> _Told:
    yield from _form(said.files, sight.tree)
    yield from _text(named.paths, sight.tree)
    yield from _symbols(named, sight.symbols)
    yield from _similar(words_of(said.text), sight)


def _form(files: Iterable[str], tree: FileIndex | None) -> _Told:
    for name in files:
        if tree is None:
            yield name, UNKNOWN if not names_a_file(name) else FORM, IN_FORM
        elif meant := tree.meant(name):
            for path in meant:
                yield path, FORM / len(meant), IN_FORM
        elif area := tree.area(name):
            for path in area:
                yield path, min(AREA_MOST, AREA / len(area)), f"the form names {code(name)}"
        elif names_a_file(name):
            yield name, FORM, IN_FORM


def _text(paths: Iterable[str], tree: FileIndex | None) -> _Told:
    for name in paths:
        meant = tree.meant(name) if tree else ()
        for path in meant:
            yield path, TEXT / len(meant), IN_TEXT
        if not meant and names_a_file(name) and "/" in name:
            yield name, NEW if tree else UNKNOWN, IN_TEXT


def _symbols(named: References, where: Mapping[str, tuple[str, ...]]) -> _Told:
    for symbol in named.symbols:
        files = where.get(symbol, ())
        if 0 < len(files) <= SYMBOL_FILES:
            for path in files:
                yield path, SYMBOL / len(files), f"`{symbol}` is in it"


def _names(words: frozenset[str], sight: RepositoryKnowledge) -> Iterator[tuple[str, float, str]]:
    """Files all of whose name is in the text; the more the rarer its words are, and the words of its folders."""
    tree = sight.tree
    if tree is None:
        return
    evidence: dict[str, float] = {}
    named = [tree.by_word.get(word, ()) for word in words]
    for path in {path for paths in named if len(paths) <= NAMED_FILES for path in paths}:
        folder, _, name = path.rpartition("/")
        own = words_of(name.rpartition(".")[0] or name)
        if own <= words:
            around = words_of(folder) & words
            evidence[path] = sum(map(tree.rarity, own)) + FOLDER * sum(map(tree.rarity, around))
    total = sum(value**SHARPNESS for value in evidence.values())
    for path, value in evidence.items():
        share = value**SHARPNESS / total if total else 0.0
        yield path, NAMED * share * value**2 / (value**2 + NAMED_DOUBT**2), "its name is in the text"


def _similar(words: frozenset[str], sight: RepositoryKnowledge) -> _Told:
    """Files that similar work changed, if they are still there: by how alike it is, and how many agree."""
    near = sight.past.similar(words, NEIGHBOURS)
    if not near:
        return
    total = sum(likeness for likeness, _ in near) + SIMILAR_DOUBT
    said: dict[str, float] = {}
    for likeness, one in near:
        for path in one.files:
            said[path] = said.get(path, 0.0) + likeness * likeness
    for path, votes in said.items():
        if sight.tree is None or path in sight.tree:
            yield path, min(SIMILAR, votes / total), "similar work changed it"


def _together(found: Mapping[str, _Chance], sight: RepositoryKnowledge) -> _Told:
    """What goes with the likely ones: the test of a file, by its name; and what was usually changed together."""
    likely = sorted(found, key=lambda path: (found[path].apart, path))[:LIKELY]
    often = sight.past.with_partner(sight.tree) if sight.tree else 0.0
    for path in likely:
        chance = 1.0 - found[path].apart
        partners = sight.tree.partners(path) if sight.tree else ()
        for other in partners:
            yield other, chance * often / len(partners), f"goes with {code(path)}"
        changed = sight.past.changed(path)
        if changed < TOGETHER_OFTEN:
            continue
        for other, times in sight.past.together(path).items():
            share = times / (changed + 1)
            if other not in partners and share >= TOGETHER_FROM and (sight.tree is None or other in sight.tree):
                yield other, chance * share * TOGETHER, f"usually changed together with {code(path)}"
