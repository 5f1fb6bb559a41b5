"""Contests with little in them, for tests that say what is in theirs, and whoever sends them as they are."""

from datetime import timedelta
from typing import Any, cast

from shared.domain.answers import Act, Contest, Standing
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Document, Item, Packet
from shared.domain.money import Money
from shared.flows.responding import Responder
from tests.simulator.answering import NOON as NOW
from tests.simulator.answering import PNG as A_PNG
from tests.simulator.answering import Caller, Played, accepting, play

__all__ = ["A_PDF", "A_PNG", "NOW", "a_contest", "a_document", "a_packet", "accepting", "drive", "send", "standing"]

A_PDF = b"%PDF-1.4\r\n--boundary\r\n\x00\xff evidence \r\n%%EOF\r\n"


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


def send(request: ApiRequest) -> ApiAnswer:
    return _Caller(None, ApiCredentials("")).send(request)


class _Caller(Caller):
    """With whatever credentials a test has."""

    def __init__(self, module: Any, api: ApiCredentials) -> None:
        super().__init__(cast(Responder, None), api.base_url, api.key)
        self.module = cast(Responder, module)


def drive(module: Any, contest: Contest, api: ApiCredentials) -> Played:
    return play(_Caller(module, api), contest)


def standing(module: Any, contest: Contest, api: ApiCredentials) -> Standing:
    return _Caller(module, api).standing(contest)
