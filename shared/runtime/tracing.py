"""One trace from a webhook to the decision or the dispute that it led to, carried in Pub/Sub attributes."""

from collections.abc import Sequence
from dataclasses import replace

from shared.flows.ports import Bus, Message
from shared.runtime import logs


class TracedBus:
    """`bus`, whose messages carry the W3C `traceparent` of the request in hand, unless they have one already."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def publish(self, messages: Sequence[Message]) -> None:
        """As `bus` does."""
        trace = logs.traceparent.get()
        if trace:
            messages = [
                replace(message, attributes={"traceparent": trace, **message.attributes}) for message in messages
            ]
        self.bus.publish(messages)
