"""Whether a message is what its contract promises: the documents in the repository, read by a library that knows nothing of
the code."""

import json
from collections.abc import Mapping
from functools import cache

import jsonschema_rs

from shared.contracts.__main__ import FOLDER


@cache
def _data(topic: str) -> jsonschema_rs.Validator:
    schema = json.loads((FOLDER / "topics" / f"{topic}.json").read_bytes())
    return jsonschema_rs.validator_for(schema, validate_formats=True)


@cache
def _headers(topic: str) -> jsonschema_rs.Validator:
    document = json.loads((FOLDER / "asyncapi.json").read_bytes())
    kinds = document["channels"][topic]["messages"]
    own = [document["components"]["messages"][name]["headers"] for name in kinds]
    return jsonschema_rs.validator_for({"anyOf": [{**headers, "additionalProperties": False} for headers in own]})


def misfits(topic: str, data: bytes, attributes: Mapping[str, str]) -> list[str]:
    """What of a message is not as its contract says."""
    wrong = [f"{topic}: {error}" for error in _data(topic).iter_errors(json.loads(data))]
    return wrong + [f"{topic}, attributes: {error}" for error in _headers(topic).iter_errors(dict(attributes))]
