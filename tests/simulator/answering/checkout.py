"""Checkout.com's Disputes API as its docs describe it. Its error codes here are ours: the docs list none for disputes."""

import re

from shared.domain.answers import Act, Contest
from tests.simulator.answering import Tells, a_contest
from tests.simulator.answering.forms import Case, form, object_in, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply

_DISPUTE = re.compile(r"/disputes/(dsp_\w+)(/evidence|/accept)?")
_LARGEST, _LONGEST = 4_000_000, 500
_TYPES = ("application/pdf", "image/jpeg", "image/png")
_PARTS = (
    *("proof_of_delivery_or_service", "invoice_or_receipt", "invoice_showing_distinct_transactions"),
    *("customer_communication", "refund_or_cancellation_policy", "recurring_transaction_agreement"),
    *("additional_evidence", "proof_of_delivery_or_service_date"),
)


def _invalid(*codes: str, status: int = 422) -> ApiReply:
    return reply_json(
        status, {"request_id": "0HL80RJLS76I7", "error_type": "request_invalid", "error_codes": list(codes)}
    )


class CheckoutDesk:
    NAME = "checkout"

    def __init__(self, key: str = "sk_a-key-of-ours") -> None:
        self.key = key
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}
        self.files: dict[str, str] = {}

    def open(self, contest: Contest) -> None:
        self.cases[contest.answer_id] = Case(contest, "evidence_required")

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != f"Bearer {self.key}":
            return ApiReply(401)
        if (call.method, call.path) == ("POST", "/files"):
            return self._file(call)
        found = _DISPUTE.fullmatch(call.path)
        case = self.cases.get(found[1]) if found else None
        if found is None or case is None:
            return ApiReply(404)
        match call.method, found[2]:
            case "GET", None:
                return reply_json(200, {"id": found[1], "status": self._status(case, call)})
            case "PUT", "/evidence":
                return self._draft(case, call)
            case "POST", "/evidence":
                return self._submit(case, call)
            case "POST", "/accept":
                if self._status(case, call) != "evidence_required":
                    return _invalid("dispute_status_invalid")
                case.status = "accepted"
                self.taken.append(case.answered(Act.ACCEPT, call, {}))
                return ApiReply(204)
        return ApiReply(405)

    def _status(self, case: Case, call: ApiCall) -> str:
        if case.status == "evidence_required" and case.late(call):
            case.status = "expired"
        return case.status

    def _file(self, call: ApiCall) -> ApiReply:
        fields = {one.name: one for one in form(call)}
        sent = fields.get("file")
        if sent is None or not sent.filename or "purpose" not in fields:
            return _invalid("file_required")
        if fields["purpose"].data != b"dispute_evidence":
            return _invalid("purpose_invalid")
        if sent.media_type not in _TYPES:
            return _invalid("file_type_not_supported")
        if not sent.data or len(sent.data) > _LARGEST:
            return _invalid("file_size_invalid")
        own = f"file_{len(self.files):026d}"
        self.files[own] = sent.filename
        return reply_json(200, {"id": own, "_links": {}})

    def _draft(self, case: Case, call: ApiCall) -> ApiReply:
        told = object_in(call)
        if told is None:
            return _invalid("body_invalid")
        if self._status(case, call) != "evidence_required":
            return _invalid("dispute_status_invalid")
        for name, value in told.items():
            part, _, kind = name.rpartition("_")
            if name == "compelling_evidence":
                if problem := _compelling(value):
                    return _invalid(problem)
            elif part not in _PARTS or kind not in ("file", "text"):
                return _invalid(f"{name}_unknown")
            elif kind == "file" and value not in self.files:
                return _invalid(f"{name}_invalid")
            elif kind == "text" and not 0 < len(value) <= _LONGEST:
                return _invalid(f"{name}_length_invalid")
        case.draft = told
        return ApiReply(204)

    def _submit(self, case: Case, call: ApiCall) -> ApiReply:
        if self._status(case, call) != "evidence_required":
            return _invalid("dispute_status_invalid")
        if not case.draft:
            return _invalid("evidence_required")
        case.status = "evidence_under_review"
        told = {name: str(value) for name, value in case.draft.items()}
        self.taken.append(case.answered(Act.SUBMIT, call, told))
        return ApiReply(204)


def _compelling(told: object) -> str | None:
    if not isinstance(told, dict):
        return "compelling_evidence_invalid"
    if told.get("merchandise_or_service") not in ("Merchandise", "Services"):
        return "merchandise_or_service_invalid"
    if not told.get("merchandise_or_service_desc") or not told.get("merchandise_or_service_provided_date"):
        return "merchandise_or_service_desc_required"
    if len(told.get("historical_transactions", ())) < 2:
        return "historical_transactions_invalid"
    if not 15 <= len(told.get("device_id", "d" * 15)) <= 64 or len(told.get("user_id", "")) > 50:
        return "device_id_invalid"
    return None


DESK = CheckoutDesk
KEY = "sk_a-key-of-ours"
EXAMPLE = a_contest("dsp_9rjdlsd4epepfjyyf9vl", reason_code="10.4")
TELLS = Tells.REFUSAL
