"""JSON Schema (2020-12) of what travels on a topic, from the types that are written and read there.

What is written by a dataclass is told by pydantic, what msgspec reads by msgspec, so that neither says more than its
library holds. A member that has a default in the code has been added since the first release, or may be unknown: it is
not required, for messages of an older release live on in subscriptions and in the warehouse.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from shared.contracts.messages import TOPICS, Kind, Topic
from shared.domain.money import LARGEST_MINOR

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/"

# What a class refuses beyond its members' types.
_HELD: Mapping[str, Mapping[str, Schema]] = {
    "Money": {
        "minor": {"minimum": -LARGEST_MINOR, "maximum": LARGEST_MINOR},
        "currency": {"pattern": "^[A-Z]{3}$"},
    },
}


class _Written(GenerateJsonSchema):
    """As `codec.encode` writes, and without the titles that repeat a member's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def bytes_schema(self, schema: core_schema.BytesSchema) -> JsonSchemaValue:
        return {"type": "string", "contentEncoding": "base64"}


def document(name: str) -> Schema:
    """The schema of the data of any message of topic `name`. A later version of a topic is a topic of its own,
    `<topic>-v2`, for a subscription cannot choose."""
    topic = TOPICS[name]
    base, _, version = name.partition("-v")
    head = {"$schema": DIALECT, "$id": f"urn:pay-in:{base}:{version or 1}"}
    types = [of for kind in topic.kinds for of in kind.of]
    if len(types) == 1 and issubclass(types[0], BaseModel):
        return {**head, **types[0].model_json_schema()}
    told = {"title": name, "description": topic.summary, "$defs": _definitions(topic)}
    return {**head, **told, "anyOf": [{"$ref": reference(of)} for of in types]}


def reference(of: type) -> str:
    """Where the schema of `of` stands in its topic's document."""
    return "#" if issubclass(of, BaseModel) else f"{_REFERENCE}{of.__name__}"


def _definitions(topic: Topic) -> Schema:
    every = [(of, kind) for kind in topic.kinds for of in kind.of]
    written = [of for of, _ in every if dataclasses.is_dataclass(of)]
    _, told = TypeAdapter.json_schemas(
        [(of.__name__, "serialization", TypeAdapter(of)) for of in written],
        ref_template=f"{_REFERENCE}{{model}}",
        schema_generator=_Written,
    )
    _, read = msgspec.json.schema_components(
        [of for of, _ in every if of not in written], ref_template=f"{_REFERENCE}{{name}}"
    )
    found: Schema = {**told.get("$defs", {}), **read}
    for of, kind in every:
        found[of.__name__] |= {"description": _promised(of)}
        if kind.kind is not None:
            found[of.__name__] = _enveloped(found[of.__name__], kind)
    for name, held in _HELD.items():
        for member, more in held.items() if name in found else ():
            found[name]["properties"][member] |= more
    return {name: _portable(schema) for name, schema in sorted(found.items())}


def _enveloped(event: Schema, kind: Kind) -> Schema:
    """What `codec.encode_event` adds."""
    added = {"kind": {"const": kind.kind}, "heard_at": {"type": "string", "format": "date-time"}}
    required = ["kind", *event["required"]]
    return {**event, "properties": {**added, **event["properties"]}, "required": required}


def _promised(of: type) -> str:
    """What `of` and what it is made from promise."""
    told = [inspect.cleandoc(one.__doc__) for one in of.__mro__ if one.__module__.startswith("shared.") and one.__doc__]
    return "\n\n".join(told)


def _portable(value: Any) -> Any:
    """JSON Schema's expressions are ECMA's, which have no anchors but these."""
    match value:
        case {"pattern": str(pattern), **rest}:
            return {**_portable(rest), "pattern": pattern.replace(r"\A", "^").replace(r"\Z", "$")}
        case dict():
            return {name: _portable(member) for name, member in value.items()}
        case list():
            return [_portable(member) for member in value]
    return value
