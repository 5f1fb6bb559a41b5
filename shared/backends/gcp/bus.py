"""Pub/Sub, publishing only: subscriptions push, and the emulator's and the real service's REST are one."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from shared.backends.gcp.http import Http
from shared.backends.gcp.tokens import Tokens
from shared.backends.once import Once
from shared.backends.values import attributes
from shared.domain.errors import Unavailable
from shared.flows.ports import Message

# Pub/Sub takes 1,000 messages and 10 MB a request; a message's data travels as base64.
_MOST_MESSAGES: Final = 1000
_MOST_BYTES: Final = 9_000_000
# Each provider has a topic of these of its own, so that one's flood is no other's queue (functions/topology.json).
# Filters on one topic would part them too, but Pub/Sub charges what a filter takes out as delivered:
# cloud.google.com/pubsub/docs/subscription-message-filter.
BY_PROVIDER: Final = frozenset({"payment-events"})


def address(message: Message) -> str:
    """What the topic of `message` is called in Pub/Sub."""
    if message.topic not in BY_PROVIDER:
        return message.topic
    return f"{message.topic}-{message.attributes['provider'].replace('_', '-')}"


class PubSubBus:
    """`shared.flows.ports.Bus`. Topics are published to side by side, so that two cost one round."""

    def __init__(self, project: str, emulator: str | None, tokens: Tokens | None = None) -> None:
        origin = f"http://{emulator}" if emulator else "https://pubsub.googleapis.com"
        self._topics = f"{origin}/v1/projects/{project}/topics"
        self._http = Http(tokens)
        self._threads = Once(lambda: ThreadPoolExecutor(32, thread_name_prefix="publish"))

    def publish(self, messages: Sequence[Message]) -> None:
        requests = [
            (topic, chunk)
            for topic in dict.fromkeys(map(address, messages))
            for chunk in _chunks([message for message in messages if address(message) == topic])
        ]
        if not requests:
            return
        beside = [self._threads().submit(self._send, *request) for request in requests[1:]]
        try:
            self._send(*requests[0])
        finally:
            # Wait for all: an answer must not be given while a part is still under way.
            troubles = [trouble for one in beside if (trouble := one.exception()) is not None]
        for trouble in troubles:
            raise trouble

    def _send(self, topic: str, messages: Sequence[Message]) -> None:
        body = msgspec.json.encode(
            {"messages": [{"data": message.data, "attributes": attributes(message.attributes)} for message in messages]}
        )
        url = f"{self._topics}/{topic}:publish"
        status, answer = self._http.request("POST", url, body, {"content-type": "application/json"})
        if status != 200:
            raise Unavailable(f"Pub/Sub refuses to publish to {topic}: status {status}", reason="publish_refused")
        if _confirmed(answer) != len(messages):
            # An id is the receipt for a message (its 200 may be a proxy's, or cut short).
            raise Unavailable(f"Pub/Sub does not confirm every message to {topic}", reason="publish_unconfirmed")


class _Published(msgspec.Struct):
    messageIds: tuple[str, ...] = ()  # noqa: N815 - Pub/Sub's own name


# Made here, by the one thread that imports: see `shared.domain.codec` on what msgspec learns of a class.
_PUBLISHED: Final = msgspec.json.Decoder(_Published)


def _confirmed(answer: bytes) -> int:
    """How many messages the answer has an id for, each another."""
    try:
        return len({one for one in _PUBLISHED.decode(answer).messageIds if one})
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return 0


def _chunks(messages: Sequence[Message]) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    size = 0
    for message in messages:
        own = (
            len(message.data) * 4 // 3 + sum(len(key) + 2 * len(text) for key, text in message.attributes.items()) + 64
        )
        if chunk and (len(chunk) == _MOST_MESSAGES or size + own > _MOST_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += own
    if chunk:
        yield chunk
