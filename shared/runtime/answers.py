"""What `respond_dispute` answers with: providers' modules and APIs, the evidence, the strategy, and where packets are kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import cast

from shared.disputes.alerts import AlertRules
from shared.disputes.strategy import Outcomes, Strategy
from shared.domain.codec import decode
from shared.domain.disputes import AnswerAsked, Dispute
from shared.domain.evidence import Packet
from shared.flows import alerts
from shared.flows.evidence import keep, kept
from shared.flows.preparing import judge, outcomes_until, prepare
from shared.flows.respond_dispute import Clerk, Verdict
from shared.flows.responding import Responder
from shared.providers import load_answer, load_refund, names
from shared.runtime.apis import Apis
from shared.runtime.app import App

LOOKS_BACK = timedelta(days=400)
"""Disputes that were opened since are those that we learn from."""
ASKED_ANEW = timedelta(days=1)


def responder(dispute: Dispute) -> Responder | None:
    """How a dispute is answered at its provider, an alert by a refund; None where there is no API for that."""
    if dispute.provider not in names():
        return None
    load = load_answer if dispute.alert is None else load_refund
    return cast("Responder | None", load(dispute.provider))


def asked(data: bytes) -> AnswerAsked:
    """A message of `dispute-actions` that asks for an answer. Raises Unreadable."""
    return decode(data, AnswerAsked)


def clerk(app: App) -> Clerk:
    """Made once an instance; the outcomes of our disputes are asked for once a day. Raises Misconfigured."""
    app.settings.evidence_bucket()
    apis, merchant, rules = Apis(app.settings), app.settings.merchant(), Strategy()
    known = _Daily(lambda now: outcomes_until(now, app.ports.warehouse, now - LOOKS_BACK))

    def judged(dispute: Dispute, now: datetime) -> Verdict:
        if dispute.alert is not None:
            return alerts.judge(dispute, app.ports.documents, known(now), rules, AlertRules(), now)
        return judge(dispute, prepare(dispute, app.ports, now, merchant), known(now), rules, now)

    def packet(dispute: Dispute, now: datetime) -> Packet:
        return prepare(dispute, app.ports, now, merchant).packet

    return Clerk(
        responder=responder,
        api=apis,
        judge=judged,
        prepare=packet,
        keep=lambda one: keep(one, app.ports),
        load=lambda digest: kept(digest, app.ports),
        guard=lambda alert: alerts.guard(alert, app.ports.documents),
    )


class _Daily:
    def __init__(self, ask: Callable[[datetime], Outcomes]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._known: tuple[datetime, Outcomes] | None = None

    def __call__(self, now: datetime) -> Outcomes:
        with self._lock:
            if self._known is None or now - self._known[0] >= ASKED_ANEW:
                self._known = now, self._ask(now)
            return self._known[1]
