"""Stripe's disputes: staged and submitted evidence, files, closing, idempotency keys, by Stripe's documented rules."""

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from shared.domain.evidence import CompellingEvidence, Purchase
from shared.domain.money import Money
from tests.simulator.answering import NOON, a_contest, a_packet, multipart_parts
from tests.simulator.desks import ApiCall, Refund, Taken
from tests.simulator.providers.shaping import ApiReply, unix

KEY = "sk_test_desk"
_FIELD = re.compile(r"[^\[\]]+")
_TEXTS = frozenset(
    [
        "access_activity_log",
        "billing_address",
        "cancellation_policy_disclosure",
        "cancellation_rebuttal",
        "customer_email_address",
        "customer_name",
        "customer_purchase_ip",
        "duplicate_charge_explanation",
        "duplicate_charge_id",
        "product_description",
        "refund_policy_disclosure",
        "refund_refusal_explanation",
        "service_date",
        "shipping_address",
        "shipping_carrier",
        "shipping_date",
        "shipping_tracking_number",
        "uncategorized_text",
    ]
)
_FILES = frozenset(
    [
        "cancellation_policy",
        "customer_communication",
        "customer_signature",
        "duplicate_charge_documentation",
        "receipt",
        "refund_policy",
        "service_documentation",
        "shipping_documentation",
        "uncategorized_file",
    ]
)
_TAKES_FILES = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_COMPLIANCE = ("visa_compliance", "mastercard_compliance")


def _purchase(number: int, **changes: Any) -> Purchase:
    purchase = Purchase(
        provider="stripe",
        payment_id=f"pi_{number:04d}Prior",
        at=NOON - timedelta(days=50 + 150 * number),
        amount=Money(1999, "EUR"),
        network="visa",
        ip="203.0.113.7",
        device_id="device-0123456789abcdef",
        login="4711",
        product="A monthly subscription to a film service.",
    )
    return replace(purchase, **changes)


COMPELLING = CompellingEvidence(
    rule="visa_ce3",
    disputed=_purchase(0),
    priors=(_purchase(1), _purchase(2, payment_id="ch_0002Prior", at=NOON - timedelta(days=340))),
    matched=("ip", "device", "login"),
)
EXAMPLE = a_contest("du_1PdeskOfStripe", reason_code="10.4", packet=a_packet(compelling=COMPELLING))


@dataclass
class _Case:
    contest: Contest
    staged: dict[str, str] = field(default_factory=dict)
    submissions: int = 0
    closed: bool = False

    @property
    def status(self) -> str:
        stage = self.contest.stage
        if self.closed:
            return "lost"
        word = "under_review" if self.submissions else "needs_response"
        prefix = (
            {DisputeStage.INQUIRY: "warning_", DisputeStage.PRE_ARBITRATION: "appeal_"}.get(stage, "") if stage else ""
        )
        return prefix + word


