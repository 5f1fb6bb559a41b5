"""Every two hours: what providers have paid out is read, and what no line of it explains is kept and ages."""

import functions_framework
from flask import Request

from shared.flows.explain_payouts import explain_payouts as explain
from shared.runtime import entry
from shared.runtime.apis import Apis
from shared.runtime.app import App
from shared.runtime.payouts import readers


def build(app: App) -> entry.Handler:
    apis, found, bus = Apis(app.settings, app.now), readers(app.settings), app.pseudonymous_bus()
    livemode = app.settings.live()

    def due(parameters: bytes) -> None:
        explain(app.ports, bus(), found, apis, app.now(), parameters, livemode=livemode)

    return entry.on_tick("explain_payouts", due, app.clock)


handle = entry.start("explain_payouts", build)


@functions_framework.http
def explain_payouts(request: Request) -> entry.Response:
    return handle(request)
