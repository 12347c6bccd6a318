"""Build the ref advertisements of git's smart HTTP protocol from the refs on disk, without a git process.

Packs are sent and received by git itself (`sandbox.http.smart_http`). Described in git's
`gitprotocol-v2`, `gitprotocol-pack`
and `gitprotocol-common`.
"""

from collections.abc import Iterable, Iterator, Mapping

FLUSH = b"0000"
_DELIMITER = b"0001"
_AGENT = b"agent=github-sandbox"
_V2_CAPABILITIES = (b"version 2", _AGENT, b"ls-refs=unborn", b"fetch=shallow", b"object-format=sha1")
_PUSH_CAPABILITIES = (
    b"report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 " + _AGENT
)
_NO_REFS = b"0" * 40 + b" capabilities^{}"


def packet(line: bytes) -> bytes:
    """A line of the protocol, with its length before it."""
    return b"%04x%s\n" % (len(line) + 5, line)


def fetch_capabilities() -> bytes:
    """The capabilities of protocol 2, for a client that fetches."""
    return b"".join(map(packet, _V2_CAPABILITIES)) + FLUSH


def push_advertisement(refs: Mapping[str, str]) -> bytes:
    """The refs that can be pushed to, and the capabilities of a push."""
    lines = [f"{sha} {name}".encode() for name, sha in refs.items()] or [_NO_REFS]
    advertised_refs = [b"%s\0%s" % (lines[0], _PUSH_CAPABILITIES), *lines[1:]]
    return packet(b"# service=git-receive-pack") + FLUSH + b"".join(map(packet, advertised_refs)) + FLUSH


def parse_ls_refs(body: bytes) -> list[str] | None:
    """The arguments of a request for refs (`ls-refs`) in protocol 2; None for another command."""
    lines = list(_packets(body))
    if not lines or lines[0] != b"command=ls-refs":
        return None
    arguments = lines[lines.index(None) + 1 :] if None in lines else []
    return [line.decode(errors="replace") for line in arguments if line is not None]


def ls_refs_response(arguments: Iterable[str], head: str, refs: Mapping[str, str], peeled: Mapping[str, str]) -> bytes:
    """The response to `ls-refs`: `head` is the ref that HEAD points to, `peeled` the objects that tags point to."""
    requested = set(arguments)
    prefixes = tuple(_prefixes(requested)) or ("",)
    lines: list[str] = []
    if "HEAD".startswith(prefixes):
        target = f" symref-target:{head}" if "symrefs" in requested else ""
        if head in refs:
            lines.append(f"{refs[head]} HEAD{target}")
        elif "unborn" in requested:
            lines.append(f"unborn HEAD{target}")
    for name, sha in refs.items():
        if name.startswith(prefixes):
            peeled_attribute = f" peeled:{peeled[name]}" if "peel" in requested and name in peeled else ""
            lines.append(f"{sha} {name}{peeled_attribute}")
    return b"".join(packet(line.encode()) for line in lines) + FLUSH


def _prefixes(arguments: Iterable[str]) -> Iterator[str]:
    keyword = "ref-prefix "
    return (argument.removeprefix(keyword) for argument in arguments if argument.startswith(keyword))


def _packets(body: bytes) -> Iterator[bytes | None]:
    """The lines of a request up to its end; None for the delimiter. Raises ValueError for anything else."""
    position = 0
    while body[position : position + 4] not in (b"", FLUSH):
        if body[position : position + 4] == _DELIMITER:
            yield None
            position += 4
            continue
        end = position + int(body[position : position + 4], 16)
        if end < position + 4 or end > len(body):
            raise ValueError(f"a line of {end - position} bytes, and there are {len(body) - position}")
        yield body[position + 4 : end].removesuffix(b"\n")
        position = end
