"""Makes text safe to publish: hides credentials, and defuses mentions, references and HTML.

It uses the standard library only, because `.github/actions/run-agent/` carries a copy of it (`tools.docs` writes it).
"""

import re

ZERO_WIDTH_SPACE = "\u200b"
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
    return _ACTIVE_SYNTAX.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, text)


# Each pattern ends in a run that is long enough at once or fails at once, or that cannot start inside its own kind: so
# every input takes linear time.
_TOKEN = re.compile(
    # GitHub; new tokens of installations end in a JSON Web Token
    r"gh[a-z]_(?:[0-9]{1,12}_eyJ[A-Za-z0-9_-]{4,}|[A-Za-z0-9_-]{16,})(?:\.[A-Za-z0-9_-]{8,}){0,4}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|v1\.[0-9a-f]{40}"
    r"|(?<![A-Z0-9])(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])"  # AWS
    r"|(?<![A-Za-z0-9-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON Web Token
    r"|xox[a-z](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}"  # Slack
    r"|hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{8,}"
    r"|discord(?:app)?\.com/api/webhooks/[0-9]{5,}/[\w-]{16,}|(?<![\w:])[0-9]{8,10}:AA[\w-]{32,}"  # Discord, Telegram
    r"|(?<![A-Za-z0-9])sk-(?:(?:ant|proj|svcacct|admin|or|live|test)-[\w-]{12,}|[A-Za-z0-9]{20,})"
    r"|(?<![A-Za-z0-9])[srp]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}"  # Stripe
    r"|AIza[\w-]{30,}|(?<![\w.])AQ\.A[\w-]{30,}|GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}|(?<![\w/])1//0[\w-]{20,}"  # Google
    r"|(?<![A-Za-z0-9])gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|soat|ffct)-[\w.-]{16,}"  # GitLab
    r"|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|rubygems_[0-9a-f]{40,}|(?<![A-Za-z0-9])cio[A-Za-z0-9]{32}(?![A-Za-z0-9])"
    r"|hf_[A-Za-z0-9]{30,}|r8_[A-Za-z0-9]{30,}|gsk_[A-Za-z0-9]{30,}|xai-[A-Za-z0-9]{30,}|pplx-[A-Za-z0-9]{30,}"
    r"|(?<![A-Za-z0-9])(?:key|crsr)_[0-9a-f]{32,}"  # Cursor
    r"|(?<![A-Za-z0-9])(?:apk(?:_user)?|cog)_[\w=-]{20,}"  # Devin
    r"|(?<![\w-])SG\.[\w-]{16,64}\.[\w-]{16,}|(?<![A-Za-z0-9])key-[0-9a-f]{32}|(?<![A-Za-z0-9])[SA][KC][0-9a-f]{32}"
    r"|(?<![A-Za-z0-9])do[opr]_v1_[0-9a-f]{40,}|dckr_(?:pat|oat)_[\w-]{20,}|(?<![A-Za-z0-9])hv[sbr]\.[\w-]{20,}"
    r"|(?<![A-Za-z0-9])dapi[0-9a-f]{32}|sbp_[0-9a-f]{40}|tskey-[a-z]+-[\w-]{12,}|HRKU-[\w-]{30,}|PMAK-[\w-]{30,}"
    r"|(?<![A-Za-z0-9])[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{40,}|AGE-SECRET-KEY-1[A-Z0-9]{30,}|AccountKey=[\w+/=]{40,}"
    r"|(?<![A-Za-z0-9])lin_(?:api|oauth)_[A-Za-z0-9]{30,}|ATATT3x[\w=-]{30,}|ntn_[A-Za-z0-9]{30,}|figd_[\w-]{30,}"
    r"|(?<![A-Za-z0-9])shp(?:at|ca|pa|ss)_[0-9a-f]{32}|sntry[su]_[\w=+/-]{30,}|gl(?:sa|c)_[\w=+/-]{30,}|NRAK-[A-Z0-9]{20,}"
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
_BEARER = re.compile(
    r"\b(?:(bearer[ \t]+)[A-Za-z0-9._~+/=-]{8,}|(basic[ \t]+)(?=[A-Za-z+/]{0,200}[0-9=])[A-Za-z0-9+/]{8,}={0,2})",
    re.IGNORECASE,
)
_COOKIE = re.compile(r"""(\b(?:set-)?cookie["']?[ \t]{0,4}:[ \t]{0,4}["']?)[^\s"'][^\r\n"']*""", re.IGNORECASE)
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
    r"([A-Za-z][A-Za-z0-9+.-]{1,20}://)(?!git@)"
    r"(?:[^\s/@\"'<>]{1,512}(?:@[^\s/@\"'<>]{1,512}){0,3}"
    r"|[^\s/@\"'<>:]{0,200}:(?![0-9]{1,5}/)[^\s@\"'<>]{1,512})@"  # a password with a slash, which is no port
)
_SECRET_NAME = re.compile(
    r"passw(?:or)?d|passphrase|pwd|secret|token|credential|cookie|authorization"
    r"|(?:api|access|account|private)[_-]?key|^auth$",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether the value of a field or header with this name is a credential, whatever it looks like."""
    return _SECRET_NAME.search(name) is not None


def mask_secrets(text: str) -> str:
    """The text with everything that looks like a credential replaced by `***`.

    Known: keys and tokens of GitHub and of the usual vendors of clouds, models, mail, chat and packages, JSON Web
    Tokens, private keys in PEM (a truncated one up to the end), authorisation and cookie headers, assignments to names
    such as `password`, `token`, `api_key`, options such as `--token x`, and the user part of URLs (`git@` alone is no
    secret). When in doubt it masks.
    """
    text = _PEM.sub("***", text)
    text = _TOKEN.sub("***", text)
    text = _HEADER.sub(lambda match: match[1] + (f"{match[2]} " if match[2] else "") + "***", text)
    text = _BEARER.sub(lambda match: f"{match[1] or match[2]}***", text)
    text = _COOKIE.sub(r"\1***", text)
    text = _USERINFO.sub(r"\1***@", text)
    text = _ASSIGNMENT.sub(r"\1***", text)
    return _OPTION.sub(r"\1***", text)
