"""Stripe: evidence is staged on the dispute, then submitted; a dispute that is not fought is closed.

| fact | value |
|---|---|
| files | POST files.stripe.com/v1/files, `purpose=dispute_evidence`: PDF, JPEG, PNG of 5 MB at most |
| stage | POST /v1/disputes/{id} with `submit=false`, so that what Stripe will not have is known before the one submission |
| submit | the same once more with `submit=true`; said each time, for left out it means true. It carries the evidence again: what goes is ours, whatever somebody staged in between |
| accept | POST /v1/disputes/{id}/close, for good |
| texts | 20,000 characters a field, 150,000 in all |
| repeated | `Idempotency-Key` on every POST: Stripe remembers a key for 24 hours and answers as it did the first time, 500 included; while the first is at work, 409 |
| fee | a compliance case costs 500 USD, given back to who wins, and takes no evidence without `fee_acknowledged`: sent when somebody has agreed (`acknowledged`), and never otherwise |
| appeal | of a dispute that was lost: one text and a list of files |

Visa's Compelling Evidence 3.0 goes along as `enhanced_evidence` where the case is Visa's 10.4 and what our records hold has the
form that Stripe asks for: exactly two earlier charges, and on all three at least two alike of address, device and account, the
first or the second among them; a device's id has at least 15 characters. An earlier payment is told by its charge, so that of
a payment intent the charge is read first. Where the form is not met the ordinary evidence goes alone.

A document about one thing goes where Stripe asks for that; one about several, or whose place is taken, to
`uncategorized_file`.

Not settled by public pages: what Stripe says to a second submission. Words that say "already" are taken for it, and whoever
is refused reads the dispute back. How large (4.5 MB) and long (Mastercard 19 pages, others 49) all files may be
together is from the dashboard's guide, not from the API's reference.

Sources: Stripe docs "Respond to disputes using the API", "Update a dispute", "Close a dispute", "File upload guide", "Visa CE
3.0", "Visa compliance disputes", "Idempotent requests"; `DisputeUpdateParams` of Stripe's Python SDK 16.1.0.
"""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

from shared.domain.addresses import address
from shared.domain.answers import Act, Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeReason, DisputeStage, DisputeStatus
from shared.domain.evidence import Document, Item, Purchase
from shared.providers.kit.filing import fee_problems, first_open
from shared.providers.kit.reading import Node, parse, unreadable
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
    words_of,
    wrong_files,
)
from shared.providers.stripe.api import ID, headers
from shared.providers.stripe.webhook import NAME as NAME
from shared.providers.stripe.webhook import STATUSES

API_HOSTS = frozenset({"api.stripe.com", "files.stripe.com"})
LONGEST_FIELD, LONGEST = 20_000, 150_000
_FILE = 5_000_000
_TOGETHER = 4_500_000
_PAGES, _PAGES_OF_MASTERCARD = 49, 19
_SHORTEST_DEVICE = 15
_CARD_NOT_PRESENT = "10.4"
_CHARGE = re.compile(r"(?:ch|py)_[A-Za-z0-9]{1,200}", flags=re.ASCII)
_INTENT = re.compile(r"pi_[A-Za-z0-9]{1,200}", flags=re.ASCII)
_DISPUTE = re.compile(r"(?:dp|du|pdp|ch|py)_[A-Za-z0-9_]{1,200}", flags=re.ASCII)

