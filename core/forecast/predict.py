"""Predicts the files of a task by combining the probabilities from several sources.

The weights are probabilities: of a hundred files to which a source gives 0.6, about sixty should be changed. They were
set by replaying histories (`orchestrator forecast`, docs/forecast.md). A source with little data gives lower values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from core.forecast.file_index import FileIndex
from core.forecast.history import ChangeHistory
from core.forecast.mentions import References, find_references, looks_like_file
from core.forecast.model import MAX_FILES, Forecast, PredictedFile
from core.forecast.tokenize import words_of
from core.text_safety.sanitize import inline_code

FORM_WEIGHT = 0.9  # a file named in the issue form: its author chose it
AREA_TOTAL_WEIGHT = 2.0  # expected number of changed files in an area, whatever its size: each file has its share,
MAX_AREA_WEIGHT = 0.6  # but at most this
TEXT_WEIGHT = 0.8  # a file that the text names: it may name others only to explain
NEW_FILE_WEIGHT = 0.7  # a path that looks like a file and does not exist: it will be created
UNKNOWN_PATH_WEIGHT = 0.6  # a path, if the files are unknown
SYMBOL_WEIGHT = 0.7  # the one file that contains a symbol of the text; several share this
MAX_SYMBOL_FILES = 8  # a symbol in more files than this is no hint
NAME_WEIGHT = 0.8  # a file whose whole name is in the text, in rare words
MAX_NAME_FILES = 300  # a word in the names of more files than this is no hint
NAME_HALF_RARITY = 5.0  # rarity at which half of that is left
NAME_SHARPNESS = 6  # how much more the best of several names counts
DIRECTORY_WEIGHT = 0.7  # a word of a folder, relative to a word of the name itself
SIMILAR_COUNT = 8  # similar changes that are used
MAX_SIMILAR_WEIGHT = 0.6  # the limit for a file that all of them changed
SIMILAR_PRIOR = 1.5  # similarity needed before they count
LIKELY_COUNT = 10  # files whose companions are searched
COCHANGE_WEIGHT = 0.8  # of the share of times that a file changed together with a likely one
MIN_COCHANGES = 3  # times that the likely file must have changed before it counts
MIN_COCHANGE_SHARE = 0.4  # the share from which it counts
COMMON_SHARE = 0.25  # a file in a larger share of all changes is common to all work (a change log):
COMMON_FACTOR = 0.3  # its probability is reduced by this factor, or all tasks would wait for each other
MAX_REASONS = 2  # reasons shown for one file
MIN_WEIGHT = 0.05  # less likely files are left out
MAX_WEIGHT = 0.95  # no prediction is more certain

FORM_REASON, TEXT_REASON = "named in the form", "named in the text"
_EXPLICIT_REASONS = frozenset((FORM_REASON, TEXT_REASON))  # an author who spells out a path also says its words


@dataclass(frozen=True, slots=True)
class TaskText:
    """The text of a task, and the files and areas of its form."""

    text: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RepositoryKnowledge:
    """What is known of the repository. `tree` None: nothing; `symbols`: the files that contain those of the text."""

    file_index: FileIndex | None = None
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    history: ChangeHistory = field(default_factory=ChangeHistory)


@dataclass(slots=True)
class _FileScore:
    """What the sources say about one file so far."""

    miss_probability: float = 1.0  # the probability that every source is wrong
    reasons: dict[str, float] = field(default_factory=dict)  # the reason of each source, and its probability

    def add(self, weight: float, reason: str) -> None:
        """Add one source."""
        self.miss_probability *= 1.0 - weight
        self.reasons[reason] = max(weight, self.reasons.get(reason, 0.0))

    @property
    def reason_text(self) -> str:
        """The strongest reasons."""
        best = sorted(self.reasons, key=lambda reason: (-self.reasons[reason], reason))
        return "; ".join(best[:MAX_REASONS])


def predict_files(task_text: TaskText, knowledge: RepositoryKnowledge, text_digest: str = "") -> Forecast:
    """The files that a task will probably change. The same input gives the same forecast."""
    references = find_references(task_text.text)
    scores: dict[str, _FileScore] = {}
    for path, weight, reason in _predictions(task_text, references, knowledge):
        scores.setdefault(path, _FileScore()).add(weight, reason)
    words = words_of(task_text.text)
    for path, weight, reason in _name_predictions(words, knowledge):
        if path not in scores or not scores[path].reasons.keys() & _EXPLICIT_REASONS:
            scores.setdefault(path, _FileScore()).add(weight, reason)
    for path, weight, reason in list(_cochange_predictions(scores, knowledge)):
        scores.setdefault(path, _FileScore()).add(weight, reason)
    weights = {
        path: min(MAX_WEIGHT, 1.0 - score.miss_probability)
        * (COMMON_FACTOR if knowledge.history.change_share(path) > COMMON_SHARE else 1.0)
        for path, score in scores.items()
    }
    files = [
        PredictedFile(path, round(weight, 3), scores[path].reason_text)
        for path, weight in weights.items()
        if weight >= MIN_WEIGHT
    ]
    files.sort(key=lambda file: (-file.weight, file.path))
    return Forecast(tuple(files[:MAX_FILES]), text_digest, knowledge.file_index is not None)


_Predictions = Iterable[tuple[str, float, str]]


def _predictions(task_text: TaskText, references: References, knowledge: RepositoryKnowledge) -> _Predictions:
    yield from _form_predictions(task_text.files, knowledge.file_index)
    yield from _text_predictions(references.paths, knowledge.file_index)
    yield from _symbol_predictions(references, knowledge.symbols)
    yield from _similar_work_predictions(words_of(task_text.text), knowledge)


def _form_predictions(files: Iterable[str], file_index: FileIndex | None) -> _Predictions:
    for name in files:
        if file_index is None:
            yield name, UNKNOWN_PATH_WEIGHT if not looks_like_file(name) else FORM_WEIGHT, FORM_REASON
        elif matches := file_index.find_files(name):
            for path in matches:
                yield path, FORM_WEIGHT / len(matches), FORM_REASON
        elif area := file_index.match_area(name):
            for path in area:
                yield path, min(MAX_AREA_WEIGHT, AREA_TOTAL_WEIGHT / len(area)), f"the form names {inline_code(name)}"
        elif looks_like_file(name):
            yield name, FORM_WEIGHT, FORM_REASON


def _text_predictions(paths: Iterable[str], file_index: FileIndex | None) -> _Predictions:
    for name in paths:
        matches = file_index.find_files(name) if file_index else ()
        for path in matches:
            yield path, TEXT_WEIGHT / len(matches), TEXT_REASON
        if not matches and looks_like_file(name) and "/" in name:
            yield name, NEW_FILE_WEIGHT if file_index else UNKNOWN_PATH_WEIGHT, TEXT_REASON


def _symbol_predictions(references: References, files_by_symbol: Mapping[str, tuple[str, ...]]) -> _Predictions:
    for symbol in references.symbols:
        files = files_by_symbol.get(symbol, ())
        if 0 < len(files) <= MAX_SYMBOL_FILES:
            for path in files:
                yield path, SYMBOL_WEIGHT / len(files), f"`{symbol}` is in it"


def _name_predictions(words: frozenset[str], knowledge: RepositoryKnowledge) -> Iterator[tuple[str, float, str]]:
    """Files whose whole name is in the text; rarer words and words of their folders count more."""
    file_index = knowledge.file_index
    if file_index is None:
        return
    evidence: dict[str, float] = {}
    path_lists = [file_index.by_word.get(word, ()) for word in words]
    for path in {path for paths in path_lists if len(paths) <= MAX_NAME_FILES for path in paths}:
        directory, _, name = path.rpartition("/")
        name_words = words_of(name.rpartition(".")[0] or name)
        if name_words <= words:
            directory_words = words_of(directory) & words
            evidence[path] = sum(map(file_index.rarity, name_words)) + DIRECTORY_WEIGHT * sum(
                map(file_index.rarity, directory_words)
            )
    total = sum(value**NAME_SHARPNESS for value in evidence.values())
    for path, value in evidence.items():
        share = value**NAME_SHARPNESS / total if total else 0.0
        yield path, NAME_WEIGHT * share * value**2 / (value**2 + NAME_HALF_RARITY**2), "its name is in the text"


def _similar_work_predictions(words: frozenset[str], knowledge: RepositoryKnowledge) -> _Predictions:
    """Existing files that similar changes contain: by similarity, and by how many agree."""
    similar_work = knowledge.history.similar(words, SIMILAR_COUNT)
    if not similar_work:
        return
    total = sum(similarity for similarity, _ in similar_work) + SIMILAR_PRIOR
    votes_by_path: dict[str, float] = {}
    for similarity, work in similar_work:
        for path in work.files:
            votes_by_path[path] = votes_by_path.get(path, 0.0) + similarity * similarity
    for path, votes in votes_by_path.items():
        if knowledge.file_index is None or path in knowledge.file_index:
            yield path, min(MAX_SIMILAR_WEIGHT, votes / total), "similar work changed it"


def _cochange_predictions(scores: Mapping[str, _FileScore], knowledge: RepositoryKnowledge) -> _Predictions:
    """Companions of the likely files: the test of a file, by name, and what usually changed together."""
    likely = sorted(scores, key=lambda path: (scores[path].miss_probability, path))[:LIKELY_COUNT]
    partner_share = knowledge.history.partner_share(knowledge.file_index) if knowledge.file_index else 0.0
    for path in likely:
        probability = 1.0 - scores[path].miss_probability
        partners = knowledge.file_index.partners(path) if knowledge.file_index else ()
        for other in partners:
            yield other, probability * partner_share / len(partners), f"goes with {inline_code(path)}"
        changed = knowledge.history.change_count(path)
        if changed < MIN_COCHANGES:
            continue
        for other, times in knowledge.history.cochange_counts(path).items():
            share = times / (changed + 1)
            if (
                other not in partners
                and share >= MIN_COCHANGE_SHARE
                and (knowledge.file_index is None or other in knowledge.file_index)
            ):
                yield other, probability * share * COCHANGE_WEIGHT, f"usually changed together with {inline_code(path)}"
