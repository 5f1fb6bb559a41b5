"""Pokes in, full events out: what changed is read back from the provider's API."""

import functions_framework
from flask import Request

from shared.flows.fetch_resource import fetch_resource as fetch
from shared.runtime import entry
from shared.runtime.apis import Apis, fetcher
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    apis = Apis(app.settings, app.now)
    bus = app.pseudonymous_bus()
    return entry.consume(lambda event: fetch(event, fetcher, apis, bus(), app.now()))


handle = entry.start("fetch_resource", build)


@functions_framework.http
def fetch_resource(request: Request) -> entry.Response:
    return handle(request)
