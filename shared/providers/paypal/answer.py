"""PayPal: the dispute is read, and of the actions that it links the one that answers is taken: evidence, an appeal, or the claim
is accepted.

| fact | value |
|---|---|
| allowed | only what stands in `links[]`; how a claim can be accepted, in `allowed_response_options` |
| evidence | POST …/provide-evidence or …/appeal, multipart: `input` (JSON) and each file as `evidence-file`; the first request is the final one |
| accept | POST …/accept-claim with `REFUND`: PayPal pays the customer back from our balance, for good |
| types | what `evidences[]` asks the seller for (`REQUESTED_FROM_SELLER`) where we have it (`TYPES`), the rest as `OTHER`. Types that want a parcel's number or a refund's id are never claimed |
| notes | 2,000 characters of each piece of evidence; a text that does not fit there has to stand in a document |
| files | JPG, GIF, PNG, PDF, each below 10 MB, 50 MB together |
| inquiry | buyer and seller settle it themselves: one message to the customer (POST …/send-message, multipart: `input` and each file as `message_document`, 2,000 characters) says what speaks for the payment, of what the customer may be told (`TO_CUSTOMER`). To whoever writes back a person answers |
| accept an inquiry | as a claim where that is linked, else by an offer of `REFUND` over the whole amount (POST …/make-offer), where `allowed_response_options` has it: PayPal closes the dispute with it |
| repeated | no idempotency key is documented for disputes. Notes, messages and offers end with our key, and read back they tell which answer it was |

After a claim was accepted it is closed in the customer's favour, as after a deadline that was missed: what was decided before the
seller's deadline was accepted.

Sources: PayPal docs "Disputes integration guide", "Supported file types and sizes", "invalid_evidence_file"; PayPal's
OpenAPI description customer_disputes_v1.
"""

import json
import re
from collections.abc import Iterator, Mapping

from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.providers.kit.filing import fee_problems, first_open
from shared.providers.kit.reading import Node, parse, rfc3339, unreadable
from shared.providers.kit.submitting import (
    GIF,
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
    words_of,
    wrong_files,
)
from shared.providers.paypal.api import API_HOSTS as API_HOSTS
from shared.providers.paypal.api import read_token as read_token
from shared.providers.paypal.api import token_request as token_request
from shared.providers.paypal.webhook import NAME as NAME

LONGEST_NOTES = 2_000
# "Less than 10 MB".
_FILE, _TOGETHER = 9_999_999, 50_000_000
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]{0,254}", flags=re.ASCII)
_OTHER = "OTHER"
# PayPal's types of evidence that notes and documents alone make up → what of ours is told as one, where it is asked for.
TYPES: dict[str, frozenset[Item]] = {
    "PROOF_FOR_SOFTWARE_OR_SERVICE_DELIVERED": frozenset({Item.USAGE, Item.LOGIN, Item.DEVICE, Item.SERVICE_DATE}),
    "ITEM_DESCRIPTION": frozenset({Item.PRODUCT}),
    "BILLING_AGREEMENT": frozenset({Item.PLAN, Item.CANCELLATION}),
    "RETURN_POLICY": frozenset({Item.POLICY}),
    "DETAILS_OF_PURCHASE": frozenset({Item.PAYMENT, Item.DESCRIPTOR, Item.PURCHASE_IP}),
}
# What the other side of an inquiry is told: of the purchase, not of how we know who made it.
TO_CUSTOMER = frozenset(
    {Item.PAYMENT, Item.DESCRIPTOR, Item.PRODUCT, Item.USAGE, Item.SERVICE_DATE, Item.PLAN, Item.CANCELLATION}
    | {Item.POLICY, Item.REFUNDS, Item.DUPLICATE}
)
_ACTIONS = {
    Act.SUBMIT: ("provide_evidence", "appeal", "send_message"),
    Act.ACCEPT: ("accept_claim", "make_offer"),
}
# Action → where PayPal lists the ways in which it may be done.
_WAYS = {"accept_claim": ("accept_claim", "accept_claim_types"), "make_offer": ("make_offer", "offer_types")}
_FULL = "REFUND"
_NOTE_OF_ACCEPTANCE = "The claim is accepted, and the payment is given back in full."
_REFERENCE = "Reference: "


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    if contest.act is Act.ACCEPT:
        return
    yield from fee_problems(contest)
    if contest.stage is DisputeStage.INQUIRY and not _fitting(contest, TO_CUSTOMER):
        yield "there is nothing that the customer may be told, which is how an inquiry at PayPal is answered"
    documents, texts = documents_of(contest), texts_of(contest)
    if not documents and not said(texts, tuple(Item)):
        yield "there is no evidence"
    yield from wrong_files(documents, Limits({JPEG: _FILE, GIF: _FILE, PNG: _FILE, PDF: _FILE}, _TOGETHER, at_most=100))
    shown = {item for document in documents for item in document.items}
    # All of it may have to go as one piece.
    left_out = [item for item in texts if item not in _fitting(contest, frozenset(texts)) and item not in shown]
    if left_out:
        names = ", ".join(item.value for item in left_out)
        yield f"the notes take {LONGEST_NOTES} characters, and no document shows what is beyond: {names}"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return ApiRequest("GET", _address(contest, api), _headers(api))


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    return _standing(contest, _same(contest, answer)) if answer.status == 200 else Standing.UNKNOWN


