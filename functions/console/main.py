"""Pages for the people who decide: what is due, disputes, reviews, deliveries, rules and models, behind Identity-Aware Proxy."""

import functions_framework
from flask import Request

from shared.console.app import console as pages
from shared.runtime import entry
from shared.runtime.workbench import Workbench

handle = entry.start_on(Workbench, "console", pages)


@functions_framework.http
def console(request: Request) -> entry.Response:
    return handle(request)
