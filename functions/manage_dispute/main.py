"""People answer disputes: GET and POST below /v1/disputes: look, put evidence, submit now, accept,
hold, record, and ask before a refund."""

import functions_framework
from flask import Request

from shared.runtime import disputes, entry

handle = entry.start("manage_dispute", disputes.desk)


@functions_framework.http
def manage_dispute(request: Request) -> entry.Response:
    return handle(request)
