"""Makes hostile text harmless before agents or people read it or the bot quotes it.

Three dangers, three functions that do not replace each other: `clean` removes what a reader cannot see, `defuse` keeps
a quotation from notifying people or linking issues, `mask_secrets` hides credentials.
"""

import re
import unicodedata

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


_ZERO_WIDTH_SPACE = "\u200b"
_ACTIVE_SYNTAX = re.compile(
    r"(?<![A-Za-z0-9])@(?=[A-Za-z0-9_-])"  # a mention; an e-mail address is none
    r"|#(?=[0-9])|\bGH-(?=[0-9])"  # an issue reference, whatever stands before it
    r"|<(?=[A-Za-z/!?])"  # HTML
    r"|&(?=#?[A-Za-z0-9]{1,32};)"  # an entity, which could spell any of the above
    r"|\bhttps?://(?=[^\s/\u200b]{1,253}/[\w.-]{1,100}/[\w.-]{1,100}/(?:issues|pulls?|discussions|commit)/\w)",
    re.IGNORECASE | re.ASCII,
)


def defuse(text: str) -> str:
    """The text made safe to quote in a comment: no mention, reference, closing keyword or HTML takes effect.

    A zero-width space is inserted after the character that starts each of them. It is invisible and works wherever the
    text is. Backticks around a mention would not: a stray backtick before it inverts the code span, and inside existing
    code they are visible. Escapes and entities do not help, as they are decoded before GitHub looks for names. A
    closing keyword is harmless without its reference. `clean` removes the spaces again, so defuse last, when the
    comment is written. Defusing twice changes nothing. The text can still open a code block or a list: for anything
    longer than a line, use `fence`.
    """
    return _ACTIVE_SYNTAX.sub(lambda match: match[0] + _ZERO_WIDTH_SPACE, text)


def inline_code(name: str) -> str:
    """A name from outside (of a file, of a branch) as inline code that it cannot leave, also inside a table."""
    return f"`{one_line(name, 300).replace('`', chr(0x2019)).replace('|', chr(0x2223))}`"


def code_block(text: str, language: str = "") -> str:
    """The text as a Markdown code block that it cannot leave; nothing in it is linked or rendered."""
    # Longer runs of backticks are broken up so that the fence does not grow without bound.
    text = re.sub("`{40}(?=`)", "`" * 40 + _ZERO_WIDTH_SPACE, _LINE_END.sub("\n", text)).strip("\n")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    backticks = "`" * max(3, longest + 1)
    return f"{backticks}{re.sub(r'[^A-Za-z0-9+#._-]', '', language)[:40]}\n{text}\n{backticks}"


# Each pattern ends in a run that is long enough at once or fails at once, or that cannot start inside its own kind: so
# every input takes linear time.
_TOKEN = re.compile(
    r"gh[pousr]_[A-Za-z0-9_]{16,}"  # GitHub
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|v1\.[0-9a-f]{40}"
    r"|(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"  # AWS
    r"|(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON Web Token
    r"|xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/(?:services|workflows)/[\w/-]{8,}"
    r"|(?<![A-Za-z0-9])sk-(?:(?:ant|proj|svcacct|admin|or|live|test)-[\w-]{12,}|[A-Za-z0-9]{20,})"
    r"|(?<![A-Za-z0-9])[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"  # Stripe
    r"|AIza[\w-]{30,}|glpat-[\w-]{16,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hf_[A-Za-z0-9]{30,}"
    r"|(?<![\w-])SG\.[\w-]{16,64}\.[\w-]{16,}"
)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*"
    r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
# A value in quotes, or a bare one that is no reference to a value kept elsewhere and no name of a type.
_VALUE = (
    r"""(?:"(?:[^"\\\n]|\\.){1,4096}"?|'(?:[^'\\\n]|\\.){1,4096}'?|(?!\$\{|(?-i:\$[A-Z_]+)\b|\$\(|%[A-Z_]+%|[({\[]"""
    r"""|\*{3}|(?:null|none|true|false|str|string|bytes|bool|int)\b|(?:os\.environ|process\.env|secrets|env|vars)[.\[])"""
    r"""(?:[^\s"'&,;)\]}]|[,;)\]}](?=[^\s"'&,;)\]}]))+)"""
)
_HEADER = re.compile(
    r"""(\bauthorization["']?[ \t]{0,4}[:=][ \t]{0,4}["']?)(?:(basic|bearer|token|digest)[ \t]+)?[^\s"']+""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_ASSIGNMENT = re.compile(
    r"""((?:passw(?:or)?d|passphrase|pwd|secret|token|(?:api|access|account|private)[_-]?key"""
    r"""|credentials?)(?:[_-]?(?:key|id|value))?["'\]]{0,2}[ \t]{0,4}(?::?={1,3}|:|=>)[ \t]{0,4})""" + _VALUE,
    re.IGNORECASE,
)
_OPTION = re.compile(
    rf"(--(?:[a-z]{{1,20}}-){{0,3}}(?:password|passwd|secret|token|key)[ \t]{{1,4}})(?!-){_VALUE}",
    re.IGNORECASE,
)
_USERINFO = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{1,20}://)(?!git@)[^\s/@\"'<>]{1,512}(?:@[^\s/@\"'<>]{1,512}){0,3}@(?=[\w\[])"
)


def mask_secrets(text: str) -> str:
    """The text with everything that looks like a credential replaced by `***`.

    Known: keys and tokens of GitHub, AWS, Slack, OpenAI, Anthropic, Google, GitLab, Stripe, npm, PyPI,
    Hugging Face and SendGrid, JSON Web Tokens, private keys in PEM (a truncated one up to the end),
    authorisation headers, assignments to names such as `password`, `token`, `api_key`, options such as
    `--token x`, and the user part of URLs (`git@` alone is no secret). When in doubt it masks.
    """
    text = _PEM.sub("***", text)
    text = _TOKEN.sub("***", text)
    text = _HEADER.sub(lambda match: match[1] + (f"{match[2]} " if match[2] else "") + "***", text)
    text = _BEARER.sub(r"\1***", text)
    text = _USERINFO.sub(r"\1***@", text)
    text = _ASSIGNMENT.sub(r"\1***", text)
    return _OPTION.sub(r"\1***", text)
