"""Messages of `usage-evidence` in, one document per subscriber out: what proves that what was bought was used."""

import functions_framework
from flask import Request

from shared.flows.keep_evidence import keep_evidence as keep
from shared.runtime import entry, usage
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    keyring = app.settings.keyring()
    return entry.consume(lambda told: keep(told, app.ports, app.now()), lambda data: usage.read(data, keyring))


handle = entry.start("keep_evidence", build)


@functions_framework.http
def keep_evidence(request: Request) -> entry.Response:
    return handle(request)
