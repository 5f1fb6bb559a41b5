"""Google Play: a review of a refund, answered before a chargeback is granted.

| fact | value |
|---|---|
| order | one call, POST …/applications/{package}/orders/{order}:reviewrefund, within 24 hours of the notification |
| what is told | `pendingRefundToken` of the notification (the dispute's `answer_id`); `refundPreference`, DECLINE for a submission, APPROVE for an acceptance; `sampleContentProvided`, by the packet's `consumption`; and, of customers who agreed, `consumptionPercentageMilliunits` and `consumptionUsageEvents`: times only, the last 1,000. Texts and files are not taken |
| consent | Google asks for none; what a customer did with a purchase is told only with it all the same |
| repeats | Google records the first call after a notification and ignores any later one, and says OK to all of them: a repeat is harmless |
| read back | orders.get tells that the money went back (REFUNDED, CANCELED): over. Nothing tells whether a review was answered: otherwise unknown |
| key | our service account's own token, of the scope `androidpublisher` |
| refusals | Google's errors: `error.status`, `error.message` |

Sources: Android docs "Provide refund and chargeback suggestions", "Real-time developer notifications reference"; Android
Publisher API v3, orders.reviewrefund; Google's PHP and .NET libraries (limits).
"""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

from shared.domain.answers import Act, Contest, Done, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.evidence import Consumption
from shared.providers.google.api import API_HOSTS as API_HOSTS
from shared.providers.google.api import API_SCOPE as API_SCOPE
from shared.providers.google.webhook import NAME as NAME
from shared.providers.google.webhook import ORDER_ID, PACKAGE, REVIEW_TOKEN
from shared.providers.kit.filing import fee_problems, first_open, harmless, json_body, nothing_else, taken
from shared.providers.kit.reading import parse, unreadable
from shared.providers.kit.submitting import refused, words_of

TELLS_USE = True
TAKES_EVIDENCE = False
WHOLE = 100_000
MOST_USES = 1000

OVER = frozenset({"REFUNDED", "CANCELED"})


def problems(contest: Contest) -> tuple[str, ...]:
    return tuple(_problems(contest))


def _problems(contest: Contest) -> Iterator[str]:
    yield from fee_problems(contest)
    if contest.contested not in (None, contest.amount):
        yield "Google takes no preference for a part"
    if contest.answer_id == contest.dispute_id:
        yield "the token of the review is not known: no notification told it"
    told = contest.packet.consumption if contest.packet else None
    if told is None:
        yield "nothing says that it was delivered, or what was offered before the purchase, which Google wants to know"
    elif told.share is not None and not 0 <= told.share <= WHOLE:
        yield f"a share of {told.share} is none of {WHOLE}"


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    return _request("GET", "", contest, api)


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    order = parse(answer.body)
    if order.raw("orderId") != contest.dispute_id:
        raise unreadable("orderId", "another order than was asked for", "another_object")
    return Standing.OVER if order.word("state") in OVER else Standing.UNKNOWN


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    return first_open(_steps(contest, api), done)


def _steps(contest: Contest, api: ApiCredentials) -> Iterator[Step]:
    told = contest.packet.consumption if contest.packet else None
    if told is None:
        raise unreadable("packet.consumption", "missing", "missing_field")
    body = json_body(_review(contest, told))
    yield Step(name="review", request=_request("POST", ":reviewrefund", contest, api, body), final=True, keyed=True)


def _review(contest: Contest, told: Consumption) -> dict[str, Any]:
    review: dict[str, Any] = {
        "pendingRefundToken": harmless(REVIEW_TOKEN, contest.answer_id, "answer_id", "a review of Google"),
        "sampleContentProvided": told.sampled,
        "refundPreference": "DECLINE" if contest.act is Act.SUBMIT else "APPROVE",
    }
    if told.consented and told.share is not None:
        review["consumptionPercentageMilliunits"] = told.share
    if told.consented and told.uses:
        last = sorted(told.uses)[-MOST_USES:]
        review["consumptionUsageEvents"] = [
            {"consumptionTime": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")} for at in last
        ]
    return review


def _request(method: str, verb: str, contest: Contest, api: ApiCredentials, body: bytes = b"") -> ApiRequest:
    package = harmless(PACKAGE, contest.account, "account", "an app of Google Play")
    order = harmless(ORDER_ID, contest.dispute_id, "dispute_id", "an order of Google Play")
    headers = {"Authorization": f"Bearer {api.key}", "Accept": "application/json"}
    if body:
        headers["Content-Type"] = "application/json"
    base = api.base_url or "https://androidpublisher.googleapis.com"
    path = f"androidpublisher/v3/applications/{package}/orders/{order}{verb}"
    return ApiRequest(method, f"{base}/{path}", headers, body)


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    if not taken(answer):
        body = words_of(answer)
        return refused(body.raw("error", "status") or answer.status, body.raw("error", "message"))
    nothing_else(answer)
    return Done(value=contest.dispute_id)
