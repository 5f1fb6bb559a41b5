"""Payment events in, one explained fraud decision per payment out."""

import functions_framework
from flask import Request

from shared.flows.score_payment import score_payment as score
from shared.flows.scorer import Scorer
from shared.runtime import entry
from shared.runtime.app import App


def build(app: App) -> entry.Handler:
    scorer = Scorer(use_model=app.settings.use_model, assessments=app.settings.assessments)
    scorer.start(app.ports, app.now())
    return entry.consume(lambda event: score(event, app.ports, app.now(), scorer))


handle = entry.start("score_payment", build)


@functions_framework.http
def score_payment(request: Request) -> entry.Response:
    return handle(request)
