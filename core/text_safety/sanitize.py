"""Makes hostile text harmless before agents or people read it or the bot quotes it.

Three dangers, three functions that do not replace each other: `clean` removes what a reader cannot see, `defuse` keeps
a quotation from notifying people or linking issues, `mask_secrets` hides credentials (both in `publication`).
"""

import re
import unicodedata

from core.text_safety.publication import ZERO_WIDTH_SPACE, defuse, mask_secrets
from core.text_safety.strip_hidden import strip_hidden

BODY_LIMIT = 65_536  # characters that GitHub takes in the body of an issue or a comment

# Unicode's Default_Ignorable_Code_Point (joiners, bidirectional controls, fillers, variation selectors,
# tags), the interlinear marks, noncharacters, and every control character but line feed and tab.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_MAX_MARKS = 30  # on one letter
_BEYOND_LATIN = re.compile("[^\x00-\u02ff]{16,}")  # where marks can be that many
_LINE_END = re.compile("\r\n|[\r\x85\u2028\u2029]")
# Colours and cursor moves (CSI), titles and links (OSC and its kin, ended by BEL or ST), and short escapes. A
# sequence without its end loses only its first character, so that no text after it is swallowed.
_ANSI = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{0,4096}(?:\x07|\x1b\\\\|\x9c)"
    "|\x1b[ -/]{0,8}[0-Z\\\\^-~]"
)


def normalize_text(text: str) -> str:
    """The text in NFC without invisible, bidirectional and control characters and ANSI escapes.

    Every kind of line ending becomes a line feed.
    """
    text = _ANSI.sub("", _LINE_END.sub("\n", text))
    text = _INVISIBLE.sub("", text)
    # A lone surrogate comes out of escaped JSON and cannot be written as UTF-8 by anything after us.
    text = re.sub("[\ud800-\udfff]", "\ufffd", text)
    return unicodedata.normalize("NFC", _BEYOND_LATIN.sub(lambda run: _limit_marks(run[0]), text))


def _limit_marks(text: str) -> str:
    """At most 30 marks on one letter, as in Unicode's Stream-Safe Text Format.

    Sorting marks takes quadratic time: minutes for those that fit into one log.
    """
    characters, marks = [], 0
    for character in text:
        # Each of the four is two marks in one.
        marks += 2 if character in "\u0344\u0f73\u0f75\u0f81" else 1 if unicodedata.combining(character) else -marks
        if marks <= _MAX_MARKS:
            characters.append(character)
    return "".join(characters)


def clean(text: str, limit: int = BODY_LIMIT) -> str:
    """What may reach an agent or a card: the text that a reader of the rendered Markdown sees, nothing hidden.

    `normalize_text` removes characters; `core.text_safety.strip_hidden` removes comments and hidden HTML. Code keeps
    its content. At most `limit` characters are returned; a longer text says so at its end. Cleaning twice changes
    nothing.
    """
    text = text[: 2 * limit]  # bounds the work; removed text may make room for what follows, within reason
    for _ in range(6):
        previous = text
        text = truncate(strip_hidden(normalize_text(text)).strip("\n").rstrip(), limit)
        if text == previous:
            return text
    # Each removal created something new to remove, again and again: no author writes that by accident.
    return truncate(normalize_text(re.sub(r"\]:", "] :", text.replace("<", "\uff1c"))).strip("\n").rstrip(), limit)


def truncate(text: str, limit: int) -> str:
    """The text, or as much of its beginning as fits into `limit` characters with a note that it was cut."""
    if len(text) <= limit:
        return text
    note = f"\n\n[Cut here: the text was longer than {limit} characters.]"
    if limit < 2 * len(note):
        return text[:limit].rstrip()
    beginning = text[: limit - len(note)]
    # Half a line may be half a tag or half a code span, which would read differently.
    whole_lines = beginning.rpartition("\n")[0]
    return (whole_lines if 2 * len(whole_lines) > len(beginning) else beginning).rstrip() + note


def one_line(text: str, limit: int = 200) -> str:
    """A title or a reason on one line: visible characters and single spaces, cut to `limit` characters."""
    text = " ".join(normalize_text(text[: 8 * limit + 1000]).split())
    return text if len(text) <= limit else text[: max(0, limit - 1)].rstrip() + "…"


def inline_code(name: str) -> str:
    """A name from outside (of a file, of a branch) as inline code that it cannot leave, also inside a table."""
    return f"`{one_line(name, 300).replace('`', chr(0x2019)).replace('|', chr(0x2223))}`"


def code_block(text: str, language: str = "") -> str:
    """The text as a Markdown code block that it cannot leave; nothing in it is linked or rendered."""
    # Longer runs of backticks are broken up so that the fence does not grow without bound.
    text = re.sub("`{40}(?=`)", "`" * 40 + ZERO_WIDTH_SPACE, _LINE_END.sub("\n", text)).strip("\n")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    backticks = "`" * max(3, longest + 1)
    return f"{backticks}{re.sub(r'[^A-Za-z0-9+#._-]', '', language)[:40]}\n{text}\n{backticks}"


__all__ = [
    "BODY_LIMIT",
    "clean",
    "code_block",
    "defuse",
    "inline_code",
    "mask_secrets",
    "normalize_text",
    "one_line",
    "truncate",
]
