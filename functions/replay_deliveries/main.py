"""On call: deliveries that could not be read are translated again, once an adapter was mended."""

import functions_framework
from flask import Request

from shared.flows.replay_deliveries import replay_deliveries as replay
from shared.providers import load
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    bus = app.pseudonymous_bus()
    return entry.on_call(lambda call: replay(call.body, load, app.ports.warehouse, bus(), app.now()))


handle = entry.start("replay_deliveries", build)


@functions_framework.http
def replay_deliveries(request: Request) -> entry.Response:
    return handle(request)