def _standing(contest: Contest, dispute: Node) -> Standing:
    evidence = [one for one in dispute.nodes("evidences") if one.hint("source") == "SUBMITTED_BY_SELLER"]
    offers = [one for one in dispute.at("offer").nodes("history") if one.hint("actor") == "SELLER"]
    said = [str(one.raw("notes")) for one in (*evidence, *offers)] + _messages(dispute)
    if any(contest.key in one for one in said):
        return Standing.ANSWERED
    status = dispute.hint("status") or ""
    linked = _action(contest, dispute)
    if status == "RESOLVED":
        if contest.act is Act.ACCEPT:
            return Standing.ANSWERED if _was_accepted(dispute) else Standing.OVER
        return Standing.WAITS if linked else Standing.OVER
    if status == "UNDER_REVIEW" and evidence and contest.act is Act.SUBMIT:
        return Standing.ANSWERED
    return Standing.WAITS if linked else Standing.UNKNOWN


def _was_accepted(dispute: Node) -> bool:
    outcome = dispute.hint("dispute_outcome", "outcome_code")
    decided, due = dispute.raw("update_time"), dispute.raw("seller_response_due_date")
    if outcome != "RESOLVED_BUYER_FAVOUR" or not isinstance(decided, str) or not isinstance(due, str):
        return outcome == "ACCEPTED"
    at, until = rfc3339(decided), rfc3339(due)
    return at is not None and until is not None and at < until


def _same(contest: Contest, answer: ApiAnswer) -> Node:
    dispute = parse(answer.body)
    if dispute.word("dispute_id") != contest.answer_id:
        raise unreadable("dispute_id", "another object than was asked for", "another_object")
    return dispute


def _messages(dispute: Node) -> list[str]:
    """What we wrote to the customer."""
    return [str(one.raw("content")) for one in dispute.nodes("messages") if one.hint("posted_by") == "SELLER"]


def _action(contest: Contest, dispute: Node) -> str | None:
    """The first action that answers, of those that are linked and, where it pays back, may pay all of it back."""
    links = {(link.hint("rel") or "").replace("-", "_") for link in dispute.nodes("links")}
    linked = [action for action in _ACTIONS[contest.act] if action in links]
    return next((action for action in linked if _pays_in_full(action, dispute)), None)


def _pays_in_full(action: str, dispute: Node) -> bool:
    """Where PayPal lists no ways, its link is enough."""
    ways = dispute.raw("allowed_response_options", *_WAYS[action]) if action in _WAYS else None
    return type(ways) is not list or _FULL in ways


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    yield Step(name="dispute", request=standing_request(contest, api))
    action, *asked = done["dispute"].split(" ")
    url = f"{_address(contest, api)}/{action.replace('_', '-')}"
    media_type, body = _said(contest, action, asked)
    request = ApiRequest("POST", url, {**_headers(api), "Content-Type": media_type}, body)
    yield Step(name="answer", request=request, final=True)


def _address(contest: Contest, api: ApiCredentials) -> str:
    if not _ID.fullmatch(contest.answer_id):
        raise unreadable("answer_id", "not a dispute of PayPal's", "unreadable_id")
    base = api.base_url or f"https://api-m{'' if contest.livemode else '.sandbox'}.paypal.com"
    return f"{base}/v1/customer/disputes/{contest.answer_id}"


def _headers(api: ApiCredentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}


