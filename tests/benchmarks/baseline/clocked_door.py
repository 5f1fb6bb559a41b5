"""`assess_payment`, whose parts are clocked. GET /phases tells what they have taken."""

import importlib
import json
from typing import Any

import flask
import functions_framework

from shared.backends.gcp import bus, documents, firestore
from shared.backends.local import bus as local_bus
from shared.backends.local import documents as local_documents
from shared.flows import assess_payment as flow
from shared.fraud.history import Known
from shared.fraud.model import Model
from shared.fraud.rules import Table
from shared.runtime import assessments, server
from tests.benchmarks.phases import Phases

phases = Phases()
SERVER, FRAMEWORK = "server: connection, request, answer", "framework: Flask"
for owner, method, phase in (
    (server._Connection, "handle_read", SERVER),
    (server._Connection, "service", SERVER),
    (flask.Flask, "__call__", FRAMEWORK),
    (assessments, "read", "request: read and checked"),
    (assessments.AssessmentRequest, "asked", "request: in our words, under our keys"),
    (flow.Assessor, "assess", "hand over to a worker, wait"),
    (flow.Assessor, "_work", "worker"),
    (flow.Assessor, "_tell", "hand over to a messenger"),
    (flow.Assessor, "_publish", "messenger"),
    (flow, "change", "decide what to commit"),
    (firestore.Firestore, "get", "read: ask and wait"),
    (documents.FirestoreDocuments, "_snapshot", "read: documents decoded"),
    (local_documents.SqlDocuments, "get", "read: ask and wait"),
    (local_documents, "_snapshot", "read: documents decoded"),
    (Known, "features", "features"),
    (Known, "history", "features"),
    (Known, "changes", "what is counted"),
    (flow, "digest", "record: digest of the request"),
    (flow, "decide", "decision"),
    (Table, "judge", "rules"),
    (Table, "shadows", "rules"),
    (Model, "score", "model"),
    (flow, "stored", "record: packed"),
    (firestore.Firestore, "commit", "commit"),
    (documents.FirestoreDocuments, "_prepared", "commit: encoded"),
    (documents.FirestoreDocuments, "_send", "commit: send and wait"),
    (local_documents.SqlDocuments, "commit", "commit"),
    (flow, "event_message", "message: encoded"),
    (bus.PubSubBus, "publish", "message: send and wait"),
    (local_bus.LocalBus, "publish", "message: send and wait"),
    (flow, "fact", "log line"),
    (assessments.AssessmentAnswer, "of", "answer"),
    (assessments.AssessmentAnswer, "model_dump_json", "answer"),
):
    phases.part(owner, method, phase)

# What it is made of is clocked from now on.
handle = importlib.import_module("functions.assess_payment.main").handle


@functions_framework.http
def clocked_door(request: flask.Request) -> Any:
    if request.path == "/phases":
        return json.dumps(phases.told())
    return handle(request)
