"""The least that any safe consumer does: read a message, read the documents that it names, commit what it adds to them,
publish a message to each of `BARE_TOPICS`, acknowledge. No rule, no state, no model. And the same of a request that is answered."""

import base64
import json
import os
from functools import cache

import functions_framework
from flask import Request

from shared import settings
from shared.flows.ports import Accumulate, Key, Message, Ports


@cache
def ports() -> Ports:
    read = settings.read(os.environ)
    if read.backend is settings.BackendName.GCP:
        from shared.backends.gcp import connect
    else:
        from shared.backends.local import connect
    return connect(read)


@functions_framework.http
def round_trips(request: Request) -> tuple[str, int]:
    body = json.loads(request.get_data(cache=False))
    event = json.loads(base64.b64decode(body["message"]["data"]))
    # As many documents as a payment names, and the payment itself.
    named = (event["payment_id"], event["card"]["fingerprint"], event["customer_id"], event["device_id"], event["ip"])
    keys = [Key("baseline", name) for name in named]
    ports().documents.get(keys)
    ports().documents.commit([Accumulate(key, add={("n",): 1}) for key in keys])
    told = b'{"payment_id":"' + named[0].encode() + b'"}'
    ports().bus.publish([Message(topic, told) for topic in os.environ["BARE_TOPICS"].split()])
    return "", 204


@functions_framework.http
def read_and_commit(request: Request) -> tuple[str, int]:
    asked = json.loads(request.get_data(cache=False))
    # As many documents as a request names, and its own.
    named = (asked["request_id"], asked["card"]["fingerprint"], asked["customer_id"], asked["device_id"], asked["ip"])
    keys = [Key("baseline", name) for name in (*named, *asked["payment_ids"])]
    ports().documents.get(keys)
    ports().documents.commit([Accumulate(key, add={("n",): 1}) for key in keys])
    return '{"outcome": "approve"}', 200
