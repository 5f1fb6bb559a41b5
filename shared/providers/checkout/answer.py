"""Checkout.com: disputes answered by its Disputes API.

| fact | value |
|---|---|
| order | files (POST /files), the evidence (PUT /disputes/{id}/evidence, which may be repeated and replaces what was there), then POST to the same path, which sends it to the scheme and cannot be taken back |
| accepting | POST /disputes/{id}/accept, nothing in the body |
| read back | GET /disputes/{id}: `status` |
| key | the secret key, or an access token with the scope `disputes`, as `Authorization: Bearer` |
| repeats | no idempotency key is documented for any of these: they are read back |
| files | JPEG, PNG or PDF, 4 MB each, one a field |
| texts | 500 characters a field |
| schemes | Mastercard and Maestro 14.5 MB in all and 19 pages (each further page costs EUR 1); American Express 5 files, 25 MB in all, 20 pages, no PNG; Diners and Discover 3 MB in all. Resolution is for whoever makes the files |
| arbitration | another path, other fields and another fee: not answered here |
| compelling evidence | `compelling_evidence`, of Visa's 10.4 alone: what was sold and when, an account of at most 50 characters, an address, a device of 15 to 64 characters, and at least two earlier payments by their ARN. Where one of these is not known it is left out, and PRIOR_PAYMENTS says it in words |
| refusals | `error_type`, `error_codes`. That an answer was given already is told in no code that is documented |
| hosts | api.checkout.com and api.sandbox.checkout.com; an account's own prefix of them is not needed |

Sources: Checkout.com docs "Disputes API", "File uploader", "Dispute evidence file requirements", "Mastercard dispute
documentation requirements"; its Java, PHP, Go and Python SDKs (limits of the fields, compelling evidence).
"""

import re
from collections.abc import Iterator
from typing import Any

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Document, Item, Packet
from shared.providers.checkout.webhook import NAME as NAME
from shared.providers.kit.filing import (
    fee_problems,
    file_part,
    first_open,
    fitted,
    harmless,
    json_body,
    nothing_else,
    packet_of,
    proved_id,
    read_back,
    step_of,
    taken,
)
from shared.providers.kit.reading import parse
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    PNG,
    Limits,
    Part,
    multipart,
    refused,
    said,
    words_of,
    wrong_files,
)

API_HOSTS = frozenset({"api.checkout.com", "api.sandbox.checkout.com"})
FILES = Limits({JPEG: 4_000_000, PNG: 4_000_000, PDF: 4_000_000})
LONGEST_TEXT = 500
LONGEST_DESCRIPTION = 5000
LONGEST_USER = 50
DEVICE = range(15, 65)
MEGABYTE = 1_000_000

_DISPUTE = re.compile(r"dsp_[A-Za-z0-9_]{1,60}", flags=re.ASCII)
_FILE = re.compile(r"file_[A-Za-z0-9_]{1,60}", flags=re.ASCII)

# Field to what goes into its text, and whose documents into its file.
FIELDS: dict[str, tuple[Item, ...]] = {
    "proof_of_delivery_or_service": (Item.USAGE, Item.PRODUCT),
    "invoice_or_receipt": (Item.PAYMENT, Item.DESCRIPTOR),
    "invoice_showing_distinct_transactions": (Item.DUPLICATE,),
    "customer_communication": (Item.MESSAGES,),
    "refund_or_cancellation_policy": (Item.POLICY, Item.CANCELLATION, Item.REFUNDS),
    "recurring_transaction_agreement": (Item.PLAN,),
    "proof_of_delivery_or_service_date": (Item.SERVICE_DATE,),
    "additional_evidence": (
        *(Item.AUTHENTICATION, Item.PURCHASE_IP, Item.DEVICE, Item.LOGIN),
        *(Item.BILLING_COUNTRY, Item.PRIOR_PAYMENTS),
    ),
}
# A document that shows the most of what a field is for goes there; further ones wherever there is room, this one first.
_ANYTHING = "additional_evidence"

WAITING = frozenset({"evidence_required"})
ANSWERED = frozenset(
    {"evidence_under_review", "accepted", "arb_evidence_submitted", "arbitration_under_review"},
)
OVER = frozenset({"won", "lost", "expired", "canceled", "resolved", "arbitration_won", "arbitration_lost"})


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    yield from fee_problems(contest)
    if contest.stage in (DisputeStage.PRE_ARBITRATION, DisputeStage.ARBITRATION):
        yield "an arbitration at Checkout.com is not answered here, but in its dashboard"
    if contest.act is Act.ACCEPT:
        return
    packet = contest.packet
    if packet is None:
        yield "there is no evidence to submit"
        return
    if not packet.documents and not said(packet.texts, tuple(Item)):
        yield "the evidence is empty"
    yield from wrong_files(packet.documents, FILES)
    if contest.contested not in (None, contest.amount):
        yield "Checkout.com takes no answer to a part of a dispute"
    if len(packet.documents) > len(FIELDS):
        yield f"there are {len(packet.documents)} documents: Checkout.com has a place for {len(FIELDS)}"
    for field, items in FIELDS.items():
        length = len(fitted(packet, items, LONGEST_TEXT))
        if length > LONGEST_TEXT:
            yield f"{field}_text has {length} characters: at most {LONGEST_TEXT} are taken"
    yield from _scheme_problems(contest.network or "", packet.documents)


