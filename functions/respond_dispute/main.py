"""Answers that are due go to their providers: the packet put together, sent step by step, each answer once."""

import functions_framework
from flask import Request

from shared.flows.respond_dispute import respond_dispute as respond
from shared.runtime import answers, entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    clerk = answers.clerk(app)
    return entry.consume(lambda asked: respond(asked, app.ports, clerk, app.now), answers.asked, "answer")


handle = entry.start("respond_dispute", build)


@functions_framework.http
def respond_dispute(request: Request) -> entry.Response:
    return handle(request)
