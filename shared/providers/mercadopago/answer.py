"""Mercado Pago: chargebacks answered by their documents.

| fact | value |
|---|---|
| order | one call, POST /v1/chargebacks/{id}/documentation: a form with all files in `files[]`. Documents are taken once a case, and there is nothing to stage |
| accepting | there is no such call: a chargeback that nobody answers is lost |
| read back | GET /v1/chargebacks/{id}: `documentation_status`, `coverage_applied`, `status` |
| key | the access token, as `Authorization: Bearer`; the same hosts for test and live data |
| also | `X-Caller-Id`, the seller's id: the account, where it is configured by that number, or else the number at the end of the access token |
| repeats | no idempotency key is documented for this call: read back |
| id | the chargeback's, a number. Claims are answered elsewhere |
| files | JPEG, PNG, PDF; 10 files, 10 MB together. There is no text: what is said has to be in a document |
| refusals | 400, 403, 413, 415 and a word. `documentation_already_submitted` says no more than that the papers are not `pending` any more, which they are neither after the deadline |

Sources: Mercado Pago docs "Manage chargebacks", "Upload supporting documentation" (reference), "Get chargeback"
(reference), "Pre-requisites" of QR codes (whose number ends an access token); its Python SDK. Not settled in public: who needs `X-Caller-Id`.
"""

import re
from collections.abc import Iterator

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage
from shared.providers.kit.filing import fee_problems, file_part, first_open, harmless, packet_of, taken
from shared.providers.kit.reading import parse, unreadable
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    PNG,
    Limits,
    documents_of,
    multipart,
    refused,
    words_of,
    wrong_files,
)
from shared.providers.mercadopago.webhook import NAME as NAME

API_HOSTS = frozenset({"api.mercadopago.com"})
TAKES_ACCEPTANCE = False
TOGETHER = 10_000_000
FILES = Limits({JPEG: TOGETHER, PNG: TOGETHER, PDF: TOGETHER}, together=TOGETHER, at_most=10)

_CHARGEBACK = re.compile(r"[0-9]{1,32}", flags=re.ASCII)
_SELLER = re.compile(r"[0-9]{5,16}", flags=re.ASCII)

DECIDED = frozenset({"settled", "reimbursed"})
PAPERS = {
    "pending": Standing.WAITS,
    "review_pending": Standing.ANSWERED,
    "valid": Standing.ANSWERED,
    "invalid": Standing.ANSWERED,
    "not_supplied": Standing.OVER,
    "not_applicable": Standing.OVER,
}


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    yield from fee_problems(contest)
    if contest.act is Act.ACCEPT:
        yield "Mercado Pago has no way to accept: a chargeback that nobody answers is lost"
        return
    if contest.stage is DisputeStage.INQUIRY:
        yield "a claim is answered in Mercado Pago's own messages"
    if contest.contested not in (None, contest.amount):
        yield "Mercado Pago takes no answer to a part of a chargeback"
    documents = documents_of(contest)
    if not documents:
        yield "there is no document: Mercado Pago takes nothing else"
    yield from wrong_files(documents, FILES)


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", "", contest, api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    chargeback = parse(answer.body)
    if contest.answer_id not in {str(chargeback.raw(name)) for name in ("id", "case_id")}:
        raise unreadable("id", "another chargeback than was asked for", "another_object")
    if chargeback.hint("status") in DECIDED or chargeback.flag("coverage_applied") is not None:
        return Standing.OVER
    return PAPERS.get(chargeback.hint("documentation_status") or "", Standing.UNKNOWN)


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, api), done)


def _steps(contest: Contest, api: ApiCredentials) -> Iterator[Step]:
    if contest.act is not Act.SUBMIT:
        raise unreadable("act", "Mercado Pago has no way to accept", "not_answerable")
    documents = packet_of(contest).documents
    form = multipart([file_part("files[]", document) for document in documents])
    yield Step(name="documentation", request=_request("POST", "/documentation", contest, api, *form), final=True)


def _request(
    method: str, path: str, contest: Contest, api: ApiCredentials, content_type: str = "", body: bytes = b""
) -> ApiRequest:
    chargeback = harmless(_CHARGEBACK, contest.answer_id, "answer_id", "a chargeback of Mercado Pago")
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    sellers = (contest.account, api.key.rpartition("-")[2])
    if seller := next((one for one in sellers if _SELLER.fullmatch(one)), None):
        headers["X-Caller-Id"] = seller
    if content_type:
        headers["Content-Type"] = content_type
    base = api.base_url or "https://api.mercadopago.com"
    return ApiRequest(method, f"{base}/v1/chargebacks/{chargeback}{path}", headers, body)


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        return _refused(answer)
    if body := answer.body.strip():
        # A list of the files, or nothing at all; a page of somebody's in between says nothing.
        parse(b'{"files":' + body + b"}")
    return Done(value=contest.answer_id)


def _refused(answer: ApiAnswer) -> Refused:
    body = words_of(answer)
    return refused(body.raw("error") or answer.status, body.raw("message"))
