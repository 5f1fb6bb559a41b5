"""Hourly: rows of days that are past lose whom they name, and erasures that were asked for are followed until they are proved."""

import functions_framework
from flask import Request

from shared.flows.erasure import follow_up
from shared.flows.nameless import make_nameless
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    def due(_: bytes) -> None:
        make_nameless(app.ports, app.now())
        follow_up(app.ports, app.now())

    return entry.on_tick("erase", due, app.clock)


handle = entry.start("erase", build)


@functions_framework.http
def erase(request: Request) -> entry.Response:
    return handle(request)
