"""The least that any safe consumer does: read a message, read the documents that it names, commit what it adds to them,
publish a message to each of `BARE_TOPICS`, acknowledge. No rule, no state, no model. And the same of a request that is answered."""

import base64
import json
import os
import time
from functools import cache
from typing import Any

import functions_framework
from flask import Request

from shared import settings
from shared.flows.ports import Accumulate, Create, Key, Message, Ports

Asked = dict[str, Any]


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
    """The least: of each document that the door reads and writes one sum."""
    asked = json.loads(request.get_data(cache=False))
    keys = [*_decisions(asked), *_histories(asked)]
    ports().documents.get(keys)
    ports().documents.commit([Accumulate(key, add={("n",): 1}) for key in keys])
    return '{"outcome": "approve"}', 200


@functions_framework.http
def read_and_commit_as_much(request: Request) -> tuple[str, int]:
    """The door's own two round trips: as many documents, sums and bytes as it reads and writes, of which nothing is made."""
    asked = json.loads(request.get_data(cache=False))
    (own, name), histories = _decisions(asked), _histories(asked)
    ports().documents.get([own, name, *histories])
    now = time.time_ns() // 1000
    ports().documents.commit(
        [
            Create(own, {"decision": _DECISION}),
            Create(name, {"same_as": own.id}),
            *(
                Accumulate(key, add=_SUMS, largest={("last",): now}, smallest={("first",): now, _SEEN: now})
                for key in histories
            ),
        ]
    )
    return '{"outcome": "approve"}', 200


@functions_framework.http
def read_and_commit_by_googles_client(request: Request) -> tuple[str, int]:
    """The same two round trips, as Google's documentation shows them: with the client that everybody uses."""
    asked = json.loads(request.get_data(cache=False))
    (own, name), histories = (
        [client().collection(key.collection).document(key.id) for key in keys]
        for keys in (_decisions(asked), _histories(asked))
    )
    list(client().get_all([own, name, *histories]))
    now = time.time_ns() // 1000
    batch = client().batch()
    batch.create(own, {"decision": _DECISION})
    batch.create(name, {"same_as": own.id})
    for history in histories:
        batch.set(history, _told_to_google(now), merge=True)
    batch.commit()
    return '{"outcome": "approve"}', 200


@cache
def client() -> Any:
    from google.cloud import firestore

    return firestore.Client(project=os.environ["GOOGLE_CLOUD_PROJECT"])


def _told_to_google(now: int) -> dict[str, Any]:
    from google.cloud.firestore import Increment, Maximum, Minimum

    told: dict[str, Any] = {"last": Maximum(now), "first": Minimum(now)}
    for path, amount in (*((path, Increment(number)) for path, number in _SUMS.items()), (_SEEN, Minimum(now))):
        *maps, last = path
        inner = told
        for one in maps:
            inner = inner.setdefault(one, {})
        inner[last] = amount
    return told


def _decisions(asked: Asked) -> list[Key]:
    return [Key("baseline_decisions", name) for name in (asked["request_id"], *asked["payment_ids"])]


def _histories(asked: Asked) -> list[Key]:
    domain = asked["email"].rpartition("@")[2]
    named = (asked["card"]["fingerprint"], asked["customer_id"], asked["device_id"], asked["ip"], domain)
    return [Key("baseline", name) for name in named]


# What the door packs and adds in the median of `tests.benchmarks.door`'s requests.
_DECISION = "a" * 944
_SUMS = {
    ("hours", "498228", "payments"): 1,
    ("days", "20759", "payments"): 1,
    ("days", "20759", "amount"): 1199,
    ("ever", "payments"): 1,
    ("ever", "amount"): 1199,
}
_SEEN = ("seen", "device:e15c0355daffb3a6")
