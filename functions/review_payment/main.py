"""People work on what waits for them: GET /v1/reviews, and POST next, case, claim, release and decide below it."""

import functions_framework
from flask import Request

from shared.runtime import entry, reviews

handle = entry.start("review_payment", reviews.desk)


@functions_framework.http
def review_payment(request: Request) -> entry.Response:
    return handle(request)
