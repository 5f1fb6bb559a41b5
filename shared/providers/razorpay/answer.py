"""Razorpay: disputes answered by its Disputes and Documents APIs.

| fact | value |
|---|---|
| order | files (POST /v1/documents), a draft (PATCH /v1/disputes/{id}/contest, `action` draft, which checks everything and may be repeated), then the same with `action` submit, which cannot be taken back |
| accepting | POST /v1/disputes/{id}/accept: the dispute is `lost` at once |
| read back | GET /v1/disputes/{id}: `status`. What an acceptance leaves and a lost case look the same: to whoever accepted, `lost` is the answer |
| key | `<key id>:<key secret>`, Basic; the key says whether it is for test or for live data |
| repeats | no idempotency key is documented: read back |
| required | one document at least |
| files | JPEG, PNG or PDF, 50 MB each |
| texts | `summary`, 1,000 characters for all of it |
| less than all | `amount`, at most the dispute's |
| refusals | 400 and a `description`; that a dispute is under review, or lost, is said in it alone |

Sources: Razorpay docs "Contest a Dispute" (with its list of errors), "Accept a Dispute", "Fetch a Dispute", "Create a
Document", "Disputes: dashboard actions"; its Python SDK. The largest file is told by integrators who quote the docs.
"""

import re
from collections.abc import Iterator
from typing import Any

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.evidence import Item, Packet
from shared.providers.kit.filing import (
    basic,
    best_field,
    contested_problems,
    fee_problems,
    file_part,
    first_open,
    fitted,
    harmless,
    json_body,
    packet_of,
    proved_id,
    read_back,
    step_of,
    taken,
)
from shared.providers.kit.reading import parse, unreadable
from shared.providers.kit.submitting import JPEG, PDF, PNG, Limits, Part, multipart, refused, words_of, wrong_files
from shared.providers.razorpay.webhook import NAME as NAME

API_HOSTS = frozenset({"api.razorpay.com"})
FILES = Limits({JPEG: 50_000_000, PNG: 50_000_000, PDF: 50_000_000})
LONGEST_SUMMARY = 1000

_DISPUTE = re.compile(r"disp_[A-Za-z0-9]{14}", flags=re.ASCII)
_DOCUMENT = re.compile(r"doc_[A-Za-z0-9]{14}", flags=re.ASCII)

# Whose documents go into which list. `cancellation_proof` is of a service that was canceled, which is not ours to prove.
FIELDS: dict[str, tuple[Item, ...]] = {
    "access_activity_log": (Item.USAGE, Item.LOGIN, Item.DEVICE, Item.PURCHASE_IP),
    "billing_proof": (Item.PAYMENT, Item.DESCRIPTOR, Item.DUPLICATE),
    "proof_of_service": (Item.PRODUCT, Item.PLAN, Item.SERVICE_DATE),
    "customer_communication": (Item.MESSAGES,),
    "term_and_conditions": (Item.POLICY,),
    "refund_cancellation_policy": (Item.CANCELLATION,),
    "refund_confirmation": (Item.REFUNDS,),
    "explanation_letter": (Item.AUTHENTICATION, Item.BILLING_COUNTRY, Item.PRIOR_PAYMENTS),
}
_ANYTHING = "explanation_letter"

STANDINGS = {
    "open": Standing.WAITS,
    "under_review": Standing.ANSWERED,
    "won": Standing.OVER,
    "lost": Standing.OVER,
    "closed": Standing.OVER,
}
# What a description says of a dispute that was answered so already.
_GIVEN = {Act.SUBMIT: "in under_review status", Act.ACCEPT: "in lost status"}


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    yield from fee_problems(contest)
    if contest.act is Act.ACCEPT:
        return
    packet = contest.packet
    if packet is None:
        yield "there is no evidence to submit"
        return
    if not packet.documents:
        yield "there is no document: Razorpay takes no contest without one"
    yield from wrong_files(packet.documents, FILES)
    length = len(fitted(packet, tuple(Item), LONGEST_SUMMARY))
    if length > LONGEST_SUMMARY:
        yield f"summary has {length} characters: at most {LONGEST_SUMMARY} are taken"
    yield from contested_problems(contest)


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", _dispute(contest), api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    dispute = read_back(contest, answer)
    if dispute is None:
        return Standing.UNKNOWN
    status = dispute.word("status").lower()
    if status == "lost" and contest.act is Act.ACCEPT:
        return Standing.ANSWERED
    return STANDINGS.get(status, Standing.UNKNOWN)


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    dispute = _dispute(contest)
    if contest.act is Act.ACCEPT:
        yield Step(name="accept", request=_request("POST", f"{dispute}/accept", api), final=True)
        return
    packet = packet_of(contest)
    for document in packet.documents:
        form = multipart((Part("purpose", b"dispute_evidence"), file_part("file", document)))
        yield Step(name=step_of(document), request=_request("POST", "/v1/documents", api, *form))
    evidence = _evidence(contest, packet, done)
    for name, action in ((f"draft-{packet.digest[:16]}", "draft"), ("submit", "submit")):
        body = json_body({**evidence, "action": action})
        request = _request("PATCH", f"{dispute}/contest", api, "application/json", body)
        yield Step(name=name, request=request, final=action == "submit")


def _dispute(contest: Contest) -> str:
    return f"/v1/disputes/{harmless(_DISPUTE, contest.answer_id, 'answer_id', 'Razorpay')}"


def _request(method: str, path: str, api: ApiCredentials, content_type: str = "", body: bytes = b"") -> ApiRequest:
    headers = {"Authorization": basic(api.key), "Accept": "application/json"}
    if content_type:
        headers["Content-Type"] = content_type
    return ApiRequest(method, f"{api.base_url or 'https://api.razorpay.com'}{path}", headers, body)


def _evidence(contest: Contest, packet: Packet, done: Remembered) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    if contest.contested is not None:
        evidence["amount"] = contest.contested.minor
    if summary := fitted(packet, tuple(Item), LONGEST_SUMMARY):
        evidence["summary"] = summary
    for document in packet.documents:
        evidence.setdefault(best_field(FIELDS, document, _ANYTHING), []).append(done[step_of(document)])
    return evidence


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        return _refused(contest, answer)
    body = parse(answer.body)
    if step.name.startswith("file-"):
        return Done(value=proved_id(body, _DOCUMENT, "Razorpay", "id"))
    if body.raw("id") != contest.answer_id:
        raise unreadable("id", "another dispute than was answered", "another_object")
    return Done(value=contest.answer_id if step.final else "")


def _refused(contest: Contest, answer: ApiAnswer) -> Refused:
    body = words_of(answer)
    told = body.raw("error", "description")
    stands = type(told) is str and _GIVEN[contest.act] in told
    return refused(body.raw("error", "code") or answer.status, told, stands=stands)
