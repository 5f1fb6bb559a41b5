"""Every few minutes: remind, expire and re-link whatever dispute is due, and look after payments that wait for a person."""

import functions_framework
from flask import Request

from shared.flows.check_deadlines import check_deadlines as check
from shared.flows.reviews import check_reviews
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    promise, suspends = app.settings.promise(), app.settings.suspends()

    def due(_: bytes) -> None:
        check(app.ports, app.now(), suspends)
        check_reviews(app.ports, app.now(), promise)

    return entry.on_tick("check_deadlines", due, app.clock)


handle = entry.start("check_deadlines", build)


@functions_framework.http
def check_deadlines(request: Request) -> entry.Response:
    return handle(request)
