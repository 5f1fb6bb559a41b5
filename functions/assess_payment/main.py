"""Before authorisation: POST /v1/assessments, and what to do with the payment comes back within the caller's budget."""

import functions_framework
from flask import Request

from shared.runtime import assessments, entry

handle = entry.start("assess_payment", assessments.door, largest=lambda _: assessments.LARGEST)


@functions_framework.http
def assess_payment(request: Request) -> entry.Response:
    return handle(request)
