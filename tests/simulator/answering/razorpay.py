"""Razorpay's Disputes and Documents APIs, with the errors that its docs list."""

import base64
import re

from shared.domain.answers import Act, Contest
from tests.simulator.answering import a_contest
from tests.simulator.answering.forms import Case, form, object_in, reply_json
from tests.simulator.desks import ApiCall, Taken
from tests.simulator.providers.shaping import ApiReply, name, unix

_DISPUTE = re.compile(r"/v1/disputes/([^/]+)(/contest|/accept)?")
_LISTS = (
    *("shipping_proof", "billing_proof", "cancellation_proof", "customer_communication", "proof_of_service"),
    *("explanation_letter", "refund_confirmation", "access_activity_log", "refund_cancellation_policy"),
    "term_and_conditions",
)
_TYPES = ("image/jpg", "image/jpeg", "image/png", "application/pdf")


def _error(description: str, status: int = 400) -> ApiReply:
    told = {"code": "BAD_REQUEST_ERROR", "description": description, "source": "business", "step": "NA", "metadata": {}}
    return reply_json(status, {"error": told})


class RazorpayDesk:
    NAME = "razorpay"

    def __init__(self, key: str = "rzp_test_ours:a-secret-of-ours") -> None:
        self.key = key
        self.taken: list[Taken] = []
        self.cases: dict[str, Case] = {}
        self.documents: dict[str, str] = {}

    def open(self, contest: Contest) -> None:
        self.cases[contest.answer_id] = Case(contest, "open")

    def reply(self, call: ApiCall) -> ApiReply:
        if call.headers.get("authorization") != "Basic " + base64.b64encode(self.key.encode()).decode():
            return _error("The api key provided is invalid", 401)
        if (call.method, call.path) == ("POST", "/v1/documents"):
            return self._document(call)
        found = _DISPUTE.fullmatch(call.path)
        if found is None:
            return _error("The requested URL was not found on the server.")
        case = self.cases.get(found[1])
        if case is None:
            return _error("The id provided does not exist")
        match call.method, found[2]:
            case "GET", None:
                return self._entity(case)
            case "PATCH", "/contest":
                return self._contest(case, call)
            case "POST", "/accept":
                return self._accept(case, call)
        return _error("The requested URL was not found on the server.")

    def _closed(self, case: Case, call: ApiCall) -> ApiReply | None:
        if case.status != "open":
            return _error(f"Action not allowed when dispute is in {case.status} status.")
        return _error("Action not allowed as deadline to respond has elapsed.") if case.late(call) else None

    def _entity(self, case: Case) -> ApiReply:
        contest = case.contest
        whole = contest.amount.minor if contest.amount else 0
        return reply_json(
            200,
            {
                "id": contest.answer_id,
                "entity": "dispute",
                "amount": whole,
                "currency": contest.amount.currency if contest.amount else "INR",
                "amount_deducted": whole if case.status == "lost" else 0,
                "respond_by": unix(contest.respond_by) if contest.respond_by else None,
                "status": case.status,
                "evidence": {"amount": whole, "summary": None, **case.draft},
            },
        )

    def _document(self, call: ApiCall) -> ApiReply:
        fields = {one.name: one for one in form(call)}
        sent, purpose = fields.get("file"), fields.get("purpose")
        if sent is None or not sent.filename or not sent.data:
            return _error("The file field is required.")
        if purpose is None or purpose.data != b"dispute_evidence":
            return _error("The selected purpose is invalid.")
        if sent.media_type not in _TYPES or len(sent.data) > 50_000_000:
            return _error("The file must be a file of type: jpg, jpeg, png, pdf.")
        own = f"doc_{name('document', str(len(self.documents)), 14)}"
        self.documents[own] = sent.filename
        told = {"id": own, "entity": "document", "purpose": "dispute_evidence", "mime_type": sent.media_type}
        return reply_json(200, told)

    def _contest(self, case: Case, call: ApiCall) -> ApiReply:
        if closed := self._closed(case, call):
            return closed
        told = object_in(call) or {}
        action = told.pop("action", "draft")
        if action not in ("draft", "submit"):
            return _error("The selected action is invalid.")
        if odd := set(told) - {*_LISTS, "amount", "summary", "others"}:
            return _error(f"{min(odd)} is/are not required and should not be sent.")
        if case.contest.amount and told.get("amount", 0) > case.contest.amount.minor:
            return _error("contest amount cannot be greater than dispute amount.")
        if len(told.get("summary", "")) > 1000:
            return _error("The summary may not be greater than 1000 characters.")
        if any(document not in self.documents for kind in _LISTS for document in told.get(kind, ())):
            return _error("Invalid file id provided or merchant is unauthorized to access the fileId(s) provided")
        case.draft |= told
        if action == "submit":
            if not any(case.draft.get(kind) for kind in _LISTS):
                return _error("Atleast one evidence document is required to contest")
            case.status = "under_review"
            case.draft["submitted_at"] = unix(call.at)
            values = {kind: str(value) for kind, value in case.draft.items()}
            self.taken.append(case.answered(Act.SUBMIT, call, values))
        return self._entity(case)

    def _accept(self, case: Case, call: ApiCall) -> ApiReply:
        if closed := self._closed(case, call):
            return closed
        case.status = "lost"
        self.taken.append(case.answered(Act.ACCEPT, call, {}))
        return self._entity(case)


DESK = RazorpayDesk
KEY = "rzp_test_ours:a-secret-of-ours"
EXAMPLE = a_contest("disp_AHfqOvkldwsbqt")
