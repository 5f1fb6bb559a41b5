"""Dispute events, fraud warnings and refunds in; disputes, cases and their next action out."""

import functions_framework
from flask import Request

from shared.flows.track_dispute import track_dispute as track
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    suspends = app.settings.suspends()
    return entry.consume(lambda event: track(event, app.ports, app.now(), suspends))


handle = entry.start("track_dispute", build)


@functions_framework.http
def track_dispute(request: Request) -> entry.Response:
    return handle(request)
