"""Every few minutes attacks and a canary are watched, once a day the model that decides is measured."""

import functions_framework
from flask import Request

from shared.flows.monitor_model import monitor_model as monitor
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    app.settings.model_bucket()
    return entry.on_tick("monitor_model", lambda parameters: monitor(app.ports, app.now(), parameters), app.clock)


handle = entry.start("monitor_model", build)


@functions_framework.http
def monitor_model(request: Request) -> entry.Response:
    return handle(request)
