"""Klarna: disputes answered by the Payment Dispute API of the Klarna Network.

| fact | value |
|---|---|
| order | files (POST /v4/payment/disputes/{id}/attachments), then POST …/represent, or …/appeal in PRE_ARBITRATION, which at Klarna is a preliminary loss. Either cannot be taken back |
| accepting | POST …/accept-loss, in INITIATED and PRE_ARBITRATION: CLOSED and LOST at once |
| read back | GET /v4/payment/disputes/{id}: `state` and, of a first round, `representment.state`, which is EVIDENCE_WAIVED after an acceptance. After one instead of an appeal nothing tells it from a lost case: to whoever accepted, CLOSED and LOST is the answer |
| key | an API key (`klarna_live_api_…`), as it is; or `<username>:<password>`, Basic |
| repeats | `Klarna-Idempotency-Key`, which Klarna takes with every POST for 24 h. The reference of disputes does not name it, so nothing relies on it: read back |
| required | a first answer has one file at least, an appeal a text |
| files | PDF, JPEG, PNG, DOCX (which we do not make), 7 MB each |
| texts | `additional_information`: 5,000 characters, of an appeal 10,000 |
| less than all | `partner_proposed_refund_amount`, what is given back, less than the dispute's amount; in the settlement currency, so only where that is the dispute's |
| refusals | 409 in a wrong state, whichever it is; `error_code`, `error_message` |

Sources: Klarna docs "Disputes: states", "Disputes: lifecycle", "Disputes integration with API", "Authentication",
"Integration resilience"; the reference of its Payment Dispute API, as the SDKs generated from it have it; its plugin for
PrestaShop (hosts).
"""

