"""Each hour, whether providers still send what they usually send."""

import functions_framework
from flask import Request

from shared.flows.watch_traffic import watch_traffic as watch
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    return entry.on_tick("watch_traffic", lambda parameters: watch(app.ports, app.now(), parameters), app.clock)


handle = entry.start("watch_traffic", build)


@functions_framework.http
def watch_traffic(request: Request) -> entry.Response:
    return handle(request)
