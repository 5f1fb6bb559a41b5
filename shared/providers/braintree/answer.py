"""Braintree: files are uploaded, evidence is put on the open dispute piece by piece, and the dispute is finalized; or accepted.

| fact | value |
|---|---|
| key | `<merchant id>:<public key>:<private key>`: the first stands in every address, the others are basic auth |
| read | GET /merchants/{id}/disputes/{id}: first of all, for only an open one takes anything |
| files | POST …/document_uploads, multipart, kind `evidence_document`: PNG, JPG, PDF of 4 MB at most; then POST …/evidence with `document_upload_id` |
| texts | POST …/evidence with `comments`: all of ours are one |
| final | PUT …/finalize, which sends all evidence to the processor, or PUT …/accept; neither has a body to answer with |
| categories | wanted for fraud and services not received (`COMPELLING`, and where no reason code is told); otherwise none is named |
| earlier payments | PRIOR_NON_DISPUTED_TRANSACTION_ID, _DATE_TIME and, for one more is wanted, _IP_ADDRESS: of the first that has an address |
| repeated | no idempotency key. A second piece of a category is refused (95714), and then the first is there; a piece that is there twice says the same thing twice. A second finalize is refused (95705), as is one of a dispute that is not open any more |
| XML | as Braintree's libraries write it |

Not settled by public pages: how long a text may be (95708 refuses one that is too long, and a person is told); whether a second
document of one category is refused: none is sent.

Sources: Braintree docs "Dispute: accept, finalize, add text evidence, add file evidence", "Document upload: create", "Evidence
requirements"; GraphQL "DisputeFileEvidenceCategory", "DisputeTextEvidenceCategory"; Braintree's Python SDK 4.48.0 (paths, XML,
validation codes).
"""

import base64
import re
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from shared.domain.addresses import address
from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Misconfigured, Unreadable
from shared.domain.events import DisputeStatus
from shared.domain.evidence import Document, Item, Purchase
from shared.providers.braintree.webhook import NAME as NAME
from shared.providers.braintree.webhook import STATUSES, parse_xml
from shared.providers.kit.filing import fee_problems, first_open
from shared.providers.kit.reading import Node, unreadable
from shared.providers.kit.signing import as_bytes
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    PNG,
    Limits,
    Part,
    documents_of,
    is_refusal,
    multipart,
    refused,
    said,
    texts_of,
    undecided,
    wrong_files,
)

API_HOSTS = frozenset({"api.braintreegateway.com", "api.sandbox.braintreegateway.com"})
API_VERSION = "6"
COMPELLING = frozenset({"37", "83", "1040", "1310", "7030", "C08", "F29", "UA02", ""})
"""Reason codes, as Braintree writes them, of which Braintree wants each piece of evidence to have a category."""
GENERAL = "GENERAL"
# What a document shows → its category, the most telling one first.
CATEGORIES: tuple[tuple[str, frozenset[Item]], ...] = (
    ("PROOF_OF_POSSESSION_OR_USAGE", frozenset({Item.USAGE, Item.SERVICE_DATE})),
    ("MERCHANT_WEBSITE_OR_APP_ACCESS", frozenset({Item.LOGIN, Item.DEVICE})),
    ("PROOF_OF_3D_SECURE", frozenset({Item.AUTHENTICATION})),
    (GENERAL, frozenset(Item)),
)
_FILE = 4_000_000
_ID = re.compile(r"[A-Za-z0-9_\-]{1,128}", flags=re.ASCII)  # as Braintree's own libraries ask of a path
_KEY = re.compile(r"([A-Za-z0-9_\-]{1,64}):([!-9;-~]{1,128}):([!-~]{1,256})", flags=re.ASCII)
_ALREADY_THERE, _NOT_OPEN = "95714", frozenset({"95701", "95704", "95705"})
_UNLAWFUL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    if contest.act is Act.ACCEPT:
        return
    yield from fee_problems(contest)
    documents = documents_of(contest)
    if not documents and not _comments(contest):
        yield "there is no evidence"
    yield from wrong_files(documents, Limits({PDF: _FILE, JPEG: _FILE, PNG: _FILE}))
    if len(_categories(contest)) < len(documents):
        yield "Braintree takes one document of a category, and for these there are not enough"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request(contest, api, "GET", "")


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    return _standing(contest, _same(contest, answer)) if answer.status == 200 else Standing.UNKNOWN


