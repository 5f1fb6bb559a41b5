"""Nightly: labels, point-in-time rows, fit, evaluate, and a new champion if it earns it; on call: back to the one before."""

import functions_framework
from flask import Request

from shared.flows.train_model import on_request
from shared.runtime import entry
from shared.runtime.app import App
from shared.runtime.training import elsewhere


def build(app: App) -> entry.Handler:
    app.settings.model_bucket()  # now, rather than after a night of training with nowhere to put the model
    larger = elsewhere(app)
    # What a tick asks is asked of the same instant when it comes again, so that it finds its query, or its job, where it
    # left it.
    return entry.on_dated_tick(
        "train_model", lambda parameters, at: on_request(app.ports, at or app.now(), parameters, larger), app.clock
    )


handle = entry.start("train_model", build)


@functions_framework.http
def train_model(request: Request) -> entry.Response:
    return handle(request)