# Items to the field that takes their texts; what is in none of them is told in `uncategorized_text`.
TEXTS: dict[str, tuple[Item, ...]] = {
    "product_description": (Item.PRODUCT,),
    "service_date": (Item.SERVICE_DATE,),
    "billing_address": (Item.BILLING_COUNTRY,),
    "access_activity_log": (Item.DEVICE, Item.LOGIN, Item.USAGE),
    "cancellation_rebuttal": (Item.CANCELLATION,),
    "refund_refusal_explanation": (Item.REFUNDS,),
    "duplicate_charge_explanation": (Item.DUPLICATE,),
}
POLICY = {True: "cancellation_policy", False: "refund_policy"}
"""By whether the customer says that it was canceled."""
FILES: dict[Item, str] = {
    Item.PAYMENT: "receipt",
    Item.MESSAGES: "customer_communication",
    Item.USAGE: "service_documentation",
    Item.DUPLICATE: "duplicate_charge_documentation",
}
_ANYTHING = "uncategorized_file"


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    if contest.act is Act.ACCEPT:
        return
    yield from fee_problems(contest)
    if contest.fee is not None and contest.network not in _COMPLIANCE:
        yield "a compliance case of a network that Stripe names no field for"
    documents = documents_of(contest)
    pages = _PAGES_OF_MASTERCARD if contest.network == "mastercard" else _PAGES
    yield from wrong_files(documents, Limits({PDF: _FILE, JPEG: _FILE, PNG: _FILE}, _TOGETHER, pages))
    if not _is_appeal(contest) and len(_placed(contest)) < len(documents):
        yield "more documents than Stripe has places for"
    texts = _texts(contest)
    if not texts and not documents:
        yield "there is no evidence"
    for field, text in texts.items():
        if len(text) > LONGEST_FIELD:
            yield f"{field} has {len(text)} characters: at most {LONGEST_FIELD} are taken"
    if (length := sum(map(len, texts.values()))) > LONGEST:
        yield f"{length} characters: at most {LONGEST} are taken in all"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return ApiRequest("GET", _address(contest, api), headers(api, contest.account))


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    dispute = _same(contest, answer)
    word = dispute.hint("status") or ""
    if word not in STATUSES:
        return Standing.UNKNOWN
    stage, status = STATUSES[word]
    by_case = DisputeStage.INQUIRY if dispute.hint(*_CASE) == "inquiry" else DisputeStage.CHARGEBACK
    if status is DisputeStatus.NEEDS_RESPONSE:
        if dispute.raw("evidence_details", "due_by") in (None, 0) or contest.stage not in (None, stage or by_case):
            return Standing.OVER
        return Standing.WAITS
    submitted = _submissions(dispute) > 0
    if status is DisputeStatus.UNDER_REVIEW:
        return Standing.ANSWERED if submitted else Standing.OVER
    if contest.act is Act.ACCEPT and status is DisputeStatus.LOST and not submitted and not _is_past_due(dispute):
        return Standing.ANSWERED
    return Standing.OVER


_CASE = ("payment_method_details", "card", "case_type")


def _same(contest: Contest, answer: ApiAnswer) -> Node:
    dispute = parse(answer.body)
    if dispute.word("id") != contest.answer_id or dispute.hint("object") != "dispute":
        raise unreadable("id", "another object than was asked for", "another_object")
    return dispute


def _submissions(dispute: Node) -> int:
    count = dispute.raw("evidence_details", "submission_count")
    return count if type(count) is int else 0


def _is_past_due(dispute: Node) -> bool:
    return dispute.flag("evidence_details", "past_due") is True


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, done, api), done)


def _steps(contest: Contest, done: Remembered, api: ApiCredentials) -> Iterator[Step]:
    at = _address(contest, api)
    if contest.act is Act.ACCEPT:
        yield _post(contest, api, "close", f"{at}/close", {}, final=True)
        return
    for number, document in enumerate(documents_of(contest), start=1):
        yield _upload(contest, api, f"file-{number}", document)
    for number, intent in enumerate(_intents(contest), start=1):
        url = f"{api.base_url or 'https://api.stripe.com'}/v1/payment_intents/{intent}"
        yield Step(name=f"charge-{number}", request=ApiRequest("GET", url, headers(api, contest.account)))
    evidence = _evidence(contest, done)
    yield _post(contest, api, "stage", at, {**evidence, "submit": "false"})
    yield _post(contest, api, "submit", at, {**evidence, "submit": "true"}, final=True)