def _standing(contest: Contest, dispute: Node) -> Standing:
    word = (dispute.hint("status") or "").lower()
    match STATUSES.get(word):
        case None:
            return Standing.UNKNOWN
        case DisputeStatus.NEEDS_RESPONSE:
            return Standing.WAITS
        case DisputeStatus.UNDER_REVIEW:
            return Standing.ANSWERED
        case DisputeStatus.ACCEPTED if contest.act is Act.ACCEPT and word == "accepted":
            return Standing.ANSWERED
        case _:
            return Standing.OVER


def _same(contest: Contest, answer: ApiAnswer) -> Node:
    dispute = parse_xml(answer.body).at("dispute")
    if dispute.word("id") != contest.answer_id:
        raise unreadable("dispute.id", "another object than was asked for", "another_object")
    return dispute


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    yield Step(name="dispute", request=standing_request(contest, api))
    last = "accept"
    if contest.act is Act.SUBMIT:
        last = "finalize"
        for name, piece in _texts(contest).items():
            yield Step(name=name, request=_piece(contest, api, piece))
        for number, (document, category) in enumerate(
            zip(documents_of(contest), _categories(contest), strict=True), start=1
        ):
            yield Step(name=f"upload-{number}", request=_upload(contest, api, document))
            fields = {"document_upload_id": done[f"upload-{number}"], "category": category}
            yield Step(name=f"attach-{number}", request=_piece(contest, api, fields))
    yield Step(name=last, request=_request(contest, api, "PUT", f"/{last}"), final=True)


def _request(
    contest: Contest,
    api: ApiCredentials,
    method: str,
    path: str,
    body: bytes = b"",
    media_type: str = "application/xml",
) -> ApiRequest:
    if not _ID.fullmatch(contest.answer_id):
        raise unreadable("answer_id", "not a dispute of Braintree's", "unreadable_id")
    merchant, headers = _headers(api)
    url = f"{_base(contest, api)}/merchants/{merchant}/disputes/{contest.answer_id}{path}"
    return ApiRequest(method, url, {**headers, "Content-Type": media_type}, body)


def _base(contest: Contest, api: ApiCredentials) -> str:
    return api.base_url or f"https://api.{'' if contest.livemode else 'sandbox.'}braintreegateway.com"


def _headers(api: ApiCredentials) -> tuple[str, dict[str, str]]:
    """(the merchant's id, the headers of every request). Raises Misconfigured."""
    parts = _KEY.fullmatch(api.key)
    if not parts:
        raise Misconfigured(
            "API_BRAINTREE's key is not <merchant id>:<public key>:<private key>: set all three", reason="bad_secret"
        )
    merchant, public, private = parts.groups()
    basic = base64.b64encode(as_bytes(f"{public}:{private}")).decode("ascii")
    return merchant, {
        "Authorization": f"Basic {basic}",
        "Accept": "application/xml",
        "X-ApiVersion": API_VERSION,
    }


def _upload(contest: Contest, api: ApiCredentials, document: Document) -> ApiRequest:
    merchant, headers = _headers(api)
    media_type, body = multipart(
        (
            Part("document_upload[kind]", b"evidence_document"),
            Part("file", document.data, document.media_type, document.name),
        )
    )
    url = f"{_base(contest, api)}/merchants/{merchant}/document_uploads"
    return ApiRequest("POST", url, {**headers, "Content-Type": media_type}, body)


def _piece(contest: Contest, api: ApiCredentials, fields: dict[str, str]) -> ApiRequest:
    inner = "".join(f"<{name}>{_written(value)}</{name}>" for name, value in fields.items() if value)
    xml = f"<evidence>{inner}</evidence>".encode("ascii", "xmlcharrefreplace")
    return _request(contest, api, "POST", "/evidence", xml)


def _written(text: str) -> str:
    return escape(_UNLAWFUL.sub("\ufffd", text), {"'": "&apos;", '"': "&quot;"})


