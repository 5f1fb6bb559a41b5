"""What the modules that answer disputes share: texts put together, files held against limits, bodies of several parts, refusals."""

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from shared.domain.answers import Contest, Refused
from shared.domain.api import ApiAnswer
from shared.domain.errors import Unreadable
from shared.domain.evidence import Document, Item
from shared.domain.privacy import mask
from shared.providers.kit.reading import Node, parse, unreadable

PDF, JPEG, PNG, GIF, TIFF = "application/pdf", "image/jpeg", "image/png", "image/gif", "image/tiff"
MEGABYTE = 1_000_000
"""The smaller reading of "MB": what fits it fits the other one."""

# What such a file begins with: a provider looks into it, and not at what it is called.
_BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    PDF: (b"%PDF-",),
    JPEG: (b"\xff\xd8\xff",),
    PNG: (b"\x89PNG\r\n\x1a\n",),
    GIF: (b"GIF87a", b"GIF89a"),
    TIFF: (b"II*\x00", b"MM\x00*"),
}
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-]{0,59}\.[A-Za-z]{3,4}", flags=re.ASCII)
_NO_CODE = re.compile(r"[^A-Za-z0-9_.\-]+", flags=re.ASCII)
_LONGEST_TOLD, _LONGEST_CODE = 300, 64
# Nothing was done, or nobody knows, and a repeat may help: none of these is a refusal.
_MAY_PASS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider takes of files. types: media type → most bytes of one. together, pages: of all, None where that is
    not limited; at_most: how many files."""

    types: Mapping[str, int]
    together: int | None = None
    pages: int | None = None
    at_most: int | None = None


def wrong_files(documents: Sequence[Document], limits: Limits) -> Iterator[str]:
    """A sentence for each limit that is not kept."""
    for document in documents:
        most = limits.types.get(document.media_type)
        if not _FILE_NAME.fullmatch(document.name):
            yield "a file's name is not letters, digits, hyphens and an ending"
        if most is None:
            yield f"{document.media_type} is not taken: only {', '.join(sorted(limits.types))}"
        elif not document.data.startswith(_BEGINNINGS.get(document.media_type, (b"",))) or not document.data:
            yield f"a file that is called {document.media_type} is none"
        elif len(document.data) > most:
            yield f"a file of {len(document.data)} bytes: at most {most} are taken of {document.media_type}"
    if limits.together is not None and (size := sum(len(one.data) for one in documents)) > limits.together:
        yield f"{size} bytes of files: at most {limits.together} are taken together"
    if limits.pages is not None and (pages := sum(max(one.pages, 1) for one in documents)) > limits.pages:
        yield f"{pages} pages: at most {limits.pages} are taken together"
    if limits.at_most is not None and len(documents) > limits.at_most:
        yield f"{len(documents)} files: at most {limits.at_most} are taken"


def said(texts: Mapping[Item, str], items: Collection[Item]) -> str:
    """The texts of `items` that there are, in the order of `Item`; each under its name where they are several."""
    found = [(item, texts[item].strip()) for item in Item if item in items and texts.get(item, "").strip()]
    if len(found) == 1:
        return found[0][1]
    return "\n\n".join(f"{item.value.replace('_', ' ').capitalize()}: {text}" for item, text in found)


def documents_of(contest: Contest) -> tuple[Document, ...]:
    return contest.packet.documents if contest.packet else ()


def texts_of(contest: Contest) -> Mapping[Item, str]:
    return contest.packet.texts if contest.packet else {}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a multipart body (RFC 7578). file_name: empty for a field."""

    name: str
    data: bytes
    media_type: str = ""
    file_name: str = ""


def multipart(parts: Sequence[Part]) -> tuple[str, bytes]:
    """(Content-Type, body): the same parts make the same bytes, and the boundary is out of what they hold."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.data).digest() + part.name.encode() + b"\0" + part.file_name.encode() + b"\0")
    boundary = f"part-{digest.hexdigest()}"
    body = bytearray()
    for part in parts:
        disposition = f'form-data; name="{_quoted(part.name)}"'
        if part.file_name:
            disposition += f'; filename="{_quoted(part.file_name)}"'
        body += f"--{boundary}\r\nContent-Disposition: {disposition}\r\n".encode()
        if part.media_type:
            body += f"Content-Type: {part.media_type}\r\n".encode()
        body += b"\r\n" + part.data + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def is_refusal(status: int) -> bool:
    """Whether a status says that nothing was done and that a repeat would change nothing."""
    return 400 <= status < 500 and status not in _MAY_PASS


def refused(code: object, *told: object, stands: bool = False) -> Refused:
    """A refusal in the provider's words, as far as they are words."""
    word = _NO_CODE.sub("_", mask(str(code)))[:_LONGEST_CODE].strip("_") if isinstance(code, str | int) else ""
    sentence = " ".join(part.strip() for part in told if type(part) is str and part.strip())
    printable = "".join(letter if letter.isprintable() else " " for letter in sentence)
    return Refused(code=word or "refused", told=mask(printable)[:_LONGEST_TOLD], stands=stands)


def undecided(answer: ApiAnswer) -> Unreadable:
    """For what does not say whether a request was taken."""
    return unreadable("status", f"{answer.status} does not say whether it was taken", "undecided")


def words_of(answer: ApiAnswer) -> Node:
    """The JSON object in a refusal; an empty one where there is none, for its status alone says that it is one."""
    try:
        return parse(answer.body)
    except Unreadable:
        return Node({}, "")