class StripeDesk:
    NAME = "stripe"

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self._cases: dict[str, _Case] = {}
        self._files: set[str] = set()
        self._remembered: dict[str, tuple[bytes, ApiReply]] = {}
        self.refunds: list[Refund] = []
        self.paid: dict[str, int] = {}
        self.disputed: set[str] = set()

    def open(self, contest: Contest) -> None:
        self._cases[contest.answer_id] = _Case(contest)

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return _error(401, "Invalid API Key provided.")
        key = call.headers.get("idempotency-key") if call.method == "POST" else None
        if not key:
            return self._answer(call)
        what = hashlib.sha256(f"{call.path} {_comparable(call)}".encode()).digest()
        if key in self._remembered:
            before, reply = self._remembered[key]
            if before != what:
                return _error(400, "Keys for idempotent requests can only be used once.", kind="idempotency_error")
            return replace(reply, headers={"Idempotent-Replayed": "true"})
        reply = self._answer(call)
        self._remembered[key] = what, reply
        return reply

    def _answer(self, call: ApiCall) -> ApiReply:
        path, _, query = call.path.removeprefix("/v1/").partition("?")
        match [call.method, *path.split("/")]:
            case ["GET", "payment_intents" | "charges", paid] if "refunds" in query and paid in self.paid:
                return self._shown_paid(paid)
            case ["POST", "refunds"]:
                return self._refund(call)
            case ["POST", "files"]:
                return self._upload(call)
            case ["GET", "payment_intents", intent]:
                return _json({"id": intent, "object": "payment_intent", "latest_charge": f"ch_{intent[3:]}"})
            case ["GET", "disputes", own] if own in self._cases:
                return self._shown(self._cases[own], call)
            case ["POST", "disputes", own] if own in self._cases:
                return self._update(self._cases[own], call)
            case ["POST", "disputes", own, "close"] if own in self._cases:
                return self._close(self._cases[own], call)
        return _error(404, "No such object.", code="resource_missing")

    def _left(self, paid: str) -> int:
        return self.paid[paid] - sum(one.minor for one in self.refunds if one.payment_id == paid)

    def _shown_paid(self, paid: str) -> ApiReply:
        charge = {
            "id": paid.replace("pi_", "ch_"),
            "object": "charge",
            "disputed": paid in self.disputed,
            "refunded": self._left(paid) == 0,
            "refunds": {"data": [{"metadata": one.metadata} for one in self.refunds if one.payment_id == paid]},
        }
        if paid.startswith("pi_"):
            return _json({"id": paid, "object": "payment_intent", "latest_charge": charge})
        return _json(charge)

    def _refund(self, call: ApiCall) -> ApiReply:
        fields = dict(parse_qsl(call.body.decode()))
        paid = fields.get("payment_intent") or fields.get("charge") or ""
        if paid not in self.paid:
            return _error(404, "No such charge.", code="resource_missing")
        if paid in self.disputed:
            return _error(400, "The charge has been charged back.", code="charge_disputed")
        left = self._left(paid)
        if not left:
            return _error(400, "The charge has already been refunded.", code="charge_already_refunded")
        minor = int(fields.get("amount", left))
        if minor > left:
            return _error(400, "The refund is greater than what is left.", code="amount_too_large")
        metadata = {_FIELD.findall(name)[1]: value for name, value in fields.items() if name.startswith("metadata[")}
        self.refunds.append(Refund(paid, minor, call.at, metadata, fields.get("reason")))
        own = f"re_{len(self.refunds)}"
        return _json({"id": own, "object": "refund", "amount": minor, "status": "succeeded", "metadata": metadata})

    def _upload(self, call: ApiCall) -> ApiReply:
        parts = {part[0]: part for part in multipart_parts(call.headers["content-type"], call.body)}
        if parts.get("purpose", ("", "", "", b""))[3] != b"dispute_evidence":
            return _error(400, "Invalid purpose.", code="parameter_invalid_string")
        data = parts["file"][3] if "file" in parts else b""
        if not data.startswith(_TAKES_FILES):
            return _error(400, "Files of this type are not accepted for this purpose.")
        if len(data) > 5 * 1024 * 1024:
            return _error(400, "File is too large.")
        own = f"file_{hashlib.sha256(data + str(len(self._files)).encode()).hexdigest()[:16]}"
        self._files.add(own)
        return _json({"id": own, "object": "file", "purpose": "dispute_evidence", "size": len(data)})

    def _wrong(self, case: _Case, call: ApiCall) -> ApiReply | None:
        if case.closed or case.submissions:
            return _error(400, "This dispute has already been responded to, and its evidence can no longer be changed.")
        due = case.contest.respond_by
        if due is None or call.at >= due:
            return _error(400, "This dispute is past due: evidence is no longer accepted after its due date.")
        return None

    def _update(self, case: _Case, call: ApiCall) -> ApiReply:
        wrong = self._wrong(case, call)
        if wrong:
            return wrong
        fields = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        submits = fields.pop("submit", "true")
        refusal = next((found for found in (self._refuses(*one) for one in fields.items()) if found), None)
        if refusal:
            return refusal
        evidence = {**case.staged, **fields}
        if (
            sum(len(value) for name, value in evidence.items() if _FIELD.findall(name)[1:2] != ["enhanced_evidence"])
            > 150_000
        ):
            return _error(400, "The combined character count of all fields is limited to 150,000.")
        case.staged = evidence
        if submits == "false":
            return self._shown(case, call)
        if case.contest.fee and not any(
            evidence.get(f"evidence[enhanced_evidence][{one}][fee_acknowledged]") == "true" for one in _COMPLIANCE
        ):
            return _error(400, "The fee of a compliance dispute has to be acknowledged.")
        if not evidence:
            return _error(400, "There is no evidence to submit.")
        case.submissions += 1
        self.taken.append(Taken(case.contest.dispute_id, Act.SUBMIT, call.at, evidence))
        return self._shown(case, call)

    def _refuses(self, name: str, value: str) -> ApiReply | None:
        keys = _FIELD.findall(name)
        match keys:
            case ["metadata", _]:
                return None
            case ["evidence", one] if one in _TEXTS:
                too_long = len(value) > 20_000
                return (
                    _error(400, f"{one} is too long.", code="parameter_invalid_string_too_long") if too_long else None
                )
            case ["evidence", one] if one in _FILES:
                return None if value in self._files else _error(400, "No such file upload.", code="resource_missing")
            case ["evidence", "appeal", "card", "reason_for_filing"]:
                return None
            case ["evidence", "appeal", "card", "supporting_files", _]:
                return None if value in self._files else _error(400, "No such file upload.", code="resource_missing")
            case ["evidence", "enhanced_evidence", one, "fee_acknowledged"] if one in _COMPLIANCE:
                return None
            case ["evidence", "enhanced_evidence", "visa_compelling_evidence_3", *rest]:
                return _refuses_compelling(rest, value)
        return _error(400, f"Received unknown parameter: {keys[-1]}", code="parameter_unknown")

    def _close(self, case: _Case, call: ApiCall) -> ApiReply:
        wrong = self._wrong(case, call)
        if wrong:
            return wrong
        case.closed = True
        self.taken.append(Taken(case.contest.dispute_id, Act.ACCEPT, call.at, {}))
        return self._shown(case, call)

    def _shown(self, case: _Case, call: ApiCall) -> ApiReply:
        contest = case.contest
        due = contest.respond_by
        return _json(
            {
                "id": contest.answer_id,
                "object": "dispute",
                "status": case.status,
                "livemode": contest.livemode,
                "payment_method_details": {
                    "card": {"case_type": "inquiry" if contest.stage is DisputeStage.INQUIRY else "chargeback"}
                },
                "evidence_details": {
                    "due_by": unix(due) if due else None,
                    "has_evidence": bool(case.staged),
                    "past_due": bool(due and call.at >= due and not case.submissions and not case.closed),
                    "submission_count": case.submissions,
                },
            }
        )


def _refuses_compelling(keys: list[str], value: str) -> ApiReply | None:
    match keys:
        case ["disputed_transaction", "merchandise_or_services"] if value in ("merchandise", "services"):
            return None
        case ["prior_undisputed_transactions", "0" | "1", "charge"] if value.startswith(("ch_", "py_")):
            return None
        case ["disputed_transaction", one] | ["prior_undisputed_transactions", "0" | "1", one]:
            least = {"customer_device_id": 15, "customer_device_fingerprint": 20}.get(one, 1)
            known = one in ("customer_account_id", "customer_purchase_ip", "product_description") or least > 1
            return None if known and len(value) >= least else _error(400, f"{one} is not what it should be.")
    return _error(400, "Received unknown parameter in visa_compelling_evidence_3", code="parameter_unknown")


def _comparable(call: ApiCall) -> str:
    return hashlib.sha256(call.body).hexdigest()


def _json(value: object, status: int = 200) -> ApiReply:
    return ApiReply(status, json.dumps(value).encode())


def _error(status: int, message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> ApiReply:
    error = {"type": kind, "message": message} | ({"code": code} if code else {})
    return _json({"error": error}, status)


DESK = StripeDesk
