"""Providers' webhooks in: POST /<provider>. Verified on the exact bytes, published, acknowledged. No database."""

import functions_framework
from flask import Request

from shared.runtime import entry, intake

handle = entry.start("webhook", intake.webhook, largest=intake.largest)


@functions_framework.http
def webhook(request: Request) -> entry.Response:
    return handle(request)
