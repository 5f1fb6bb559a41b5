"""How an event travels, whoever tells of it."""

from datetime import datetime

from shared.domain.codec import encode_event
from shared.domain.events import KIND_OF, AnyEvent, PaymentChanged, PaymentStep
from shared.flows.ports import Message

TOPIC = "payment-events"


def event_message(event: AnyEvent, now: datetime) -> Message:
    """`event` as it travels on `payment-events` from `now` on, with what subscriptions filter by."""
    attributes = {"kind": KIND_OF[type(event)], "provider": event.provider, "event_id": event.event_id}
    if isinstance(event, PaymentChanged):
        # Whether it is a refund or a release nobody signed: whoever follows refunds has to hear of it.
        attributes["step"] = (PaymentStep.REFUNDED if "step" in event.unsigned else event.step).value
    return Message(TOPIC, encode_event(event, now), attributes)
