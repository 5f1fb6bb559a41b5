"""What answers to disputes have in common at every provider: forms with files in them, texts that fit a field, and what
becomes of a refusal. What a provider takes stands in its own `answer` module."""

import base64
import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.answers import Contest, Refused, Remembered, Step
from shared.domain.api import ApiAnswer
from shared.domain.errors import Unreadable
from shared.domain.evidence import Document, Item, Packet
from shared.domain.privacy import mask
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.signing import as_bytes

PDF, JPEG, PNG = "application/pdf", "image/jpeg", "image/png"
LONGEST_TOLD = 300

_CODE = re.compile(r"[A-Za-z0-9._\-]{1,64}", flags=re.ASCII)
_ODD = re.compile(r"[^A-Za-z0-9._\-]+", flags=re.ASCII)
_SUFFIXES = {PDF: ".pdf", JPEG: ".jpg", PNG: ".png"}


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a form. filename: where it is a file; then it has a media type as well."""

    name: str
    data: bytes
    filename: str = ""
    media_type: str = ""


def multipart(parts: Iterable[Part]) -> tuple[str, bytes]:
    """The content type and the body of a form (RFC 7578). The same parts make the same bytes, for the boundary is a digest of
    them: nobody can write one into a file that would hold it."""
    parts = tuple(parts)
    digest = hashlib.sha256()
    for part in parts:
        for piece in (part.name.encode(), part.filename.encode(), part.data):
            digest.update(len(piece).to_bytes(8) + piece)
    boundary = digest.hexdigest()
    body = bytearray()
    for part in parts:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'.encode("ascii")
        if part.filename:
            body += f'; filename="{part.filename}"\r\nContent-Type: {part.media_type}'.encode("ascii")
        body += b"\r\n\r\n" + part.data + b"\r\n"
    body += f"--{boundary}--\r\n".encode("ascii")
    return f"multipart/form-data; boundary={boundary}", bytes(body)


def file_part(name: str, document: Document) -> Part:
    """Nothing of a document's name or type can end its header and begin another."""
    media_type = document.media_type if document.media_type in _SUFFIXES else "application/octet-stream"
    return Part(name, document.data, harmless_name(document), media_type)


def harmless_name(document: Document) -> str:
    """Its name with nothing but letters, digits, dots and hyphens in it, and the ending of its type."""
    suffix = _SUFFIXES.get(document.media_type, "")
    stem = _ODD.sub("-", document.name.removesuffix(suffix)).strip("-.")[:60] or "evidence"
    return stem + suffix


def json_body(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def basic(key: str) -> str:
    """`Authorization` for a key that is `<user>:<password>` (RFC 7617)."""
    return "Basic " + base64.b64encode(as_bytes(key)).decode("ascii")


def harmless(pattern: re.Pattern[str], value: str, path: str, whose: str) -> str:
    """`value`, which may stand in an address. Raises Unreadable."""
    if not pattern.fullmatch(value):
        raise unreadable(path, f"not an id of {whose}", "unreadable_id")
    return value


def step_of(document: Document) -> str:
    """The name of the step that sends it: of its bytes, so that a document which took its place is sent as well."""
    return f"file-{document.digest[:16]}"


def first_open(steps: Iterable[Step], done: Remembered) -> Step | None:
    """The first of `steps` that is not done. Later ones are not put together: they need what earlier ones come to."""
    return next((step for step in steps if step.name not in done), None)


def packet_of(contest: Contest) -> Packet:
    """Raises Unreadable where there is none."""
    if contest.packet is None:
        raise unreadable("packet", "missing", "missing_field")
    return contest.packet


def best_field(fields: Mapping[str, Collection[Item]], document: Document, anything: str) -> str:
    """The field that is for the most of what `document` shows, the first of them; `anything` where none is."""
    worth = {field: len(set(items) & set(document.items)) for field, items in fields.items()}
    best = max(worth, key=lambda field: worth[field])
    return best if worth[best] else anything


def contested_problems(contest: Contest) -> Iterator[str]:
    """Of a provider that takes less than all of a dispute's amount."""
    part, whole = contest.contested, contest.amount
    if part is None:
        return
    if whole is None or part.currency != whole.currency or not 0 < part.minor <= whole.minor:
        yield f"{part} is no part of what is disputed"


def title(item: Item) -> str:
    return item.value.replace("_", " ").capitalize()


def said(packet: Packet, items: Collection[Item], most: int | None = None) -> str:
    """What the packet says of `items`, a line each, in the order of `Item`. Where that is more than `most` characters the
    longest of what a document shows as well gives way to that document's name. It may still be longer: a problem."""
    lines = {item: f"{title(item)}: {packet.texts[item]}" for item in Item if item in items and item in packet.texts}
    shown = {item: document.name for document in packet.documents for item in document.items if item in lines}
    while most is not None and shown and len("\n".join(lines.values())) > most:
        longest = max(shown, key=lambda item: len(lines[item]))
        lines[longest] = f"{title(longest)}: see {shown.pop(longest)}"
    return "\n".join(lines.values())


def file_problems(documents: Iterable[Document], types: Collection[str], largest: int) -> Iterator[str]:
    """A sentence for each document that is of another type than `types`, empty, or larger than `largest` bytes."""
    for document in documents:
        if document.media_type not in types:
            yield f"{document.name} is {document.media_type}: only {', '.join(sorted(types))} are taken"
        if not document.data:
            yield f"{document.name} is empty"
        elif len(document.data) > largest:
            yield f"{document.name} has {len(document.data)} bytes: at most {largest} are taken"


def opened(answer: ApiAnswer) -> Node | None:
    """The object that is in it; None where there is none."""
    try:
        return parse(answer.body)
    except Unreadable:
        return None


def is_refusal(status: int) -> bool:
    """Whether a status says that nothing was done and that a repeat would change nothing."""
    return 400 <= status < 500 and status not in (408, 425, 429)


def undecided(answer: ApiAnswer) -> Unreadable:
    """For what does not say whether a request was taken."""
    return unreadable("status", f"{answer.status} does not say whether it was taken", "undecided")


def fee_problems(contest: Contest) -> Iterator[str]:
    if contest.fee is not None and contest.fee.minor > 0 and not contest.acknowledged:
        yield f"this answer costs {contest.fee}, to which nobody has agreed"


def refused(answer: ApiAnswer, code: Any, told: Any, *, stands: bool = False) -> Refused:
    """`code` and `told` are whatever the provider has in the places of both; what is no word and no text is left out."""
    word = code if type(code) is str and _CODE.fullmatch(code) else f"status_{answer.status}"
    text = " ".join(told.split()) if type(told) is str else ""
    # Masked before it is cut: half a card number is none that anybody would know.
    return Refused(code=word, told=mask(text)[:LONGEST_TOLD], stands=stands)


def proved_id(node: Node, pattern: re.Pattern[str], whose: str, *keys: str) -> str:
    """The id there, as it is. Raises Unreadable."""
    value = node.raw(*keys)
    if type(value) is not str or not pattern.fullmatch(value):
        raise unreadable(node.where(*keys), f"not an id of {whose}", "unreadable_id")
    return value


def taken(answer: ApiAnswer) -> bool:
    """False: it is a refusal. Raises Unreadable for what is neither."""
    if 200 <= answer.status < 300:
        return True
    if not is_refusal(answer.status):
        raise undecided(answer)
    return False