def _said(contest: Contest, action: str, asked: list[str]) -> tuple[str, bytes]:
    """(Content-Type, body) of what is posted to `action`."""
    match action:
        case "accept_claim":
            return "application/json", _json({"accept_claim_type": _FULL, "note": _NOTE_OF_ACCEPTANCE})
        case "make_offer":
            if contest.amount is None:
                raise unreadable("amount", "an offer needs one", "missing_field")
            told = {"note": f"{_NOTE_OF_ACCEPTANCE} {_reference(contest)}", "offer_type": _FULL}
            amount = {"currency_code": contest.amount.currency, "value": f"{contest.amount.major():f}"}
            return "application/json", _json({**told, "offer_amount": amount})
        case "send_message":
            return _message(contest)
        case _:
            return _evidence(contest, asked)


def _message(contest: Contest) -> tuple[str, bytes]:
    text = said(texts_of(contest), _fitting(contest, TO_CUSTOMER))
    parts = [Part("input", _json({"message": f"{text}\n\n{_reference(contest)}"}), "application/json")]
    parts += [
        Part("message_document", one.data, one.media_type, one.name)
        for one in documents_of(contest)
        if one.items and TO_CUSTOMER.issuperset(one.items)
    ]
    return multipart(parts)


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _evidence(contest: Contest, asked: list[str]) -> tuple[str, bytes]:
    documents = documents_of(contest)
    types = {one: TYPES[one] for one in dict.fromkeys(asked) if one in TYPES}
    rest = frozenset(Item).difference(*types.values())
    pieces: list[dict[str, object]] = []
    for kind, items in (*types.items(), (_OTHER, rest)):
        piece: dict[str, object] = {}
        notes = said(texts_of(contest), _fitting(contest, items))
        if kind == _OTHER:
            notes = "\n\n".join(part for part in (notes, _reference(contest)) if part)
        if notes:
            piece["notes"] = notes
        # Each document once, with the first piece that it shows anything of; what shows several things goes with the rest.
        names = [{"name": one.name} for one in documents if _belongs(frozenset(one.items), kind, items, types)]
        if names:
            piece["documents"] = names
        if piece:
            pieces.append({"evidence_type": kind, **piece})
    parts = [Part("input", _json({"evidences": pieces}), "application/json")]
    parts += [Part("evidence-file", one.data, one.media_type, one.name) for one in documents]
    return multipart(parts)


def _belongs(shown: frozenset[Item], kind: str, items: frozenset[Item], types: Mapping[str, frozenset[Item]]) -> bool:
    if kind == _OTHER:
        return not any(shown and shown <= about for about in types.values())
    return bool(shown) and shown <= items and kind == next(one for one, about in types.items() if shown <= about)


def _reference(contest: Contest) -> str:
    return f"{_REFERENCE}{contest.key}"


def _fitting(contest: Contest, items: frozenset[Item]) -> frozenset[Item]:
    """Those of `items` whose texts fit into one piece's notes beside our reference, the first ones first."""
    texts, found = texts_of(contest), frozenset[Item]()
    for item in Item:
        more = found | {item}
        if item in items and item in texts and len(said(texts, more)) <= LONGEST_NOTES - len(_reference(contest)) - 2:
            found = more
    return found


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if is_refusal(answer.status):
        return _refusal(answer)
    if answer.status not in (200, 201, 202):
        raise undecided(answer)
    if step.name != "dispute":
        if not parse(answer.body).nodes("links"):
            raise unreadable("links", "does not say that it was taken", "undecided")
        return Done(value=contest.answer_id)
    dispute = _same(contest, answer)
    action = _action(contest, dispute)
    if action == "send_message" and any(_REFERENCE in one for one in _messages(dispute)):
        return refused("customer_wrote_back", "the customer has our message, and wrote back: a person answers")
    if action is None:
        status = dispute.hint("status") or "of no status"
        stands = _standing(contest, dispute) is Standing.ANSWERED
        return refused("no_link", f"PayPal no longer lets us answer: the dispute is {status}", stands=stands)
    return Done(value=" ".join((action, *_asked(dispute))))


def _asked(dispute: Node) -> list[str]:
    evidence = dispute.nodes("evidences")
    asked = [one.hint("evidence_type") for one in evidence if one.hint("source") == "REQUESTED_FROM_SELLER"]
    return [one for one in dict.fromkeys(asked) if one in TYPES]


def _refusal(answer: ApiAnswer) -> Refused:
    error = words_of(answer)
    detail = next(iter(error.nodes("details")), error.at("details"))
    code = detail.hint("issue") or error.hint("name") or error.hint("error")
    told = (error.raw("message"), detail.raw("description"))
    stands = any("already" in one.lower() for one in told if isinstance(one, str))
    return refused(code or f"status_{answer.status}", *told, stands=stands)
