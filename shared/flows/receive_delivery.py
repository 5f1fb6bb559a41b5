"""Intake: verify the exact bytes, translate, publish, and only then say that all is well."""

import base64
import hashlib
from collections.abc import Callable
from time import perf_counter

from shared.domain.codec import encode, encode_event, utc_text
from shared.domain.delivery import Credentials, Delivery, DeliveryOutcome, Verdict
from shared.domain.errors import Rejected, Unreadable
from shared.domain.events import KIND_OF, AnyEvent, PaymentChanged
from shared.domain.telemetry import alarm, fact, failure
from shared.flows.ports import Bus, Message
from shared.providers.protocol import Answer, Normalized, Provider
from shared.providers.unmapped import unmapped


def receive(
    delivery: Delivery,
    provider: Provider,
    credentials: Credentials,
    bus: Bus,
    fetch_certificate: Callable[[str], bytes],
) -> Answer:
    """Take one delivery: its raw bytes to `deliveries`, its events to `payment-events`, in one confirmed publish.

    Raises Rejected for what nothing proves the provider sent, Unavailable when the bus or the proof's own
    dependency is down; then nothing was acknowledged and the provider sends it again.
    """
    started = perf_counter()
    try:
        verdict = provider.verify(delivery, credentials, fetch_certificate)
    except Rejected as error:
        fact("delivery_refused", provider=delivery.provider, reason=error.reason)
        raise
    normalized, reason = _translate(delivery, provider, verdict, credentials)
    outcome = _outcome(normalized, reason, credentials)
    unknown = _unknown(delivery, provider, normalized)
    events = normalized.events if outcome in (DeliveryOutcome.ACCEPTED, DeliveryOutcome.UNPARSED) else ()
    bus.publish(
        [
            _delivery_message(delivery, provider, verdict, normalized, outcome, reason, unknown),
            *(event_message(event) for event in events),
        ]
    )
    say = alarm if outcome in (DeliveryOutcome.UNPARSED, DeliveryOutcome.MODE_MISMATCH) else fact
    say(
        "delivery",
        provider=delivery.provider,
        outcome=outcome.value,
        reason=reason,
        key_id=",".join(verdict.key_ids),
        delivery_id=normalized.delivery_id,
        types=_types(normalized),
        events=len(events),
        ack_ms=round((perf_counter() - started) * 1000, 3),
    )
    # Counted by type: of a batch with several, each is counted, for a path does not say in which item it was.
    for kind in sorted(set(normalized.types)) or [""] if unknown else ():
        fact(
            "unmapped",
            provider=delivery.provider,
            type=kind,
            count=len(unknown),
            paths=" ".join(unknown)[:2000],
            delivery_id=normalized.delivery_id,
        )
    return provider.ANSWER


def _translate(
    delivery: Delivery, provider: Provider, verdict: Verdict, credentials: Credentials
) -> tuple[Normalized, str]:
    """The delivery in our words and, where some of it could not be read, a stable reason."""
    try:
        normalized = provider.normalize(delivery, verdict, credentials)
        return normalized, "unreadable_items" if normalized.unreadable else ""
    except Unreadable as error:
        return _nothing_of(delivery, credentials, str(error)), error.reason
    except Exception as error:  # noqa: BLE001 - ours to mend: the authentic bytes are kept and replayed after the fix
        failure("normalize_failed", error, provider=delivery.provider)
        return _nothing_of(delivery, credentials, type(error).__name__), "normalize_failed"


def _unknown(delivery: Delivery, provider: Provider, normalized: Normalized) -> tuple[str, ...]:
    """What the adapter does not know of this delivery: never a reason to refuse it."""
    try:
        return unmapped(provider, delivery, normalized)
    except Exception as error:  # noqa: BLE001 - a report that fails is ours to mend, and the delivery is whole without it
        failure("unmapped_failed", error, provider=delivery.provider)
        return ()


def _types(normalized: Normalized) -> str:
    return ",".join(sorted(set(normalized.types)))[:200]


def _nothing_of(delivery: Delivery, credentials: Credentials, why: str) -> Normalized:
    digest = hashlib.sha256(delivery.body).hexdigest()
    return Normalized(delivery_id=f"{delivery.provider}:{credentials.account}:sha256-{digest}", unreadable=(why,))


def _outcome(normalized: Normalized, reason: str, credentials: Credentials) -> DeliveryOutcome:
    if normalized.livemode is not None and normalized.livemode != credentials.live:
        return DeliveryOutcome.MODE_MISMATCH
    if reason:
        return DeliveryOutcome.UNPARSED
    return DeliveryOutcome.ACCEPTED if normalized.events else DeliveryOutcome.IGNORED


def _delivery_message(
    delivery: Delivery,
    provider: Provider,
    verdict: Verdict,
    normalized: Normalized,
    outcome: DeliveryOutcome,
    reason: str,
    unknown: tuple[str, ...],
) -> Message:
    kept = {name: delivery.headers[name] for name in provider.SIGNED_HEADERS if name in delivery.headers}
    row = {
        "delivery_id": normalized.delivery_id,
        "provider": delivery.provider,
        "received_at": utc_text(delivery.received_at),
        "signed_at": utc_text(verdict.signed_at) if verdict.signed_at else None,
        "outcome": outcome.value,
        "reason": reason,
        "key_ids": list(verdict.key_ids),
        "types": list(normalized.types),
        "unreadable": list(normalized.unreadable),
        "unknown": list(unknown),
        "livemode": normalized.livemode,
        "headers": encode(kept).decode(),
        "body": base64.b64encode(delivery.body).decode("ascii"),
    }
    attributes = {"provider": delivery.provider, "outcome": outcome.value, "delivery_id": normalized.delivery_id}
    return Message("deliveries", encode(row), attributes)


def event_message(event: AnyEvent) -> Message:
    """`event` as it travels on `payment-events`, with what subscriptions filter by."""
    attributes = {"kind": KIND_OF[type(event)], "provider": event.provider, "event_id": event.event_id}
    if isinstance(event, PaymentChanged):
        attributes["step"] = event.step.value
    return Message("payment-events", encode_event(event), attributes)