def _post(
    contest: Contest, api: ApiCredentials, name: str, url: str, fields: dict[str, str], *, final: bool = False
) -> Step:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    request = ApiRequest("POST", url, {**_keyed(contest, api, name), **form}, urlencode(fields).encode())
    return Step(name=name, request=request, final=final, keyed=True)


def _upload(contest: Contest, api: ApiCredentials, name: str, document: Document) -> Step:
    media_type, body = multipart(
        (Part("purpose", b"dispute_evidence"), Part("file", document.data, document.media_type, document.name))
    )
    url = f"{api.base_url or 'https://files.stripe.com'}/v1/files"
    request = ApiRequest("POST", url, {**_keyed(contest, api, name), "Content-Type": media_type}, body)
    return Step(name=name, request=request, keyed=True)


def _keyed(contest: Contest, api: ApiCredentials, name: str) -> dict[str, str]:
    return {**headers(api, contest.account), "Idempotency-Key": f"{contest.key}-{name}"}


def _address(contest: Contest, api: ApiCredentials) -> str:
    if not _DISPUTE.fullmatch(contest.answer_id):
        raise unreadable("answer_id", "not a dispute of Stripe's", "unreadable_id")
    return f"{api.base_url or 'https://api.stripe.com'}/v1/disputes/{contest.answer_id}"


def _is_appeal(contest: Contest) -> bool:
    return contest.stage is DisputeStage.PRE_ARBITRATION


def _evidence(contest: Contest, done: Remembered) -> dict[str, str]:
    """The form's fields."""
    texts = _texts(contest)
    if _is_appeal(contest):
        card = "evidence[appeal][card]"
        files = {f"{card}[supporting_files][{at}]": done[f"file-{at + 1}"] for at in range(len(documents_of(contest)))}
        return {f"{card}[{field}]": text for field, text in texts.items()} | files
    fields = {f"evidence[{field}]": text for field, text in texts.items()}
    fields |= {f"evidence[{field}]": done[f"file-{at + 1}"] for field, at in _placed(contest).items()}
    if contest.fee is not None and contest.acknowledged and contest.network in _COMPLIANCE:
        fields[f"evidence[enhanced_evidence][{_COMPLIANCE[contest.network]}][fee_acknowledged]"] = "true"
    return fields | _compelling(contest, done)


_COMPLIANCE = {"visa": "visa_compliance", "mastercard": "mastercard_compliance"}


def _texts(contest: Contest) -> dict[str, str]:
    """Field → text, of those that have one."""
    texts = texts_of(contest)
    if _is_appeal(contest):
        found = {"reason_for_filing": said(texts, tuple(Item))}
    else:
        found = {field: said(texts, items) for field, items in TEXTS.items()}
        policy = POLICY[contest.reason is DisputeReason.CANCELED]
        found[f"{policy}_disclosure"] = said(texts, (Item.POLICY,))
        rest = set(Item).difference(*TEXTS.values(), (Item.POLICY,))
        # A field that asks for an address takes nothing else.
        ip = address(texts.get(Item.PURCHASE_IP, "").strip())
        if ip:
            found["customer_purchase_ip"] = ip
            rest.discard(Item.PURCHASE_IP)
        found["uncategorized_text"] = said(texts, rest)
    return {field: text for field, text in found.items() if text}


def _placed(contest: Contest) -> dict[str, int]:
    """Field → which document; each field takes one."""
    policy = POLICY[contest.reason is DisputeReason.CANCELED]
    placed: dict[str, int] = {}
    for at, document in enumerate(documents_of(contest)):
        asked = [FILES.get(item) or (policy if item is Item.POLICY else _ANYTHING) for item in document.items]
        wanted = asked if len(asked) == 1 else [_ANYTHING, *asked]
        field = next((one for one in (*wanted, _ANYTHING) if one not in placed), None)
        if field:
            placed[field] = at
    return placed


