"""On call: the book of rules is shown, checked, tried on what was decided, published and taken back."""

import functions_framework
from flask import Request

from shared.runtime import entry
from shared.runtime.app import App
from shared.runtime.rule_book import manage_rules as manage


def build(app: App) -> entry.Handler:
    app.settings.model_bucket()
    return entry.on_call(lambda call: manage(call.body, app.ports, app.now(), call.known_caller()))


handle = entry.start("manage_rules", build)


@functions_framework.http
def manage_rules(request: Request) -> entry.Response:
    return handle(request)
