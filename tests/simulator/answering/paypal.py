"""PayPal's disputes: only what is linked is allowed, evidence comes in several parts, a missed deadline is the customer's."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.answers import Act, Contest
from shared.domain.events import DisputeStage
from tests.simulator.answering import NOON, a_contest, multipart_parts
from tests.simulator.answering.forms import object_in
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply, zulu

KEY = "client-of-the-desk:its-secret"
_TOKEN = "A21AA-token-of-the-desk"
EXAMPLE = a_contest("PP-D-27803", network=None)
_BEGINS = (b"%PDF-", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8")
# Of these PayPal wants a parcel's number or a refund's id.
_WANT_MORE = ("PROOF_OF_FULFILLMENT", "PROOF_OF_REFUND", "PROOF_OF_RETURN")


@dataclass
class _Case:
    contest: Contest
    status: str = "WAITING_FOR_SELLER_RESPONSE"
    outcome: str | None = None
    changed: datetime = NOON
    evidence: list[dict[str, object]] = field(default_factory=list)
    messages: list[dict[str, object]] = field(default_factory=list)
    offers: list[dict[str, object]] = field(default_factory=list)
    appeals: bool = False
    without: tuple[str, ...] = ()

    def links(self) -> tuple[str, ...]:
        if self.appeals and self.status == "RESOLVED":
            return ("appeal",)
        inquiry = self.contest.stage is DisputeStage.INQUIRY
        if inquiry and self.status == "WAITING_FOR_BUYER_RESPONSE":
            return ("send_message", "make_offer")  # both may go on writing
        if self.status != "WAITING_FOR_SELLER_RESPONSE":
            return ()
        if inquiry:
            return tuple(rel for rel in ("accept_claim", "send_message", "make_offer") if rel not in self.without)
        return ("accept_claim", "provide_evidence")


class PayPalDesk:
    NAME = "paypal"

    def __init__(self, *, asks_for: tuple[str, ...] = ("PROOF_OF_FULFILLMENT",)) -> None:
        self.taken: list[Taken] = []
        self.accept_types: tuple[str, ...] = ("REFUND", "PARTIAL_REFUND")
        self.offer_types: tuple[str, ...] = ("REFUND",)
        self.without: tuple[str, ...] = ()
        self._asks_for = asks_for
        self._cases: dict[str, _Case] = {}

    def open(self, contest: Contest) -> None:
        self._cases[contest.answer_id] = _Case(contest, without=self.without)

    def write_back(self, answer_id: str, text: str) -> None:
        """The customer answers a message."""
        case = self._cases[answer_id]
        case.messages.append({"posted_by": "BUYER", "content": text})
        case.status = "WAITING_FOR_SELLER_RESPONSE"

    def open_to_appeal(self, contest: Contest) -> None:
        """It was decided for the customer, and may be appealed."""
        self._cases[contest.answer_id] = _Case(contest, "RESOLVED", "RESOLVED_BUYER_FAVOUR", appeals=True)

    def reply(self, call: ApiCall) -> ApiReply:
        if call.path == "/v1/oauth2/token":
            expected = "Basic " + base64.b64encode(KEY.encode()).decode()
            if call.headers.get("authorization") != expected or call.body != b"grant_type=client_credentials":
                return _json({"error": "invalid_client", "error_description": "Client Authentication failed"}, 401)
            return _json({"access_token": _TOKEN, "token_type": "Bearer", "expires_in": 32400})
        if call.headers.get("authorization") != f"Bearer {_TOKEN}":
            return _error(401, "AUTHENTICATION_FAILURE", "Authentication failed due to invalid credentials.")
        own, _, action = call.path.removeprefix("/v1/customer/disputes/").partition("/")
        case = self._cases.get(own)
        if case is None:
            return _error(404, "RESOURCE_NOT_FOUND", "The specified resource does not exist.")
        due = case.contest.respond_by
        if case.status == "WAITING_FOR_SELLER_RESPONSE" and (due is None or call.at >= due):
            case.status, case.outcome, case.changed = "RESOLVED", "RESOLVED_BUYER_FAVOUR", call.at
        if not action:
            return self._shown(case)
        if call.method != "POST" or action.replace("-", "_") not in case.links():
            return _error(
                422, "UNPROCESSABLE_ENTITY", "The requested action could not be performed.", "ACTION_NOT_ALLOWED"
            )
        does = {"accept-claim": self._accept, "make-offer": self._offer, "send-message": self._message}
        return does.get(action, self._provide)(case, call)

    def _accept(self, case: _Case, call: ApiCall) -> ApiReply:
        try:
            asked = json.loads(call.body)
        except ValueError:
            return _error(400, "INVALID_REQUEST", "Request is not well-formed.")
        if asked.get("accept_claim_type") not in self.accept_types or not asked.get("note"):
            return _error(422, "UNPROCESSABLE_ENTITY", "Failed business validation.", "INVALID_ACCEPT_CLAIM_TYPE")
        case.status, case.outcome, case.changed = "RESOLVED", "RESOLVED_BUYER_FAVOUR", call.at
        self.taken.append(Taken(case.contest.dispute_id, Act.ACCEPT, call.at, {"type": asked["accept_claim_type"]}))
        return self._linked(case)

    def _offer(self, case: _Case, call: ApiCall) -> ApiReply:
        """Of all that is disputed: PayPal closes the dispute with it. A part of it waits for the customer."""
        told = object_in(call) or {}
        amount, whole = told.get("offer_amount", {}), case.contest.amount
        if told.get("offer_type") not in self.offer_types or not 1 <= len(told.get("note", "")) <= 2000:
            return _error(422, "UNPROCESSABLE_ENTITY", "Failed business validation.", "INVALID_OFFER_TYPE")
        if whole is None or (amount.get("currency_code"), amount.get("value")) != (whole.currency, str(whole.major())):
            return _error(422, "UNPROCESSABLE_ENTITY", "Failed business validation.", "INVALID_OFFER_AMOUNT")
        case.offers.append({"actor": "SELLER", "event_type": "PROPOSED", "notes": told["note"]})
        case.status, case.outcome, case.changed = "RESOLVED", "RESOLVED_BUYER_FAVOUR", call.at
        self.taken.append(Taken(case.contest.dispute_id, Act.ACCEPT, call.at, {"type": told["offer_type"]}))
        return self._linked(case)

    def _message(self, case: _Case, call: ApiCall) -> ApiReply:
        text, names = "", []
        for name, file_name, media_type, data in multipart_parts(call.headers["content-type"], call.body):
            if name == "input" and media_type == "application/json":
                text = json.loads(data).get("message", "")
            elif name == "message_document" and data.startswith(_BEGINS):
                names.append(file_name)
            else:
                return _error(400, "VALIDATION_ERROR", "The file is not valid.", "INVALID_EVIDENCE_FILE")
        if not 1 <= len(text.strip()) <= 2000:
            return _error(400, "VALIDATION_ERROR", "The message is not valid.", "INVALID_STRING_LENGTH")
        case.messages.append({"posted_by": "SELLER", "content": text, "time_posted": zulu(call.at)})
        case.status, case.changed = "WAITING_FOR_BUYER_RESPONSE", call.at
        told = {"message": text, "files": " ".join(names)}
        self.taken.append(Taken(case.contest.dispute_id, Act.SUBMIT, call.at, told))
        return self._linked(case)

    def _provide(self, case: _Case, call: ApiCall) -> ApiReply:
        files: dict[str, bytes] = {}
        evidences: list[dict[str, object]] = []
        for name, file_name, media_type, data in multipart_parts(call.headers["content-type"], call.body):
            if name == "input" and media_type == "application/json":
                evidences = json.loads(data)["evidences"]
            elif file_name:
                files[file_name] = data
        if any(not data.startswith(_BEGINS) or len(data) >= 10_000_000 for data in files.values()):
            return _error(400, "VALIDATION_ERROR", "The evidence file is not valid.", "INVALID_EVIDENCE_FILE")
        if sum(map(len, files.values())) > 50_000_000:
            return _error(400, "VALIDATION_ERROR", "The evidence file is not valid.", "INVALID_EVIDENCE_FILE")
        if not evidences:
            return _error(400, "VALIDATION_ERROR", "Evidence is missing.", "MISSING_REQUIRED_PARAMETER")
        named: list[str] = []
        for evidence in evidences:
            kind, notes, documents = (
                evidence.get("evidence_type"),
                evidence.get("notes", ""),
                evidence.get("documents", []),
            )
            assert isinstance(notes, str)
            assert isinstance(documents, list)
            named += [one["name"] for one in documents]
            if kind in _WANT_MORE and "evidence_info" not in evidence:
                return _error(400, "VALIDATION_ERROR", "evidence_info is missing.", "MISSING_REQUIRED_PARAMETER")
            if not kind or len(notes) > 2000 or not (notes or documents):
                return _error(400, "VALIDATION_ERROR", "Evidence is not valid.", "INVALID_PARAMETER_VALUE")
        if sorted(named) != sorted(files):
            return _error(400, "VALIDATION_ERROR", "Documents and files differ.", "INVALID_EVIDENCE_FILE")
        case.evidence = [{**one, "source": "SUBMITTED_BY_SELLER", "date": zulu(call.at)} for one in evidences]
        case.status, case.outcome, case.changed = "UNDER_REVIEW", None, call.at
        told = {str(one["evidence_type"]): str(one.get("notes", "")) for one in evidences}
        self.taken.append(Taken(case.contest.dispute_id, Act.SUBMIT, call.at, told))
        return self._linked(case)

    def _linked(self, case: _Case) -> ApiReply:
        return _json({"links": [_link(case.contest.answer_id, "self")]})

    def _shown(self, case: _Case) -> ApiReply:
        own, due = case.contest.answer_id, case.contest.respond_by
        asked = [{"evidence_type": one, "source": "REQUESTED_FROM_SELLER"} for one in self._asks_for]
        shown = {
            "dispute_id": own,
            "status": case.status,
            "dispute_life_cycle_stage": (case.contest.stage or DisputeStage.CHARGEBACK).value.upper(),
            "update_time": zulu(case.changed),
            "evidences": [*asked, *case.evidence],
            "links": [_link(own, rel) for rel in ("self", *case.links())],
            "allowed_response_options": {
                "accept_claim": {"accept_claim_types": list(self.accept_types)},
                "make_offer": {"offer_types": list(self.offer_types)},
            },
        }
        if case.messages:
            shown["messages"] = case.messages
        if case.offers:
            shown["offer"] = {"history": case.offers}
        if due:
            shown["seller_response_due_date"] = zulu(due)
        if case.outcome:
            shown["dispute_outcome"] = {"outcome_code": case.outcome}
        return _json(shown)


def _link(own: str, rel: str) -> dict[str, str]:
    action = "" if rel == "self" else f"/{rel.replace('_', '-')}"
    return {"rel": rel, "href": f"https://api-m.paypal.com/v1/customer/disputes/{own}{action}"}


def _json(value: object, status: int = 200) -> ApiReply:
    return ApiReply(status, json.dumps(value).encode())


def _error(status: int, name: str, message: str, issue: str | None = None) -> ApiReply:
    details = [{"issue": issue, "description": message}] if issue else []
    return _json({"name": name, "message": message, "debug_id": "1c2d3e", "details": details}, status)


DESK = PayPalDesk
