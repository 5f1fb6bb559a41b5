"""Messages of ours out to systems outside of Google Cloud, signed; GET and POST below /v1/notifications: list, resend, enable."""

import functions_framework
from flask import Request

from shared.runtime import entry, notifications

handle = entry.start("notify", notifications.desk)


@functions_framework.http
def notify(request: Request) -> entry.Response:
    return handle(request)