import hashlib
import re
import uuid
from collections.abc import Iterator
from typing import Any

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item, Packet
from shared.providers.kit.filing import (
    basic,
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
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.submitting import JPEG, PDF, PNG, Limits, multipart, refused, words_of, wrong_files
from shared.providers.klarna.webhook import NAME as NAME

API_HOSTS = frozenset({"api-global.klarna.com", "api-global.test.klarna.com"})
FILES = Limits({JPEG: 7_000_000, PNG: 7_000_000, PDF: 7_000_000})
LONGEST_TEXT = {DisputeStage.CHARGEBACK: 5000, DisputeStage.PRE_ARBITRATION: 10_000}

_DISPUTE = re.compile(r"krn(?::[A-Za-z0-9\-]+)+", flags=re.ASCII)
_ATTACHMENT = re.compile(r"krn(?::[A-Za-z0-9\-]+)+", flags=re.ASCII)
_LONGEST_ID = 100  # of a dispute, where it is read
_KEYS = uuid.UUID("0c3d2f0e-6d0b-5f0c-9d2c-6d6f1a5f9b11")  # the space in which our idempotency keys are named

# State to what it is to a first round and to its appeal.
_FIRST = {
    "INITIATED": Standing.WAITS,
    "REPRESENTMENT": Standing.ANSWERED,
    "PRE_ARBITRATION": Standing.OVER,
    "ARBITRATION": Standing.OVER,
    "CLOSED": Standing.OVER,
}
_APPEAL = {
    "PRE_ARBITRATION": Standing.WAITS,
    "ARBITRATION": Standing.ANSWERED,
    "CLOSED": Standing.OVER,
}


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    stage = _stage(contest)
    if stage not in LONGEST_TEXT:
        yield "Klarna takes no answer in its arbitration"
        return
    yield from fee_problems(contest)
    if contest.act is Act.ACCEPT:
        return
    packet = contest.packet
    if packet is None:
        yield "there is no evidence to submit"
        return
    text = _text(contest, packet)
    if stage is DisputeStage.CHARGEBACK and not packet.documents:
        yield "there is no document: Klarna takes no evidence without one"
    if stage is DisputeStage.PRE_ARBITRATION and not text:
        yield "an appeal at Klarna has to say why"
    yield from wrong_files(packet.documents, FILES)
    if len(text) > LONGEST_TEXT[stage]:
        yield f"additional_information has {len(text)} characters: at most {LONGEST_TEXT[stage]} are taken"
    yield from contested_problems(contest)
    if stage is DisputeStage.PRE_ARBITRATION and contest.contested not in (None, contest.amount):
        yield "an appeal at Klarna is of the whole amount"


def _stage(contest: Contest) -> DisputeStage:
    return contest.stage or DisputeStage.CHARGEBACK


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", "", contest, api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    dispute = read_back(contest, answer, "payment_dispute_id")
    if dispute is None:
        return Standing.UNKNOWN
    state = dispute.word("state").upper()
    if contest.act is Act.ACCEPT and state == "CLOSED":
        return Standing.ANSWERED if _accepted(contest, dispute) else Standing.OVER
    if _stage(contest) is DisputeStage.PRE_ARBITRATION:
        return _APPEAL.get(state, Standing.UNKNOWN)
    standing = _FIRST.get(state, Standing.UNKNOWN)
    if standing is Standing.WAITS and dispute.raw("representment", "state") == "EVIDENCE_RECEIVED":
        return Standing.ANSWERED
    return standing


def _accepted(contest: Contest, dispute: Node) -> bool:
    if _stage(contest) is DisputeStage.CHARGEBACK:
        return bool(dispute.raw("representment", "state") == "EVIDENCE_WAIVED")
    return "LOST" in (dispute.raw("state_context", "dispute_outcome"), dispute.raw("dispute_outcome"))


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    if contest.act is Act.ACCEPT:
        yield Step(name="accept", request=_request("POST", "/accept-loss", contest, api), final=True)
        return
    packet = packet_of(contest)
    for document in packet.documents:
        form = multipart((file_part("file", document),))
        yield Step(name=step_of(document), request=_request("POST", "/attachments", contest, api, *form))
    appeal = _stage(contest) is DisputeStage.PRE_ARBITRATION
    body = json_body(_evidence(contest, packet, done))
    request = _request("POST", "/appeal" if appeal else "/represent", contest, api, "application/json", body)
    yield Step(name="appeal" if appeal else "represent", request=request, final=True)


def _request(
    method: str, path: str, contest: Contest, api: ApiCredentials, content_type: str = "", body: bytes = b""
) -> ApiRequest:
    own = "https://api-global.klarna.com" if contest.livemode else "https://api-global.test.klarna.com"
    dispute = harmless(_DISPUTE, contest.answer_id, "answer_id", "Klarna")
    if len(dispute) > _LONGEST_ID:
        raise unreadable("answer_id", "not an id of Klarna", "unreadable_id")
    key = api.key if api.key.startswith("klarna_") else ""
    headers = {"Authorization": f"Basic {key}" if key else basic(api.key), "Accept": "application/json"}
    if content_type:
        headers["Content-Type"] = content_type
    if method == "POST":
        headers["Klarna-Idempotency-Key"] = str(
            uuid.uuid5(_KEYS, f"{contest.key} {path} {hashlib.sha256(body).hexdigest()}")
        )
    return ApiRequest(method, f"{api.base_url or own}/v4/payment/disputes/{dispute}{path}", headers, body)


def _text(contest: Contest, packet: Packet) -> str:
    return fitted(packet, tuple(Item), LONGEST_TEXT[_stage(contest)])


def _evidence(contest: Contest, packet: Packet, done: Remembered) -> dict[str, Any]:
    evidence: dict[str, Any] = {}
    if packet.documents:
        evidence["attachments"] = [
            {
                "payment_dispute_attachment_id": done[step_of(document)],
                "description": ", ".join(item.value.replace("_", " ").capitalize() for item in document.items)
                or document.name,
            }
            for document in packet.documents
        ]
    if text := _text(contest, packet):
        evidence["additional_information"] = text
    if contest.contested is not None and contest.amount is not None and contest.contested != contest.amount:
        evidence["partner_proposed_refund_amount"] = contest.amount.minor - contest.contested.minor
    return evidence


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        return _refused(answer)
    body = parse(answer.body)
    if step.name.startswith("file-"):
        return Done(value=proved_id(body, _ATTACHMENT, "Klarna", "payment_dispute_attachment_id"))
    return Done(value=body.word("state"))


def _refused(answer: ApiAnswer) -> Refused:
    body = words_of(answer)
    return refused(body.raw("error_code") or answer.status, body.raw("error_message"))
