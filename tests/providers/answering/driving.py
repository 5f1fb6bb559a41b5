"""A contest sent to a desk over real HTTP, step by step: what `respond_dispute` does without its claims and its memory."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from urllib.error import HTTPError
from urllib.request import Request, build_opener

from shared.domain.answers import Act, Contest, Done, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Document, Item, Packet
from shared.domain.money import Money
from shared.flows.responding import Responder

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
A_PDF = b"%PDF-1.4\r\n--boundary\r\n\x00\xff evidence \r\n%%EOF\r\n"

A_PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)


def a_document(name: str = "usage.pdf", *items: Item, **more: Any) -> Document:
    told = {"media_type": "application/pdf", "data": A_PDF + name.encode(), "pages": 1, **more}
    return Document(name=name, items=items or (Item.USAGE,), **told)


def a_packet(**more: Any) -> Packet:
    texts = {
        Item.PAYMENT: "Paid EUR 19.99 on 2026-10-01.",
        Item.PRODUCT: "Streaming, a month",
        Item.USAGE: "Played 41 hours.",
        Item.POLICY: "Terms of 2026-01-01 accepted on 2026-10-01.",
    }
    return Packet(**{"digest": "ab" * 32, "template": "fraud", "completeness": 0.8, "texts": texts, **more})


def a_contest(dispute_id: str, **more: Any) -> Contest:
    told: dict[str, Any] = {
        "key": "9f86d081884c7d659a2feaa0c55ad015",
        "act": Act.SUBMIT,
        "dispute_id": dispute_id,
        "answer_id": dispute_id,
        "account": "main",
        "livemode": False,
        "stage": DisputeStage.CHARGEBACK,
        "reason": DisputeReason.FRAUD,
        "amount": Money(1999, "EUR"),
        "respond_by": NOW + timedelta(days=3),
        "packet": a_packet(documents=(a_document(),)),
    }
    return Contest(**{**told, **more})


def accepting(contest: Contest) -> Contest:
    return replace(contest, act=Act.ACCEPT, packet=None)


def send(request: ApiRequest) -> ApiAnswer:
    asked = Request(request.url, request.body or None, dict(request.headers), method=request.method)
    try:
        with build_opener().open(asked, timeout=5) as answer:
            return ApiAnswer(answer.status, answer.read())
    except HTTPError as error:
        return ApiAnswer(error.code, error.read())


@dataclass
class Driven:
    """done: of the steps that were taken. refused: what ended it, if it did not reach its end."""

    done: dict[str, str]
    refused: Refused | None = None


def drive(module: Any, contest: Contest, api: ApiCredentials, done: dict[str, str] | None = None) -> Driven:
    responder = cast(Responder, module)
    driven = Driven(dict(done or {}))
    for _ in range(40):
        step = responder.next_step(contest, driven.done, api)
        if step is None:
            return driven
        assert step == responder.next_step(contest, driven.done, api), "the same arguments give the same request"
        outcome = responder.read_step(contest, step, send(step.request))
        if isinstance(outcome, Refused):
            driven.refused = outcome
            return driven
        assert isinstance(outcome, Done)
        driven.done[step.name] = outcome.value
    raise AssertionError("no end of steps")


def standing(module: Any, contest: Contest, api: ApiCredentials) -> Standing:
    responder = cast(Responder, module)
    return responder.read_standing(contest, send(responder.standing_request(contest, api)))
