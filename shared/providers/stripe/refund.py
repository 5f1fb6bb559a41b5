"""Stripe: a payment is refunded in full, to answer who warns of a dispute.

| fact | value |
|---|---|
| refund | POST /v1/refunds with the charge or the payment intent; without an amount all that is left goes back |
| reason | `fraudulent`, where it is warned of fraud: Stripe then blocks the card and the e-mail address as well |
| repeated | `Idempotency-Key`: Stripe remembers it for 24 hours. Later the refund is found by our key in its `metadata` |
| refused | `charge_already_refunded`; `charge_disputed`: a chargeback has taken the money, or is about to |
| read back | the charge, with its refunds: the newest ten come along |

Sources: Stripe API reference "Create a refund", "The Charge object", "Idempotent requests"; docs "Error codes", "Refund and cancel
payments"; "The Early Fraud Warning object".
"""

import re
from urllib.parse import urlencode

from shared.domain.answers import Contest, Done, Refused, Remembered, Standing, Step, StepOutcome
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.events import DisputeReason
from shared.providers.kit.reading import Node, parse, unreadable
from shared.providers.kit.submitting import is_refusal, refused, undecided, words_of
from shared.providers.stripe.answer import API_HOSTS as API_HOSTS
from shared.providers.stripe.api import ID, headers
from shared.providers.stripe.webhook import NAME as NAME
from shared.providers.stripe.webhook import OUR_KEY

"""The member of `metadata` that has our key."""
_PAID = re.compile(r"(?:ch|py|pi)_[A-Za-z0-9]{1,200}", flags=re.ASCII)


def problems(contest: Contest) -> tuple[str, ...]:
    return () if _PAID.fullmatch(contest.payment_id or "") else ("not a payment of Stripe's",)


def standing_request(contest: Contest, api: ApiCredentials) -> ApiRequest:
    paid = _paid(contest)
    is_intent = paid.startswith("pi_")
    path = f"payment_intents/{paid}" if is_intent else f"charges/{paid}"
    asked = urlencode({"expand[]": "latest_charge.refunds" if is_intent else "refunds"})
    url = f"{api.base_url or 'https://api.stripe.com'}/v1/{path}?{asked}"
    return ApiRequest("GET", url, headers(api, contest.account))


def read_standing(contest: Contest, answer: ApiAnswer) -> Standing:
    if answer.status != 200:
        return Standing.UNKNOWN
    paid = parse(answer.body)
    if paid.word("id") != _paid(contest):
        raise unreadable("id", "another object than was asked for", "another_object")
    charge = paid.at("latest_charge") if paid.hint("object") == "payment_intent" else paid
    if any(refund.hint("metadata", OUR_KEY) == contest.key for refund in charge.nodes("refunds", "data")):
        return Standing.ANSWERED
    if charge.flag("disputed") is True:
        return Standing.OVER
    return Standing.ANSWERED if charge.flag("refunded") is True else Standing.WAITS


def next_step(contest: Contest, done: Remembered, api: ApiCredentials) -> Step | None:
    if "refund" in done:
        return None
    paid = _paid(contest)
    fields = {"payment_intent" if paid.startswith("pi_") else "charge": paid, f"metadata[{OUR_KEY}]": contest.key}
    if contest.reason in (None, DisputeReason.FRAUD):
        fields["reason"] = "fraudulent"
    keyed = {"Idempotency-Key": f"{contest.key}-refund", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{api.base_url or 'https://api.stripe.com'}/v1/refunds"
    request = ApiRequest("POST", url, {**headers(api, contest.account), **keyed}, urlencode(fields).encode())
    return Step(name="refund", request=request, final=True, keyed=True)


def read_step(contest: Contest, step: Step, answer: ApiAnswer) -> StepOutcome:
    del contest, step
    if answer.status == 409:
        raise unreadable("status", "the same request is at work", "in_progress")
    if is_refusal(answer.status):
        return _refusal(answer)
    if answer.status != 200:
        raise undecided(answer)
    refund = parse(answer.body)
    if refund.hint("object") != "refund" or not ID.fullmatch(own := refund.word("id")):
        raise unreadable("id", "not a refund of Stripe's", "unreadable_id")
    if refund.hint("status") in ("failed", "canceled"):
        return refused("refund_failed", refund.hint("failure_reason"))
    return Done(value=own)


def _paid(contest: Contest) -> str:
    if not _PAID.fullmatch(contest.payment_id or ""):
        raise unreadable("payment_id", "not a payment of Stripe's", "unreadable_id")
    return contest.payment_id or ""


def _refusal(answer: ApiAnswer) -> Refused:
    error: Node = words_of(answer).at("error")
    code = error.hint("code") or error.hint("type") or f"status_{answer.status}"
    return refused(code, error.raw("message"), stands=code == "charge_already_refunded")
