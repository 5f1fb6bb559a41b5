"""Every few minutes: remind, expire and re-link whatever dispute is due, each exactly once."""

import functions_framework
from flask import Request

from shared.flows.check_deadlines import check_deadlines as check
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    return entry.on_tick("check_deadlines", lambda _: check(app.ports, app.now()), app.clock)


handle = entry.start("check_deadlines", build)


@functions_framework.http
def check_deadlines(request: Request) -> entry.Response:
    return handle(request)
