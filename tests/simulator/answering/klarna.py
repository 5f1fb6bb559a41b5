"""Klarna's Payment Dispute API as its reference describes it."""

import re
from datetime import timedelta
from typing import Any

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from tests.simulator.answering import Tells, a_contest
from tests.simulator.answering.forms import Case, form, object_in, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

_DISPUTE = re.compile(r"/v4/payment/disputes/(krn:[^/]+)(/attachments|/represent|/appeal|/accept-loss)?")
_TYPES = ("application/pdf", "image/jpeg", "image/png")
_LARGEST = 7_000_000


def _error(status: int, kind: str, code: str, message: str) -> ApiReply:
    told = {"error_id": "7c3e4c1a-0000-4000-8000-1f6d9f3c8d10", "error_type": kind, "error_code": code}
    return reply_json(status, {**told, "error_message": message})


def _invalid(message: str) -> ApiReply:
    return _error(400, "INPUT_ERROR", "VALIDATION_ERROR", message)


def _conflict(message: str) -> ApiReply:
    return _error(409, "RESOURCE_ERROR", "RESOURCE_CONFLICT", message)


class KlarnaDesk:
    NAME = "klarna"

    def __init__(self, key: str = "klarna_test_api_a-key-of-ours") -> None:
        self.key = key
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}
        self.repeated: dict[str, tuple[ApiCall, ApiReply]] = {}

    def open(self, contest: Contest) -> None:
        appeal = contest.stage is DisputeStage.PRE_ARBITRATION
        self.cases[contest.answer_id] = Case(contest, "PRE_ARBITRATION" if appeal else "INITIATED")

    def reply(self, call: ApiCall) -> ApiReply:
        """An idempotency key gives the first result again, for 24 hours."""
        if call.headers.get("authorization") != f"Basic {self.key}":
            return _error(401, "ACCESS_ERROR", "UNAUTHORIZED", "The request was not authorized")
        key = call.headers.get("klarna-idempotency-key")
        first = self.repeated.get(key or "")
        if first and call.at - first[0].at < timedelta(hours=24):
            return first[1] if first[0].body == call.body else _conflict("The idempotency key was used before")
        reply = self._reply(call)
        if key and call.method == "POST" and reply.status < 500:
            self.repeated[key] = call, reply
        return reply

    def _reply(self, call: ApiCall) -> ApiReply:
        found = _DISPUTE.fullmatch(call.path)
        case = self.cases.get(found[1]) if found else None
        if found is None or case is None:
            return _error(404, "RESOURCE_ERROR", "RESOURCE_NOT_FOUND", "The resource was not found")
        if case.late(call) and case.status in ("INITIATED", "PRE_ARBITRATION"):
            self._close(case, "EVIDENCE_REQUEST_EXPIRED")
        match call.method, found[2]:
            case "GET", None:
                return reply_json(200, self._details(case))
            case "POST", "/attachments":
                return self._attach(case, call)
            case "POST", "/represent":
                return self._answer(case, call, "INITIATED", "REPRESENTMENT")
            case "POST", "/appeal":
                return self._answer(case, call, "PRE_ARBITRATION", "ARBITRATION")
            case "POST", "/accept-loss":
                return self._accept(case, call)
        return _error(405, "INPUT_ERROR", "METHOD_NOT_ALLOWED", "")

    def _close(self, case: Case, representment: str) -> None:
        if case.status == "INITIATED":
            case.draft["representment"] = representment
        case.status = "CLOSED"

    def _details(self, case: Case) -> dict[str, Any]:
        told: dict[str, Any] = {"payment_dispute_id": case.contest.answer_id, "state": case.status}
        waits = "EVIDENCE_REQUESTED" if case.status == "INITIATED" else "EVIDENCE_RECEIVED"
        told["representment"] = {"state": case.draft.get("representment", waits)}
        if case.status == "CLOSED":
            told["state_context"] = {"dispute_outcome": "LOST"}
        return told

    def _attach(self, case: Case, call: ApiCall) -> ApiReply:
        if case.status not in ("INITIATED", "PRE_ARBITRATION"):
            return _conflict("The dispute is not in a state where attachments can be uploaded")
        sent = {one.name: one for one in form(call)}.get("file")
        if sent is None or not sent.data or not sent.filename:
            return _invalid("file is required")
        if sent.media_type not in _TYPES:
            return _invalid("file type is not supported")
        if len(sent.data) > _LARGEST:
            return _invalid("file is larger than 7MB")
        own = f"{case.contest.answer_id}:attachment:{len(case.files) + 1}"
        case.files.append(own)
        return reply_json(201, {"payment_dispute_attachment_id": own})

    def _answer(self, case: Case, call: ApiCall, wanted: str, then: str) -> ApiReply:
        told = object_in(call) or {}
        attached, text = told.get("attachments"), told.get("additional_information", "")
        amount = case.contest.amount.minor if case.contest.amount else 0
        if attached == [] or (wanted == "INITIATED" and not attached):
            return _invalid("attachments must have at least 1 item")
        if wanted == "PRE_ARBITRATION" and not text:
            return _invalid("additional_information is required")
        if len(text) > (5000 if wanted == "INITIATED" else 10_000):
            return _invalid("additional_information is too long")
        if any(one.get("payment_dispute_attachment_id") not in case.files for one in attached or ()):
            return _invalid("attachments name one that is not there")
        if not 0 <= told.get("partner_proposed_refund_amount", 0) < amount:
            return _invalid("partner_proposed_refund_amount must be less than the full disputed amount")
        if case.status != wanted:
            return _conflict(f"The dispute is in state {case.status}, where this cannot be submitted")
        case.status = then
        self.taken.append(case.answered(Act.SUBMIT, call, {name: str(value) for name, value in told.items()}))
        return reply_json(201, {"state": then, "created_at": call.at.isoformat()})

    def _accept(self, case: Case, call: ApiCall) -> ApiReply:
        if case.status not in ("INITIATED", "PRE_ARBITRATION"):
            return _conflict(f"The dispute is in state {case.status}, where it cannot be accepted")
        self._close(case, "EVIDENCE_WAIVED")
        self.taken.append(case.answered(Act.ACCEPT, call, {}))
        return reply_json(202, {"state": "CLOSED"})


DESK = KlarnaDesk
KEY = "klarna_test_api_a-key-of-ours"
EXAMPLE = a_contest("krn:network:eu1:test:payment:dispute:5169719611111", network=None)
TELLS = Tells.REFUSAL
