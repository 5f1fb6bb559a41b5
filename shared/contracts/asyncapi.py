"""AsyncAPI 3.0.0 of all topics: https://www.asyncapi.com/docs/reference/specification/v3.0.0"""

from collections.abc import Mapping
from typing import Any

from shared.contracts.messages import TOPICS, TRACE, Kind, Side, Topic, Words
from shared.contracts.schemas import reference
from shared.providers import names

VERSION = "1.0.0"

_SCHEMA = "application/schema+json;version=2020-12"
_ABOUT = """Pub/Sub topics of Pay-In. Who may publish and subscribe is decided by Google IAM.

- At least once, late, and in any order: no message has an ordering key. What is told again is told with the same ids, which
  each message names as `x-copies`; where it names `x-newest`, the message that is greater in it is right.
- A reader leaves out members and messages that it does not know, and takes a word that it does not know for one that it
  does not act upon: contracts grow. A member that is not required may be missing on messages of earlier releases.
- Money is an integer of minor units with its ISO 4217 currency. Instants are RFC 3339 in UTC. Null is what nobody knows.
- An attribute that would be longer than 1,024 bytes is the SHA-256 of its value, in hexadecimal."""


def document(by_provider: tuple[str, ...]) -> dict[str, Any]:
    """The document. by_provider: topics of which each provider has its own."""
    kinds = {kind.name: (name, kind) for name, topic in TOPICS.items() for kind in topic.kinds}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Pay-In", "version": VERSION, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"production": {"host": "pubsub.googleapis.com", "protocol": "googlepubsub"}},
        "channels": {name: _channel(name, topic, name in by_provider) for name, topic in TOPICS.items()},
        "operations": {
            f"{action}_{name.replace('-', '_')}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{kind.name}"} for kind in topic.kinds],
            }
            for name, topic in TOPICS.items()
            for side, action in ((Side.SENT, "send"), (Side.TAKEN, "receive"))
            if side in topic.sides
        },
        "components": {"messages": {name: _message(topic, kind) for name, (topic, kind) in kinds.items()}},
    }


def _channel(name: str, topic: Topic, by_provider: bool) -> dict[str, Any]:  # noqa: FBT001 - a fact of the topic
    told: dict[str, Any] = {
        "address": f"{name}-{{provider}}" if by_provider else name,
        "summary": topic.summary,
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in topic.kinds},
    }
    if by_provider:
        told["parameters"] = {"provider": {"enum": list(names()), "description": "Whose events they are"}}
    return told


def _message(topic: str, kind: Kind) -> dict[str, Any]:
    told: dict[str, Any] = {"summary": kind.summary, "headers": headers(kind)}
    payloads = [{"$ref": f"topics/{topic}.json{reference(of)}"} for of in kind.of]
    if payloads:
        schema = payloads[0] if len(payloads) == 1 else {"anyOf": payloads}
        told["payload"] = {"schemaFormat": _SCHEMA, "schema": schema}
    if kind.copies:
        told["x-copies"] = list(kind.copies)
    if kind.newest:
        told["x-newest"] = kind.newest
    return told


def headers(kind: Kind) -> dict[str, Any]:
    """The schema of a message's attributes."""
    every: Mapping[str, Words] = {**kind.attributes, **(kind.sometimes or {}), **TRACE}
    texts = {name: {"type": "string", **({"enum": list(words)} if words else {})} for name, words in every.items()}
    return {"type": "object", "properties": texts, "required": list(kind.attributes)}
