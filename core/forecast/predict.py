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

FORM = 0.9  # a file named in the issue form: its author chose it
AREA = 2.0  # expected number of changed files in an area, whatever its size: each file has its share,
AREA_MOST = 0.6  # but at most this
TEXT = 0.8  # a file that the text names: it may name others only to explain
NEW = 0.7  # a path that looks like a file and does not exist: it will be created
UNKNOWN = 0.6  # a path, if the files are unknown
SYMBOL = 0.7  # the one file that contains a symbol of the text; several share this
SYMBOL_FILES = 8  # a symbol in more files than this is no hint
NAMED = 0.8  # a file whose whole name is in the text, in rare words
NAMED_FILES = 300  # a word in the names of more files than this is no hint
NAMED_DOUBT = 5.0  # rarity at which half of that is left
SHARPNESS = 6  # how much more the best of several names counts
FOLDER = 0.7  # a word of a folder, relative to a word of the name itself
NEIGHBOURS = 8  # similar changes that are used
SIMILAR = 0.6  # the limit for a file that all of them changed
SIMILAR_DOUBT = 1.5  # similarity needed before they count
LIKELY = 10  # files whose companions are searched
TOGETHER = 0.8  # of the share of times that a file changed together with a likely one
TOGETHER_OFTEN = 3  # times that the likely file must have changed before it counts
TOGETHER_FROM = 0.4  # the share from which it counts
COMMON = 0.25  # a file in a larger share of all changes is common to all work (a change log):
COMMON_COUNTS = 0.3  # its probability is reduced by this factor, or all tasks would wait for each other
SHOWN_WHYS = 2  # reasons shown for one file
LEAST = 0.05  # less likely files are left out
SURE = 0.95  # no prediction is more certain

IN_FORM, IN_TEXT = "named in the form", "named in the text"
_SPELT = frozenset((IN_FORM, IN_TEXT))  # an author who spells out a path also says its words


@dataclass(frozen=True, slots=True)
class TaskText:
    """The text of a task, and the files and areas of its form."""

    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryKnowledge:
    """What is known of the repository. `tree` None: nothing; `symbols`: the files that contain those of the text."""

    tree: FileIndex | None = None
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    past: ChangeHistory = field(default_factory=ChangeHistory)


@dataclass(slots=True)
class _Chance:
    """What the sources say about one file so far."""

    apart: float = 1.0  # the probability that every source is wrong
    whys: dict[str, float] = field(default_factory=dict)  # the reason of each source, and its probability

    def hear(self, weight: float, why: str) -> None:
        """Add one source."""
        self.apart *= 1.0 - weight
        self.whys[why] = max(weight, self.whys.get(why, 0.0))

    @property
    def why(self) -> str:
        """The strongest reasons."""
        best = sorted(self.whys, key=lambda why: (-self.whys[why], why))
        return "; ".join(best[:SHOWN_WHYS])


def forecast(said: TaskText, sight: RepositoryKnowledge, digest: str = "") -> Forecast:
    """The files that a task will probably change. The same input gives the same forecast."""
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
    """Files whose whole name is in the text; rarer words and words of their folders count more."""
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
    """Existing files that similar changes contain: by similarity, and by how many agree."""
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
    """Companions of the likely files: the test of a file, by name, and what usually changed together."""
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
