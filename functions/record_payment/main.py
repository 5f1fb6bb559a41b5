"""Payment events in, one document per payment out: its state, its totals and its timeline."""

import functions_framework
from flask import Request

from shared.flows.record_payment import record_payment as record
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    return entry.consume(lambda event: record(event, app.ports, app.now()))


handle = entry.start("record_payment", build)


@functions_framework.http
def record_payment(request: Request) -> entry.Response:
    return handle(request)
