"""OpenAPI of functions that take one JSON at their root: what is asked as the code reads it, what is answered as it is encoded."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import msgspec
from pydantic.json_schema import models_json_schema

from shared.flows import replay_deliveries as replaying
from shared.runtime import rule_book
from shared.runtime.contracts import ProblemDocument

_PLACE: Final = "#/components/schemas/"
_REFUSALS: Final = {
    "400": "It does not fit what is asked of: `detail` says what, and where",
    "401": "Nobody says who calls",
    "405": "Another method than POST",
    "409": "Somebody was first",
    "413": "It is too long",
    "422": "It does not fit: `detail` says what, and where",
    "500": "A fault of ours",
    "503": "A dependency is down: ask again",
}


def manage_rules() -> bytes:
    """The OpenAPI 3.1 document of `manage_rules`: the member `act` says what is asked."""
    asked = rule_book.CALL.json_schema(ref_template=f"{_PLACE}{{model}}")
    schemas = asked.pop("$defs")
    return _document(
        "Pay-In: the book of rules",
        "The book of rules and the lists: shown, checked, tried on what was decided, published, taken back.",
        asked,
        schemas,
        get_args(rule_book.Answer),
    )


def replay_deliveries() -> bytes:
    """The OpenAPI 3.1 document of `replay_deliveries`."""
    [asked], schemas = msgspec.json.schema_components([replaying.ReplayRequest], ref_template=f"{_PLACE}{{name}}")
    return _document(
        "Pay-In: replays",
        "What the warehouse keeps is told again: deliveries, translated by today's adapter, or events as they were told.",
        asked,
        schemas,
        [replaying.Replayed],
    )


def _document(
    title: str, description: str, asked: Mapping[str, Any], schemas: Mapping[str, Any], answers: Sequence[type]
) -> bytes:
    answered, own = msgspec.json.schema_components(answers, ref_template=f"{_PLACE}{{name}}")
    _, problem = models_json_schema([(ProblemDocument, "serialization")], ref_template=f"{_PLACE}{{model}}")
    refused = {"application/problem+json": {"schema": {"$ref": f"{_PLACE}ProblemDocument"}}}
    told = answered[0] if len(answered) == 1 else {"anyOf": list(answered)}
    document = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "paths": {
            "/": {
                "post": {
                    "operationId": "call",
                    "summary": description,
                    "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
                    "responses": {
                        "200": {"description": "What was asked for", "content": {"application/json": {"schema": told}}},
                        **{status: {"description": why, "content": refused} for status, why in _REFUSALS.items()},
                    },
                }
            }
        },
        "components": {
            "schemas": {**schemas, **own, **problem["$defs"]},
            "securitySchemes": {"google": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"google": []}],
    }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"
