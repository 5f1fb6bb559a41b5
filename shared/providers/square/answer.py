"""Square: texts and files are put on the dispute one by one, and all of them are submitted; or the dispute is accepted.

| fact | value |
|---|---|
| read | GET /v2/disputes/{id}, first of all: only one whose evidence is required takes any |
| texts | POST …/evidence-text, 500 characters at most: a longer one goes in several pieces, cut between words |
| files | POST …/evidence-files, multipart: `request` (JSON) and `image_file`; JPEG, PDF, PNG, TIFF (HEIC and HEIF too, which we have none of) |
| types | `TEXTS` and `FILES`: some of Square's types take files alone. A document about several things is GENERIC_EVIDENCE |
| final | POST …/submit-evidence or …/accept; Square sends its own receipts along |
| repeated | `idempotency_key`, 45 characters at most, of texts and files; the final calls have none: a second is refused, for the state is another one |
| versions | `Square-Version` |

Not settled by public pages: how large a file may be. 5 MB are what the seller's dashboard says, from memory.

Sources: Square docs "Process disputes", "Disputes API"; the enumerations and constraints of Square's
connect-api-specification (DisputeEvidenceType, CreateDisputeEvidenceTextRequest); Square's Python SDK 46.
"""

import json
from collections.abc import Iterator, Mapping

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage, DisputeStatus
from shared.domain.evidence import Document, Item
from shared.providers.kit.filing import fee_problems, first_open
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    PNG,
    TIFF,
    Limits,
    Part,
    documents_of,
    is_refusal,
    multipart,
    refused,
    texts_of,
    undecided,
    words_of,
    wrong_files,
)
from shared.providers.square.api import API_HOSTS as API_HOSTS
from shared.providers.square.api import API_VERSION
from shared.providers.square.webhook import ID, STATES
from shared.providers.square.webhook import NAME as NAME

LONGEST_TEXT = 500
_MOST_PIECES = 99
_FILE = 5_000_000
GENERIC = "GENERIC_EVIDENCE"
# What is in neither is GENERIC.
TEXTS: dict[Item, str] = {
    Item.PAYMENT: "PURCHASE_ACKNOWLEDGEMENT",
    Item.DESCRIPTOR: "PURCHASE_ACKNOWLEDGEMENT",
    Item.PLAN: "PURCHASE_ACKNOWLEDGEMENT",
    Item.PRODUCT: "PRODUCT_OR_SERVICE_DESCRIPTION",
    Item.PURCHASE_IP: "CARDHOLDER_INFORMATION",
    Item.BILLING_COUNTRY: "CARDHOLDER_INFORMATION",
    Item.DEVICE: "ONLINE_OR_APP_ACCESS_LOG",
    Item.LOGIN: "ONLINE_OR_APP_ACCESS_LOG",
    Item.USAGE: "ONLINE_OR_APP_ACCESS_LOG",
    Item.SERVICE_DATE: "SERVICE_RECEIVED_DOCUMENTATION",
    Item.PRIOR_PAYMENTS: "RELATED_TRANSACTION_DOCUMENTATION",
    Item.POLICY: "CANCELLATION_OR_REFUND_DOCUMENTATION",
    Item.CANCELLATION: "REBUTTAL_EXPLANATION",
    Item.REFUNDS: "REBUTTAL_EXPLANATION",
    Item.DUPLICATE: "REBUTTAL_EXPLANATION",
}
FILES: dict[Item, str] = TEXTS | {
    Item.AUTHENTICATION: "AUTHORIZATION_DOCUMENTATION",
    Item.DUPLICATE: "DUPLICATE_CHARGE_DOCUMENTATION",
    Item.MESSAGES: "CARDHOLDER_COMMUNICATION",
}


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    if contest.act is Act.ACCEPT:
        return
    yield from fee_problems(contest)
    documents, pieces = documents_of(contest), _pieces(contest)
    if not documents and not pieces:
        yield "there is no evidence"
    if len(pieces) > _MOST_PIECES:
        yield f"the texts are {len(pieces)} pieces of {LONGEST_TEXT} characters: more than anybody reads"
    most_files = Limits({JPEG: _FILE, PDF: _FILE, PNG: _FILE, TIFF: _FILE}, at_most=_MOST_PIECES)
    yield from wrong_files(documents, most_files)


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return ApiRequest("GET", _address(contest, api), _headers(api))


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    return _standing(contest, _same(contest, answer)) if answer.status == 200 else Standing.UNKNOWN


def _standing(contest: Contest, dispute: Node) -> Standing:
    stage, status = STATES.get(dispute.hint("state") or "", (None, None))
    match status:
        case None:
            return Standing.UNKNOWN
        case DisputeStatus.NEEDS_RESPONSE:
            # An inquiry that has become a chargeback is answered anew.
            was_inquiry = contest.stage is DisputeStage.INQUIRY and stage is not DisputeStage.INQUIRY
            return Standing.OVER if was_inquiry else Standing.WAITS
        case DisputeStatus.UNDER_REVIEW if contest.act is Act.SUBMIT:
            return Standing.ANSWERED
        case DisputeStatus.ACCEPTED if contest.act is Act.ACCEPT:
            return Standing.ANSWERED
        case _:
            return Standing.OVER