def _scheme_problems(network: str, documents: tuple[Document, ...]) -> Iterator[str]:
    size, pages = sum(len(one.data) for one in documents), sum(one.pages for one in documents)
    longest = max((one.pages for one in documents), default=0)
    if network in ("mastercard", "maestro"):
        if size > 14_500_000:
            yield f"the files have {size} bytes: Mastercard takes 14500000"
        if pages > 19:
            yield f"the files have {pages} pages: beyond 19 Mastercard charges for each"
    elif network in ("amex", "american express"):
        if len(documents) > 5:
            yield f"there are {len(documents)} files: American Express takes 5"
        if size > 25 * MEGABYTE:
            yield f"the files have {size} bytes: American Express takes {25 * MEGABYTE}"
        if longest > 20:
            yield f"a file has {longest} pages: American Express takes 20"
        if any(one.media_type == PNG for one in documents):
            yield "American Express takes no PNG"
    elif network.startswith(("diners", "discover")) and size > 3 * MEGABYTE:
        yield f"the files have {size} bytes: Diners and Discover take {3 * MEGABYTE}"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", _dispute(contest), contest, api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    dispute = read_back(contest, answer)
    if dispute is None:
        return Standing.UNKNOWN
    status = dispute.word("status").lower()
    if status in WAITING:
        return Standing.WAITS
    if status in ANSWERED:
        return Standing.ANSWERED
    return Standing.OVER if status in OVER else Standing.UNKNOWN


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    dispute = _dispute(contest)
    if contest.act is Act.ACCEPT:
        yield Step(name="accept", request=_request("POST", f"{dispute}/accept", contest, api), final=True)
        return
    packet = packet_of(contest)
    for document in packet.documents:
        form = multipart((Part("purpose", b"dispute_evidence"), file_part("file", document)))
        yield Step(name=step_of(document), request=_request("POST", "/files", contest, api, *form))
    evidence = json_body(_evidence(contest, packet, done))
    draft = _request("PUT", f"{dispute}/evidence", contest, api, "application/json", evidence)
    yield Step(name=f"evidence-{packet.digest[:16]}", request=draft)
    yield Step(name="submit", request=_request("POST", f"{dispute}/evidence", contest, api), final=True)


def _dispute(contest: Contest) -> str:
    return f"/disputes/{harmless(_DISPUTE, contest.answer_id, 'answer_id', 'Checkout.com')}"


def _request(
    method: str, path: str, contest: Contest, api: ApiCredentials, content_type: str = "", body: bytes = b""
) -> ApiRequest:
    own = "https://api.checkout.com" if contest.livemode else "https://api.sandbox.checkout.com"
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    if content_type:
        headers["Content-Type"] = content_type
    return ApiRequest(method, f"{api.base_url or own}{path}", headers, body)


def _evidence(contest: Contest, packet: Packet, done: Remembered) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    for field, items in FIELDS.items():
        if text := fitted(packet, items, LONGEST_TEXT):
            evidence[f"{field}_text"] = text
    for field, document in _placed(packet.documents).items():
        evidence[f"{field}_file"] = done[step_of(document)]
    if compelling := _compelling(contest, packet):
        evidence["compelling_evidence"] = compelling
    return evidence


def _placed(documents: tuple[Document, ...]) -> dict[str, Document]:
    """Field to the one document that goes into its file."""
    placed: dict[str, Document] = {}
    for document in documents:
        by_worth = sorted(
            FIELDS, key=lambda field: (-len(set(FIELDS[field]) & set(document.items)), field != _ANYTHING)
        )
        if free := next((field for field in by_worth if field not in placed), None):
            placed[free] = document
    return placed


def _compelling(contest: Contest, packet: Packet) -> dict[str, Any] | None:
    found = packet.compelling
    if found is None or contest.network != "visa" or (contest.reason_code or "").strip() != "10.4":
        return None
    references = [prior.network_reference for prior in found.priors if prior.network_reference]
    description = found.disputed.product or packet.texts.get(Item.PRODUCT, "")
    if len(references) < max(2, len(found.priors)) or not description:
        return None
    payment = found.disputed
    told: dict[str, Any] = {
        "merchandise_or_service": "Services",
        "merchandise_or_service_desc": description[:LONGEST_DESCRIPTION],
        "merchandise_or_service_provided_date": payment.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "historical_transactions": [
            {
                "historical_arn": prior.network_reference,
                "merchandise_or_service_desc": (prior.product or description)[:LONGEST_DESCRIPTION],
            }
            for prior in found.priors
        ],
    }
    if payment.ip and "ip" in found.matched:
        told["ip_address"] = payment.ip
    if payment.device_id and "device" in found.matched and len(payment.device_id) in DEVICE:
        told["device_id"] = payment.device_id
    if payment.login and "login" in found.matched and len(payment.login) <= LONGEST_USER:
        told["user_id"] = payment.login
    return told


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        return _refused(answer)
    if step.name.startswith("file-"):
        return Done(value=proved_id(parse(answer.body), _FILE, "Checkout.com", "id"))
    nothing_else(answer)
    return Done(value=contest.answer_id if step.final else "")


def _refused(answer: ApiAnswer) -> Refused:
    body = words_of(answer)
    codes = body.raw("error_codes")
    words = [code for code in codes if type(code) is str] if type(codes) is list else []
    return refused(words[0] if words else body.raw("error_type") or answer.status, *words)
