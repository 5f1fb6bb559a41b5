"""Providers' desks for answers to disputes, and who plays an answer against one over real local HTTP.

Each module has `DESK`, the class of the desk (`tests.simulator.desks.Desk`); `KEY`, the secret that it takes; and `EXAMPLE`, a
contest with everything that the provider takes: a dispute with evidence to submit, which is due at NOON + 7 days; and `TELLS`,
where that is less than WHY; and `WITHIN`, how long it waits whatever the story says, where its provider documents that.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import ModuleType
from typing import Any, cast

import urllib3

from shared.domain.answers import Act, Contest, Done, Refused, Standing, Step
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Document, Item, Packet
from shared.domain.money import Money
from shared.flows.responding import Responder


class Tells(StrEnum):
    """What a provider says of an answer that it cannot take, be it the second one or too late."""

    WHY = "why"  # it is refused, and the refusal says which of both it is
    REFUSAL = "refusal"  # it is refused: which of both it is has to be read back
    NOTHING = "nothing"  # it is told OK, and not heard; nothing of an answer can be read back


def tells(simulated: ModuleType) -> Tells:
    return cast(Tells, getattr(simulated, "TELLS", Tells.WHY))


NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
DUE = NOON + timedelta(days=7)
_MOST_STEPS = 60


def desk_of(name: str) -> ModuleType:
    return importlib.import_module(f"tests.simulator.answering.{name}")


PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< >>\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def a_document(*items: Item, name: str = "evidence.pdf", data: bytes = PDF) -> Document:
    media_type = "application/pdf" if data.startswith(b"%PDF") else "image/png"
    return Document(name=name, media_type=media_type, data=data, pages=1, items=items)


def a_packet(**changes: Any) -> Packet:
    packet = Packet(
        digest="5f" * 32,
        template="digital-subscription.fraud",
        completeness=0.9,
        texts={
            Item.PAYMENT: "Authorised and captured on 2026-10-01: EUR 19.99.",
            Item.PRODUCT: "A monthly subscription to a film service.",
            Item.PURCHASE_IP: "203.0.113.7",
            Item.LOGIN: "Account 4711, logged in from the same device.",
            Item.AUTHENTICATION: "3-D Secure: authenticated.",
            Item.USAGE: "Played on 12 days after the payment, last on 2026-11-02.",
            Item.SERVICE_DATE: "2026-10-01",
            Item.POLICY: "Version 7 of the terms, accepted on 2026-10-01.",
        },
        documents=(a_document(Item.PAYMENT, Item.USAGE), a_document(Item.USAGE, name="plays.png", data=PNG)),
    )
    return replace(packet, **changes)


def a_contest(dispute_id: str, **changes: Any) -> Contest:
    contest = Contest(
        key="a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0",
        act=Act.SUBMIT,
        dispute_id=dispute_id,
        answer_id=dispute_id,
        account="main",
        livemode=False,
        stage=DisputeStage.CHARGEBACK,
        reason=DisputeReason.FRAUD,
        network="visa",
        amount=Money(1999, "EUR"),
        respond_by=DUE,
        packet=a_packet(),
    )
    return replace(contest, **changes)


def accepting(contest: Contest) -> Contest:
    return replace(contest, key=contest.key[::-1], act=Act.ACCEPT, packet=None)


class Caller:
    """Who sends what a module has put together, once, and reads what it says: no tries, no breaker."""

    def __init__(self, module: Responder, url: str, key: str, now: datetime = NOON) -> None:
        self.module = module
        self._pool = urllib3.PoolManager(retries=False)
        self.api = ApiCredentials(key=key, base_url=url)
        exchanging = cast(Any, module)
        if hasattr(module, "signed_token"):
            self.api = replace(self.api, key=exchanging.signed_token(self.api, now))
        if hasattr(module, "token_request"):
            answer = self.send(exchanging.token_request(self.api, livemode=False))
            assert answer.status == 200, "the desk gave no token"
            self.api = replace(self.api, key=exchanging.read_token(answer.body)[0])

    def send(self, request: ApiRequest) -> ApiAnswer:
        answer = self._pool.request(
            request.method,
            request.url,
            body=request.body or None,
            headers=dict(request.headers),
            redirect=False,
            timeout=5.0,
        )
        return ApiAnswer(answer.status, answer.data)

    def standing(self, contest: Contest) -> Standing:
        return self.module.read_standing(contest, self.send(self.module.standing_request(contest, self.api)))


@dataclass
class Played:
    """done: as it is remembered. steps: in order, each once for each time that it was sent."""

    done: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    refused: Refused | None = None


def play(
    caller: Caller, contest: Contest, played: Played | None = None, *, until: Callable[[Step], bool] = lambda _: False
) -> Played:
    """Every step until none is left, one is refused, or `until` says so of one that is about to be sent."""
    played = played or Played()
    for _ in range(_MOST_STEPS):
        step = caller.module.next_step(contest, played.done, caller.api)
        if step is None or until(step):
            return played
        played.steps.append(step)
        outcome = caller.module.read_step(contest, step, caller.send(step.request))
        if isinstance(outcome, Refused):
            played.refused = outcome
            return played
        assert isinstance(outcome, Done)
        played.done[step.name] = outcome.value
    raise AssertionError("the steps do not end")


def multipart_parts(content_type: str, body: bytes) -> Iterator[tuple[str, str, str, bytes]]:
    """(name, file name, media type, data) of each part of a multipart body, as a server reads it."""
    boundary = next((part.partition("=")[2].strip('"') for part in content_type.split("; ") if "boundary=" in part), "")
    assert boundary, "no boundary"
    for piece in body.split(b"--" + boundary.encode())[1:-1]:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = {}
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(":")
            lines[name.strip().lower()] = value.strip()
        given = dict(one.strip().split("=", 1) for one in lines["content-disposition"].split(";")[1:])
        yield (
            given["name"].strip('"'),
            given.get("filename", "").strip('"'),
            lines.get("content-type", ""),
            data.removesuffix(b"\r\n"),
        )