def _compelling(contest: Contest, done: Remembered) -> dict[str, str]:
    purchases = _three(contest)
    if purchases is None:
        return {}
    root = "evidence[enhanced_evidence][visa_compelling_evidence_3]"
    disputed, *priors = purchases
    fields = _told(f"{root}[disputed_transaction]", disputed, _alike(purchases))
    fields[f"{root}[disputed_transaction][merchandise_or_services]"] = "services"
    for at, prior in enumerate(priors):
        name = f"{root}[prior_undisputed_transactions][{at}]"
        fields[f"{name}[charge]"] = _charge(contest, prior, done)
        fields |= _told(name, prior, _alike(purchases))
    return fields


def _three(contest: Contest) -> tuple[Purchase, ...] | None:
    """The disputed payment and two earlier ones, where they have the form that Stripe asks for."""
    found = contest.packet.compelling if contest.packet else None
    if found is None or contest.network != "visa" or contest.reason_code != _CARD_NOT_PRESENT or _is_appeal(contest):
        return None
    charged = [one for one in found.priors if one.provider == NAME and _is_ours(one.payment_id)]
    purchases = (found.disputed, *charged[:2])
    # Of three elements two are alike: the address or the device is one of them, as Visa asks for.
    has_form = len(purchases) == 3 and len(_alike(purchases)) >= 2 and all(one.product for one in purchases)
    return purchases if has_form else None


def _is_ours(payment_id: str) -> bool:
    return bool(_CHARGE.fullmatch(payment_id) or _INTENT.fullmatch(payment_id))


def _alike(purchases: tuple[Purchase, ...]) -> frozenset[str]:
    """What all have, and all have the same of."""
    found = set()
    for element in ("ip", "device_id", "login"):
        values = {getattr(one, element) for one in purchases}
        value = values.pop() if len(values) == 1 else None
        if value and (element != "device_id" or len(value) >= _SHORTEST_DEVICE):
            found.add(element)
    return frozenset(found)


_ELEMENTS = {"ip": "customer_purchase_ip", "device_id": "customer_device_id", "login": "customer_account_id"}


def _told(name: str, purchase: Purchase, alike: frozenset[str]) -> dict[str, str]:
    fields = {f"{name}[{field}]": getattr(purchase, one) for one, field in _ELEMENTS.items() if one in alike}
    return {**fields, f"{name}[product_description]": purchase.product or ""}


def _intents(contest: Contest) -> tuple[str, ...]:
    """The earlier payments of which the charge has to be read."""
    return tuple(one.payment_id for one in (_three(contest) or ())[1:] if not _CHARGE.fullmatch(one.payment_id))


def _charge(contest: Contest, prior: Purchase, done: Remembered) -> str:
    if _CHARGE.fullmatch(prior.payment_id):
        return prior.payment_id
    return done[f"charge-{_intents(contest).index(prior.payment_id) + 1}"]


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if answer.status == 409:
        raise unreadable("status", "the same request is at work, or the dispute is locked", "in_progress")
    if is_refusal(answer.status):
        return _refusal(answer)
    if answer.status != 200:
        raise undecided(answer)
    if step.name.startswith("file-"):
        return Done(value=_id(parse(answer.body), "id"))
    if step.name.startswith("charge-"):
        return Done(value=_id(parse(answer.body), "latest_charge"))
    dispute = _same(contest, answer)
    taken = _submissions(dispute) > 0 if step.name == "submit" else dispute.hint("status") == "lost"
    if step.final and not taken:
        raise unreadable("evidence_details", "does not say that it was taken", "undecided")
    return Done(value=contest.answer_id)


def _id(thing: Node, name: str) -> str:
    found = thing.word(name)
    if not ID.fullmatch(found):
        raise unreadable(name, "not an id of Stripe's", "unreadable_id")
    return found


def _refusal(answer: ApiAnswer) -> Refused:
    error = words_of(answer).at("error")
    code, message = error.hint("code") or error.hint("type"), error.raw("message")
    stands = answer.status == 400 and type(message) is str and "already" in message.lower()
    return refused(code or f"status_{answer.status}", message, stands=stands)
