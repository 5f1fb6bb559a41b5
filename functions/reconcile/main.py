"""Every two hours: what providers say they told, held against our archive, and the gaps told as if they had come."""

import functions_framework
from flask import Request

from shared.runtime import entry
from shared.runtime.apis import Apis
from shared.runtime.app import App
from shared.runtime.reconciling import ours, reconcile_all


def build(app: App) -> entry.Handler:
    apis, bus, keyring = Apis(app.settings, app.now), app.pseudonymous_bus(), app.settings.keyring()

    def due(parameters: bytes) -> None:
        reconcile_all(parameters, app.settings, apis, ours(app.ports, bus(), keyring), app.now)

    return entry.on_tick("reconcile", due, app.clock)


handle = entry.start("reconcile", build)


@functions_framework.http
def reconcile(request: Request) -> entry.Response:
    return handle(request)
