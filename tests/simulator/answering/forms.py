"""What desks share: forms read as a provider's own parser would, and the cases that are open."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any

from shared.domain.answers import Act, Contest
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply


@dataclass(frozen=True)
class Field:
    """filename: empty where it is no file."""

    name: str
    data: bytes
    filename: str
    media_type: str


def form(call: ApiCall) -> list[Field]:
    """The fields of a multipart form, read by the standard library; none where the body is no such form."""
    content_type = call.headers.get("content-type", "")
    whole = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + call.body)
    if not whole.is_multipart():
        return []
    found = []
    for part in whole.get_payload():
        assert isinstance(part, Message)
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        # The last line's end belongs to the boundary; the parser keeps it off.
        name = part.get_param("name", header="content-disposition")
        found.append(Field(str(name), payload, part.get_filename() or "", part.get_content_type()))
    return found


def reply_json(status: int, value: Mapping[str, Any] | list[Any]) -> ApiReply:
    return ApiReply(status, json.dumps(value).encode())


def object_in(call: ApiCall) -> dict[str, Any] | None:
    """The JSON object in the body; None for anything else."""
    try:
        found = json.loads(call.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass
class Case:
    """A dispute that was opened at a desk: where it stands in the provider's word, and what was put to it."""

    contest: Contest
    status: str
    draft: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def late(self, call: ApiCall) -> bool:
        return self.contest.respond_by is not None and call.at >= self.contest.respond_by

    def answered(self, act: Act, call: ApiCall, told: dict[str, str]) -> Taken:
        return Taken(self.contest.dispute_id, act, call.at, told)