def _wants_categories(contest: Contest) -> bool:
    code = (contest.reason_code or "").strip().upper()
    # Visa's 10.4 is Braintree's 1040.
    return (code.replace(".", "").ljust(4, "0") if "." in code else code) in COMPELLING


def _comments(contest: Contest) -> str:
    return said(texts_of(contest), tuple(Item))


def _texts(contest: Contest) -> dict[str, dict[str, str]]:
    """Step's name → the piece of evidence."""
    found: dict[str, dict[str, str]] = {}
    categorized = _wants_categories(contest)
    if comments := _comments(contest):
        found["text"] = {"comments": comments, "category": GENERAL if categorized else ""}
    prior = _prior(contest) if categorized else None
    if prior and prior.ip:
        root = "PRIOR_NON_DISPUTED_TRANSACTION"
        found["prior-id"] = {"comments": prior.payment_id, "category": f"{root}_ID"}
        found["prior-time"] = {"comments": f"{prior.at:%Y-%m-%dT%H:%M:%SZ}", "category": f"{root}_DATE_TIME"}
        found["prior-address"] = {"comments": prior.ip, "category": f"{root}_IP_ADDRESS"}
    return found


def _prior(contest: Contest) -> Purchase | None:
    """The first earlier payment here whose address we know."""
    found = contest.packet.compelling if contest.packet else None
    priors = found.priors if found else ()
    return next((one for one in priors if one.provider == NAME and address(one.ip or "")), None)


def _categories(contest: Contest) -> list[str]:
    """Of each document, as far as there are enough of them; empty ones where none is wanted."""
    documents = documents_of(contest)
    if not _wants_categories(contest):
        return [""] * len(documents)
    found: list[str] = []
    for document in documents:
        free = (one for one, about in CATEGORIES if one not in found and about.intersection(document.items))
        category = next(free, None)
        if category is None:
            break
        found.append(category)
    return found


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if is_refusal(answer.status):
        return _refusal(answer)
    if answer.status not in (200, 201, 204):
        raise undecided(answer)
    if step.final:
        # Its success has no body. What has one tells of this dispute, or is not Braintree's.
        if answer.body.strip():
            _same(contest, answer)
        return Done(value=contest.answer_id)
    if step.name == "dispute":
        return _open(contest, _same(contest, answer))
    read = parse_xml(answer.body)
    return Done(value=_id(read.at("document-upload" if step.name.startswith("upload-") else "evidence")))


def _open(contest: Contest, dispute: Node) -> StepOutcome:
    standing = _standing(contest, dispute)
    if standing is Standing.WAITS:
        return Done(value=contest.answer_id)
    status = dispute.hint("status") or "of no status"
    return refused("not_open", f"the dispute is not open, but {status}", stands=standing is Standing.ANSWERED)


def _id(thing: Node) -> str:
    found = thing.word("id")
    if not _ID.fullmatch(found):
        raise unreadable(thing.where("id"), "not an id of Braintree's", "unreadable_id")
    return found


def _refusal(answer: ApiAnswer) -> StepOutcome:
    try:
        error = parse_xml(answer.body).at("api-error-response")
    except Unreadable:
        error = Node({}, "")
    found = list(_validations(error.raw("errors")))
    if found and all(one.get("code") == _ALREADY_THERE for one in found):
        return Done(value="already-there")
    code = found[0].get("code") if found else None
    told = found[0].get("message") if found else error.raw("message")
    return _with_code(code or f"status_{answer.status}", told)


def _with_code(code: object, told: object) -> Refused:
    # What is not open any more was answered, or is over: who asks reads the dispute back.
    return refused(code, told, "(the dispute is not open)" if code in _NOT_OPEN else None)


def _validations(errors: Any) -> Iterator[dict[str, Any]]:
    """Every validation error, however deep: they lie by the objects that they are about."""
    if isinstance(errors, dict):
        if type(errors.get("code")) is str:
            yield errors
        for inner in errors.values():
            yield from _validations(inner)
    elif isinstance(errors, list):
        for inner in errors:
            yield from _validations(inner)
