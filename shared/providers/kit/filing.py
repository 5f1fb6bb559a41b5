"""How an answer to a dispute is laid out: its steps, its ids, which field takes which document, and texts that fit."""

import base64
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from shared.domain.answers import Contest, Remembered, Step
from shared.domain.api import ApiAnswer
from shared.domain.evidence import Document, Item, Packet
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.signing import as_bytes
from shared.providers.kit.submitting import Part, is_refusal, said, undecided


def first_open(steps: Iterable[Step], done: Remembered) -> Step | None:
    """The first of `steps` that is not done. Later ones are not put together: they need what earlier ones come to."""
    return next((step for step in steps if step.name not in done), None)


def step_of(document: Document) -> str:
    """The name of the step that sends it: of its bytes, so that a document which took its place is sent as well."""
    return f"file-{document.digest[:16]}"


def file_part(name: str, document: Document) -> Part:
    return Part(name, document.data, document.media_type, document.name)


def packet_of(contest: Contest) -> Packet:
    """Raises Unreadable where there is none."""
    if contest.packet is None:
        raise unreadable("packet", "missing", "missing_field")
    return contest.packet


def harmless(pattern: re.Pattern[str], value: str, path: str, whose: str) -> str:
    """`value`, which may stand in an address. Raises Unreadable."""
    if not pattern.fullmatch(value):
        raise unreadable(path, f"not an id of {whose}", "unreadable_id")
    return value


def proved_id(node: Node, pattern: re.Pattern[str], whose: str, *keys: str) -> str:
    """The id there, as it is. Raises Unreadable."""
    value = node.raw(*keys)
    if type(value) is not str or not pattern.fullmatch(value):
        raise unreadable(node.where(*keys), f"not an id of {whose}", "unreadable_id")
    return value


def json_body(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def basic(key: str) -> str:
    """`Authorization` for a key that is `<user>:<password>` (RFC 7617)."""
    return "Basic " + base64.b64encode(as_bytes(key)).decode("ascii")


def fitted(packet: Packet, items: Collection[Item], most: int) -> str:
    """What the packet says of `items`. Where that is more than `most` characters the longest of what a document shows as well
    gives way to that document's name. It may still be longer: a problem."""
    texts = {item: packet.texts[item] for item in items if item in packet.texts}
    shown = {item: document.name for document in packet.documents for item in document.items if item in texts}
    while shown and len(said(texts, items)) > most:
        longest = max(shown, key=lambda item: len(texts[item]))
        texts[longest] = f"see {shown.pop(longest)}"
    return said(texts, items)


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


def fee_problems(contest: Contest) -> Iterator[str]:
    if contest.fee is not None and not contest.acknowledged:
        yield f"this answer costs {contest.fee}, to which nobody has agreed"


def read_back(contest: Contest, answer: ApiAnswer, member: str = "id") -> Node | None:
    """The dispute that was asked for, which names itself in `member`; None where it was not given. Raises Unreadable."""
    if answer.status != 200:
        return None
    found = parse(answer.body)
    if found.raw(member) != contest.answer_id:
        raise unreadable(member, "another dispute than was asked for", "another_object")
    return found


def taken(answer: ApiAnswer) -> bool:
    """False: it is a refusal. Raises Unreadable for what is neither."""
    if 200 <= answer.status < 300:
        return True
    if not is_refusal(answer.status):
        raise undecided(answer)
    return False


def nothing_else(answer: ApiAnswer) -> None:
    """Of a success that says nothing beside its status. Raises Unreadable for a page of somebody's in between."""
    if answer.body.strip():
        parse(answer.body)
