"""Intake: verify the exact bytes, translate, publish, and only then say that all is well."""

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from urllib.parse import unquote_plus

from shared.domain.codec import encode
from shared.domain.delivery import Credentials, Delivery, DeliveryOutcome, DeliveryRow, Verdict
from shared.domain.errors import Rejected, Unreadable
from shared.domain.events import AnyEvent
from shared.domain.telemetry import alarm, fact, failure
from shared.flows.event_messages import event_message
from shared.flows.ports import Bus, Message
from shared.providers import version
from shared.providers.kit.protocol import Answer, Normalized, Provider
from shared.providers.kit.unmapped import unmapped


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
    understood = understand(delivery, provider, verdict, credentials)
    normalized, outcome = understood.normalized, understood.outcome
    heard = delivery.received_at
    bus.publish(messages(delivery, provider, verdict, credentials, understood, normalized.delivery_id, heard))
    say = alarm if outcome in (DeliveryOutcome.UNPARSED, DeliveryOutcome.MODE_MISMATCH) else fact
    say(
        "delivery",
        provider=delivery.provider,
        outcome=outcome.value,
        reason=understood.reason,
        key_id=",".join(verdict.key_ids),
        delivery_id=normalized.delivery_id,
        types=_types(normalized),
        events=len(understood.events),
        ack_ms=round((perf_counter() - started) * 1000, 3),
    )
    # Counted by type: of a batch with several, each is counted, for a path does not say in which item it was.
    for kind in sorted(set(normalized.types)) or [""]:
        tell_unknown(delivery.provider, kind, understood.unknown, normalized.delivery_id)
    return provider.ANSWER


def tell_unknown(provider: str, kind: str, unknown: Collection[str], delivery_id: str) -> None:
    """Say what an adapter does not know of a `kind` of message or object; nothing where it knows all."""
    if unknown:
        fact(
            "unmapped",
            provider=provider,
            type=kind,
            count=len(unknown),
            paths=" ".join(unknown)[:2000],
            delivery_id=delivery_id,
        )


@dataclass(frozen=True, slots=True)
class Understood:
    """What an authentic delivery comes to. `reason` is why some of it could not be read, empty where all could;
    `unknown` is what the adapter does not know of it."""

    normalized: Normalized
    outcome: DeliveryOutcome
    reason: str
    unknown: tuple[str, ...]

    @property
    def events(self) -> tuple[AnyEvent, ...]:
        """What is to be acted upon: nothing of the other mode."""
        acted_upon = self.outcome in (DeliveryOutcome.ACCEPTED, DeliveryOutcome.UNPARSED)
        return self.normalized.events if acted_upon else ()


def understand(delivery: Delivery, provider: Provider, verdict: Verdict, credentials: Credentials) -> Understood:
    """`delivery`, whose signature `verdict` proves, in our words. Raises nothing, whatever is in it."""
    normalized, reason = _translate(delivery, provider, verdict, credentials)
    outcome = _outcome(normalized, reason, credentials)
    return Understood(normalized, outcome, reason, _unknown(delivery, provider, normalized))


def messages(
    delivery: Delivery,
    provider: Provider,
    verdict: Verdict,
    credentials: Credentials,
    understood: Understood,
    delivery_id: str,
    now: datetime,
) -> list[Message]:
    """The row of `deliveries`, under the name `delivery_id`, and the events, as they are heard `now`."""
    kept = {name: delivery.headers[name] for name in provider.SIGNED_HEADERS if name in delivery.headers}
    kept |= getattr(provider, "kept_headers", lambda headers: {})(delivery.headers)
    normalized, outcome = understood.normalized, understood.outcome
    row = DeliveryRow(
        delivery_id=delivery_id,
        provider=delivery.provider,
        received_at=delivery.received_at,
        signed_at=verdict.signed_at,
        outcome=outcome,
        reason=understood.reason,
        key_ids=verdict.key_ids,
        unsigned=verdict.unsigned,
        types=normalized.types,
        unreadable=normalized.unreadable,
        unknown=understood.unknown,
        livemode=normalized.livemode,
        endpoint_live=credentials.live,
        endpoint_account=credentials.account,
        adapter_version=version(delivery.provider),
        payload_version=_payload_version(delivery, provider),
        headers=encode(kept).decode(),
        query=_kept_query(delivery, provider),
        body=delivery.body,
    )
    attributes = {"provider": delivery.provider, "outcome": outcome, "delivery_id": delivery_id}
    return [
        Message("deliveries", encode(row), attributes),
        *(event_message(event, now) for event in understood.events),
    ]


def _translate(
    delivery: Delivery, provider: Provider, verdict: Verdict, credentials: Credentials
) -> tuple[Normalized, str]:
    """The delivery in our words and, where some of it could not be read, a stable reason."""
    try:
        normalized = provider.normalize(delivery, verdict, credentials)
        return normalized, "unreadable_items" if normalized.unreadable else ""
    except Unreadable as error:
        return _nothing_of(delivery, provider, credentials, str(error)), error.reason
    except Exception as error:  # noqa: BLE001 - ours to mend: the authentic bytes are kept and replayed after the fix
        failure("normalize_failed", error, provider=delivery.provider)
        return _nothing_of(delivery, provider, credentials, type(error).__name__), "normalize_failed"


def _unknown(delivery: Delivery, provider: Provider, normalized: Normalized) -> tuple[str, ...]:
    """What the adapter does not know of this delivery: never a reason to refuse it."""
    try:
        return unmapped(provider, delivery, normalized)
    except Exception as error:  # noqa: BLE001 - a report that fails is ours to mend, and the delivery is whole without it
        failure("unmapped_failed", error, provider=delivery.provider)
        return ()


def _payload_version(delivery: Delivery, provider: Provider) -> str | None:
    """What the message says of its own version; None where it says nothing, or cannot be opened."""
    try:
        told = [provider.opened(delivery).hint(*path) for path in provider.PAYLOAD_VERSION]
    except Unreadable:
        return None
    except Exception as error:  # noqa: BLE001 - ours to mend, as a report that fails: the delivery is whole without it
        failure("unmapped_failed", error, provider=delivery.provider)
        return None
    return "/".join(one for one in told if one) or None


def _types(normalized: Normalized) -> str:
    return ",".join(sorted(set(normalized.types)))[:200]


def _nothing_of(delivery: Delivery, provider: Provider, credentials: Credentials, why: str) -> Normalized:
    digest = hashlib.sha256(delivery.body + _kept_query(delivery, provider).encode()).hexdigest()
    return Normalized(delivery_id=f"{delivery.provider}:{credentials.account}:sha256-{digest}", unreadable=(why,))


def _outcome(normalized: Normalized, reason: str, credentials: Credentials) -> DeliveryOutcome:
    if normalized.livemode is not None and normalized.livemode != credentials.live:
        return DeliveryOutcome.MODE_MISMATCH
    if reason:
        return DeliveryOutcome.UNPARSED
    return DeliveryOutcome.ACCEPTED if normalized.events else DeliveryOutcome.IGNORED


def _kept_query(delivery: Delivery, provider: Provider) -> str:
    """The parameters of the query that hold a part of what the delivery says, as they were received."""
    kept: Collection[str] = getattr(provider, "KEPT_QUERY", ())
    return "&".join(part for part in delivery.query.split("&") if unquote_plus(part.partition("=")[0]) in kept)
