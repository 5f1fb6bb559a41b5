"""Adyen: the reasons that can be given are asked for, our document is supplied as each type that one of them wants, and the
dispute is defended by it; or accepted.

| fact | value |
|---|---|
| reasons | POST retrieveApplicableDefenseReasons: each with its types of document, and how much they are wanted (`Required`, `OneOrMore`, `AlternativeRequired`, `Optional`) |
| documents | POST supplyDefenseDocument, base64 in JSON, one of a type; a second of the same type takes its place: ours alone is sent |
| final | POST defendDispute with the reason's code, or acceptDispute |
| outcome | `disputeServiceResult.success` under HTTP 200, with `errorMessage` where it is false |
| files | JPG and TIFF of 10 MB, PDF of 2 MB; Diners and Discover 3 MB; Mastercard 19 pages; a request for information 4 pages; Klarna PDF alone |
| texts | none are taken: all that is said has to stand in a document |
| names | `disputePspReference`, and the merchant account as the notification named it |
| key | `X-API-Key`, with the role "API dispute management" |
| repeated | no idempotency key is documented for this service: a second defence is refused by Adyen |

Which type of document shows what is our reading of the names in Adyen's published examples (`TYPES`); the whole list is given
out by Adyen's support alone. A type that is not in it is one that we have no document for. Which types a reason takes is told
when it is answered, so that a second file has no place that anybody could promise: it is a problem. Of the reasons that ours
satisfies, the one that takes most types is given, a named one before the general one; where none is satisfied a person is told
what Adyen asks for.

Not settled by public pages: how a dispute that was defended is told when its reasons are asked for again. There is no other
call that reads one. Reasons that are listed mean that it waits; of a refusal the words "already", "defended" and "accepted"
are taken to mean that it is answered, and any other one says nothing.

Sources: Adyen docs "Disputes API", "Disputes API reference" (the hosts), "Defense requirements"; Adyen's OpenAPI
DisputeService-v30 and its examples; Adyen's Python SDK 16.0.0.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Document, Item
from shared.providers.adyen.webhook import NAME as NAME
from shared.providers.kit.filing import fee_problems, first_open
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.submitting import (
    JPEG,
    PDF,
    TIFF,
    Limits,
    documents_of,
    is_refusal,
    refused,
    undecided,
    words_of,
    wrong_files,
)

API_HOSTS = frozenset({"ca-test.adyen.com", "ca-live.adyen.com"})
SERVICE = "/ca/services/DisputeService/v30"
GENERAL = "DefenseMaterial"
# Adyen's code for a type of document → a document that shows any of these is one.
TYPES: dict[str, frozenset[Item]] = {
    GENERAL: frozenset(Item),
    "TIDorInvoice": frozenset({Item.PAYMENT, Item.DESCRIPTOR}),
    "GoodsWereAsDescribed": frozenset({Item.PRODUCT, Item.USAGE}),
}
_LARGEST = {JPEG: 10_000_000, TIFF: 10_000_000, PDF: 2_000_000}
_DINERS_CLUB = 3_000_000
_PAGES_OF_MASTERCARD, _PAGES_OF_A_REQUEST = 19, 4
_REFERENCE = re.compile(r"[A-Za-z0-9]{1,64}", flags=re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,79}", flags=re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9_]{1,80}", flags=re.ASCII)
_STANDS = re.compile(r"already|has been (?:defended|accepted)", flags=re.IGNORECASE)


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    if contest.act is Act.ACCEPT:
        return
    yield from fee_problems(contest)
    documents = documents_of(contest)
    if not documents:
        yield "there is no document, and Adyen takes no texts"
    if len(documents) > 1:
        yield "Adyen takes one document of a type, which is ours: a text that is put to the answer stands in it, a file does not"
    network = contest.network or ""
    most = {PDF: _LARGEST[PDF]} if network.startswith("klarna") else _LARGEST
    if network.startswith(("diners", "discover")):
        most = {media_type: min(size, _DINERS_CLUB) for media_type, size in most.items()}
    yield from wrong_files(documents, Limits(most))
    pages = _pages(contest)
    if pages and any(document.pages > pages for document in documents):
        yield f"a document has more than the {pages} pages that are taken"


def _pages(contest: Contest) -> int | None:
    if contest.stage is DisputeStage.INQUIRY:
        return _PAGES_OF_A_REQUEST
    return _PAGES_OF_MASTERCARD if (contest.network or "").startswith(("mc", "mastercard")) else None


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request(contest, api, "retrieveApplicableDefenseReasons")


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    said = parse(answer.body)
    if _success(said):
        return Standing.WAITS if said.nodes("defenseReasons") else Standing.UNKNOWN
    return Standing.ANSWERED if _STANDS.search(_message(said)) else Standing.UNKNOWN


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    if contest.act is Act.ACCEPT:
        yield _step(contest, api, "accept", "acceptDispute", final=True)
        return
    _checked(contest)
    yield _step(contest, api, "reasons", "retrieveApplicableDefenseReasons")
    plan = _Plan.read(done["reasons"])
    [document] = documents_of(contest)
    for code in plan.types:
        supplied = _supplied(code, document)
        yield _step(contest, api, f"document-{code}", "supplyDefenseDocument", defenseDocuments=[supplied])
    yield _step(contest, api, "defend", "defendDispute", final=True, defenseReasonCode=plan.reason)


def _supplied(code: str, document: Document) -> dict[str, str]:
    content = base64.b64encode(document.data).decode("ascii")
    # Adyen's name for JPEG.
    media_type = "image/jpg" if document.media_type == JPEG else document.media_type
    return {"defenseDocumentTypeCode": code, "contentType": media_type, "content": content}


def _step(contest: Contest, api: ApiCredentials, name: str, call: str, *, final: bool = False, **more: object) -> Step:
    return Step(name=name, request=_request(contest, api, call, **more), final=final)


def _checked(contest: Contest) -> None:
    if not _REFERENCE.fullmatch(contest.answer_id):
        raise unreadable("answer_id", "not a pspReference", "unreadable_id")
    if not _ACCOUNT.fullmatch(contest.account):
        raise unreadable("account", "not a merchant account", "unreadable_id")


def _request(contest: Contest, api: ApiCredentials, call: str, **more: object) -> ApiRequest:
    _checked(contest)
    base = api.base_url or f"https://ca-{'live' if contest.livemode else 'test'}.adyen.com"
    body = {"merchantAccountCode": contest.account, "disputePspReference": contest.answer_id, **more}
    headers = {"X-API-Key": api.key, "Accept": "application/json", "Content-Type": "application/json"}
    return ApiRequest("POST", f"{base}{SERVICE}/{call}", headers, json.dumps(body, separators=(",", ":")).encode())


@dataclass(frozen=True, slots=True)
class _Plan:
    """The reason that is given, and the types of which our document is supplied."""

    reason: str
    types: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.reason, *self.types))

    @classmethod
    def read(cls, text: str) -> "_Plan":
        # What was begun by an earlier version names a document behind each type.
        reason, *types = (word.partition("=")[0] for word in text.split(" "))
        return cls(reason, tuple(types))


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if is_refusal(answer.status):
        error = words_of(answer)
        return refused(error.hint("errorCode") or f"status_{answer.status}", error.raw("message"))
    if answer.status != 200:
        raise undecided(answer)
    said = parse(answer.body)
    if not _success(said):
        message = _message(said)
        return refused("unsuccessful", message, stands=bool(_STANDS.search(message)))
    return _reasons(contest, said) if step.name == "reasons" else Done(value=contest.answer_id)


def _success(said: Node) -> bool:
    """Raises Unreadable where it is not told."""
    success = said.flag("disputeServiceResult", "success")
    if success is None:
        raise unreadable("disputeServiceResult.success", "missing", "undecided")
    return success


def _message(said: Node) -> str:
    message = said.raw("disputeServiceResult", "errorMessage")
    return message if type(message) is str else ""


def _reasons(contest: Contest, said: Node) -> StepOutcome:
    [document] = documents_of(contest)
    found, wanted = [], []
    for reason in said.nodes("defenseReasons"):
        code, levels = _levels(reason)
        ours = tuple(one for one in levels if not TYPES.get(one, frozenset()).isdisjoint(document.items))
        if _is_satisfied(levels, set(ours)):
            found.append(_Plan(code, ours))
        wanted.append(f"{code} ({', '.join(one for one, level in levels.items() if level != 'Optional')})")
    if not found:
        return _nothing_fits(wanted)
    # Of those that take as many, the one that Adyen names first; the general one last.
    best = max(found, key=lambda plan: (len(plan.types), GENERAL not in plan.types))
    return Done(value=str(best))


def _nothing_fits(wanted: list[str]) -> Refused:
    asked = "; ".join(wanted) or "nothing"
    return refused("no_defense_reason", f"our document is not what a defense takes. Adyen asks for: {asked}")


def _levels(reason: Node) -> tuple[str, dict[str, str]]:
    """(code, type of document → how much it is wanted). Raises Unreadable."""
    types = reason.nodes("defenseDocumentTypes")
    levels = {one.word("defenseDocumentTypeCode"): one.word("requirementLevel") for one in types}
    code = reason.word("defenseReasonCode")
    if not all(_CODE.fullmatch(one) for one in (code, *levels)):
        raise unreadable("defenseReasons", "not codes", "unreadable_id")
    return code, levels


def _is_satisfied(levels: dict[str, str], ours: set[str]) -> bool:
    by_level: dict[str, set[str]] = {}
    for code, level in levels.items():
        by_level.setdefault(level, set()).add(code)
    if not by_level.keys() <= {"Required", "OneOrMore", "AlternativeRequired", "Optional"} or not ours:
        return False
    one_of_each = (by_level.get("OneOrMore"), by_level.get("AlternativeRequired"))
    return by_level.get("Required", set()) <= ours and all(ours & group for group in one_of_each if group)
