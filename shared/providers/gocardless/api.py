"""GoCardless' payments and refunds, read back: its webhooks say what happened, not how much."""

from collections.abc import Collection

from shared.domain.api import ApiCredentials, ApiRequest
from shared.domain.events import (
    AnyEvent,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    PaymentChanged,
    PaymentStep,
    ResourceChanged,
)
from shared.providers.gocardless.webhook import (
    CHARGEBACKS,
    HARD_DECLINES,
    PAYMENT_STEPS,
    REASONS,
    REFUND_STEPS,
    checked,
)
from shared.providers.gocardless.webhook import NAME as NAME
from shared.providers.kit.envelope import Base, of_poke
from shared.providers.kit.reading import minor_money, parse, unreadable

API_HOSTS = frozenset({"api.gocardless.com", "api-sandbox.gocardless.com"})
API_VERSION = "2015-07-06"


def resource_request(event: ResourceChanged, api: ApiCredentials) -> ApiRequest:
    host = "https://api.gocardless.com" if event.livemode else "https://api-sandbox.gocardless.com"
    return ApiRequest(
        "GET",
        f"{api.base_url or host}/{event.resource}/{checked(event.resource, event.resource_id)}",
        {"Authorization": f"Bearer {api.key}", "GoCardless-Version": API_VERSION, "Accept": "application/json"},
    )


def read_resource(event: ResourceChanged, body: bytes) -> tuple[AnyEvent, ...]:
    thing = parse(body).at(event.resource)
    if thing.word("id") != event.resource_id:
        raise unreadable(thing.where("id"), "another object than was asked for", "another_object")
    action, cause, code = (*(event.hint or "").split(" "), "-", "-", "-")[:3]
    reason = cause if cause != "-" else None
    base: Base = {**of_poke(event), "event_id": event.event_id, "occurred_at": event.occurred_at}
    amount = minor_money(thing, "amount", "currency", {})
    if event.resource == "refunds":
        payment_id = thing.maybe_text("links", "payment")
        step = REFUND_STEPS.get(action)
        # A refund of a mandate is of no payment of ours.
        if payment_id is None or step is None:
            return ()
        return (PaymentChanged(**base, payment_id=payment_id, step=step, amount=amount, reference=event.resource_id),)
    if action in CHARGEBACKS:
        status, final, sign = CHARGEBACKS[action]
        return (
            DisputeChanged(
                **base,
                dispute_id=event.resource_id,
                payment_id=event.resource_id,
                stage=DisputeStage.CHARGEBACK,
                status=status,
                final=final,
                amount=amount,
                moved=type(amount)(sign * amount.minor, amount.currency) if sign else None,
                reason=REASONS.get(reason, DisputeReason.OTHER) if reason else None,
                reason_code=code if code != "-" else None,
                network=thing.lowered("scheme"),
                can_respond=False,
                provider_status=action,
            ),
        )
    step = PAYMENT_STEPS.get(action)
    # That a late failure left a payout may be told after the payment was collected again, even in the payout of that: it is
    # of the collection before, whose `failed` has taken it back.
    if step is None or (step is PaymentStep.CAPTURE_FAILED and thing.hint("status") in COLLECTED):
        return ()
    declined = step is PaymentStep.DECLINED
    return (
        PaymentChanged(
            **base,
            payment_id=event.resource_id,
            step=step,
            amount=amount,
            # Confirmed, then paid out: the same money, once.
            reference=event.resource_id,
            merchant_reference=thing.hint("reference"),
            method=thing.lowered("scheme"),
            customer_id=thing.at("metadata").customer("customer_id"),
            decline_code=reason if declined else None,
            hard_decline=reason in HARD_DECLINES if declined and reason else None,
        ),
    )


COLLECTED = ("confirmed", "paid_out")
RESOURCE_WORDS: dict[str, dict[str, Collection[str]]] = {
    "payments": {
        "payments.status": (
            *("pending_customer_approval", "customer_approval_denied", "pending_submission", "submitted"),
            *("confirmed", "paid_out", "cancelled", "failed", "charged_back"),
        )
    },
    "refunds": {
        "refunds.status": (
            *("created", "pending_submission", "submitted", "paid", "cancelled", "bounced", "failed"),
            "funds_returned",
        )
    },
}