def _same(contest: Contest, answer: ApiAnswer) -> Node:
    dispute = parse(answer.body).at("dispute")
    if dispute.maybe_text("id" if dispute.raw("id") is not None else "dispute_id") != contest.answer_id:
        raise unreadable("dispute.id", "another object than was asked for", "another_object")
    return dispute


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, api), done)


def _steps(contest: Contest, api: ApiCredentials) -> Iterator[Step]:
    at = _address(contest, api)
    yield Step(name="dispute", request=standing_request(contest, api))
    if contest.act is Act.ACCEPT:
        yield _step("accept", f"{at}/accept", api, final=True)
        return
    for number, (kind, text) in enumerate(_pieces(contest), start=1):
        name = f"text-{number}"
        said = {"idempotency_key": _key(contest, name), "evidence_type": kind, "evidence_text": text}
        yield _step(name, f"{at}/evidence-text", api, _json(said))
    for number, document in enumerate(documents_of(contest), start=1):
        media_type, body = _file(contest, f"file-{number}", document)
        yield _step(f"file-{number}", f"{at}/evidence-files", api, body, media_type)
    yield _step("submit", f"{at}/submit-evidence", api, final=True)


def _step(
    name: str,
    url: str,
    api: ApiCredentials,
    body: bytes = b"",
    media_type: str = "application/json",
    *,
    final: bool = False,
) -> Step:
    request = ApiRequest("POST", url, {**_headers(api), "Content-Type": media_type}, body)
    return Step(name=name, request=request, final=final, keyed=not final)


def _address(contest: Contest, api: ApiCredentials) -> str:
    if not ID.fullmatch(contest.answer_id):
        raise unreadable("answer_id", "not a dispute of Square's", "unreadable_id")
    base = api.base_url or f"https://connect.{'squareup' if contest.livemode else 'squareupsandbox'}.com"
    return f"{base}/v2/disputes/{contest.answer_id}"


def _headers(api: ApiCredentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.key}", "Accept": "application/json", "Square-Version": API_VERSION}


def _key(contest: Contest, name: str) -> str:
    """At most 44 characters: a contest's key has 40, and a piece's number two digits."""
    kind, _, number = name.partition("-")
    return f"{contest.key}-{kind[0]}{number}"


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _file(contest: Contest, name: str, document: Document) -> tuple[str, bytes]:
    items = document.items
    kind = FILES.get(items[0], GENERIC) if len(items) == 1 else GENERIC
    asked = {"idempotency_key": _key(contest, name), "evidence_type": kind, "content_type": document.media_type}
    return multipart(
        (
            Part("request", _json(asked), "application/json; charset=utf-8"),
            Part("image_file", document.data, document.media_type, document.name),
        )
    )


def _pieces(contest: Contest) -> list[tuple[str, str]]:
    """(type, text) of each piece, in the order of `Item`."""
    texts = texts_of(contest)
    return [(TEXTS.get(item, GENERIC), piece) for item in Item if item in texts for piece in _cut(texts[item])]


def _cut(text: str) -> Iterator[str]:
    """Between words; within one that has more characters than a piece."""
    rest = text.strip()
    while len(rest) > LONGEST_TEXT:
        at = max(rest.rfind(space, 0, LONGEST_TEXT + 1) for space in " \n")
        at = at if at > 0 else LONGEST_TEXT
        yield rest[:at].rstrip()
        rest = rest[at:].lstrip()
    if rest:
        yield rest


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if answer.status == 409:
        raise unreadable("status", "another request is at work on it", "in_progress")
    if is_refusal(answer.status):
        return _refusal(answer)
    if answer.status not in (200, 201):
        raise undecided(answer)
    if not step.final and step.name != "dispute":
        return Done(value=parse(answer.body).at("evidence").text("id"))
    dispute = _same(contest, answer)
    standing = _standing(contest, dispute)
    if step.final:
        if standing is not Standing.ANSWERED:
            raise unreadable("dispute.state", "does not say that it was taken", "undecided")
        return Done(value=contest.answer_id)
    if standing is Standing.WAITS:
        return Done(value=contest.answer_id)
    state = dispute.hint("state") or "of no state"
    return refused("not_open", f"the dispute no longer takes an answer: {state}", stands=standing is Standing.ANSWERED)


def _refusal(answer: ApiAnswer) -> Refused:
    error = next(iter(words_of(answer).nodes("errors")), Node({}, ""))
    return refused(error.hint("code") or f"status_{answer.status}", error.raw("detail"))
