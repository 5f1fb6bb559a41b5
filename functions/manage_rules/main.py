"""On call: the book of rules is shown, checked, published and taken back."""

import functions_framework
from flask import Request

from shared.runtime import entry
from shared.runtime.app import App
from shared.runtime.rule_book import manage_rules as manage


def build(app: App) -> entry.Handler:
    return entry.on_call(lambda asked: manage(asked, app.ports, app.now()))


handle = entry.start("manage_rules", build)


@functions_framework.http
def manage_rules(request: Request) -> entry.Response:
    return handle(request)
