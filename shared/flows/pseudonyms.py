"""The last gate before anything of a provider's is published."""

from collections.abc import Sequence
from dataclasses import replace

from shared.domain.pseudonyms import Keyring, names_in
from shared.domain.telemetry import alarm
from shared.flows.event_messages import TOPIC
from shared.flows.ports import Bus, Message


class PseudonymousBus:
    """A bus on which no plain digest of an address or a card-like id travels: `keyring` replaces them in every message,
    attributes included, so that copies stay equal and what belongs together stays together. Events say beside it what an
    address is called under other keys that are held."""

    def __init__(self, bus: Bus, keyring: Keyring) -> None:
        self._bus = bus
        self._keyring = keyring

    def publish(self, messages: Sequence[Message]) -> None:
        """As `Bus.publish`; alarms for an id that is published under another name because it could be a card's number."""
        keyed = [self._keyed(message) for message in messages]
        self._bus.publish(keyed)
        for before, after in zip(messages, keyed, strict=True):
            if hidden := names_in(before.data):
                told = after.attributes
                alarm(
                    "name_hidden",
                    provider=told.get("provider"),
                    topic=after.topic,
                    event_id=told.get("event_id"),
                    delivery_id=told.get("delivery_id"),
                    count=hidden,
                )

    def _keyed(self, message: Message) -> Message:
        attributes = {
            name: self._keyring.keyed(value.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")
            for name, value in message.attributes.items()
        }
        keyed = self._keyring.keyed_event if message.topic == TOPIC else self._keyring.keyed
        return replace(message, data=keyed(message.data), attributes=attributes)
