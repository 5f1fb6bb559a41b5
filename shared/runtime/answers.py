"""What `respond_dispute` answers with: providers' modules and APIs, the evidence, the strategy, and where packets are kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock

from shared.disputes.alerts import AlertRules
from shared.disputes.strategy import Outcomes
from shared.domain.codec import decode
from shared.domain.disputes import AnswerAsked, Dispute
from shared.flows import alerts
from shared.flows.evidence import keep, kept
from shared.flows.preparing import Prepared, judge, outcomes_until, prepare
from shared.flows.respond_dispute import Clerk, Verdict
from shared.flows.responding import takes_acceptance, tells_use
from shared.flows.strategies import StandingStrategy
from shared.runtime.apis import Apis
from shared.runtime.app import App
from shared.runtime.responders import responder_of

LOOKS_BACK = timedelta(days=400)
"""Disputes that were opened since are those that we learn from."""
ASKED_ANEW = timedelta(days=1)


def asked(data: bytes) -> AnswerAsked:
    """A message of `dispute-actions` that asks for an answer. Raises Unreadable."""
    return decode(data, AnswerAsked)


def clerk(app: App) -> Clerk:
    """Made once an instance; the outcomes of our disputes are asked for once a day, what people published once a minute.
    Raises Misconfigured."""
    app.settings.evidence_bucket()
    app.settings.merchant()
    apis, strategy = Apis(app.settings, app.now), StandingStrategy()
    known = _Daily(lambda now: outcomes_until(now, app.ports.warehouse, now - LOOKS_BACK))

    def judged(dispute: Dispute, now: datetime) -> Verdict:
        documents, outcomes = app.ports.documents, known(now)
        if dispute.alert is not None:
            return strategy.decided(
                documents,
                now,
                lambda rules: alerts.judge(dispute, documents, outcomes, rules, AlertRules(), now),
            )
        packet, may_accept = prepared(app, dispute, now), takes_acceptance(responder_of(dispute))
        return strategy.decided(
            documents, now, lambda rules: judge(dispute, packet, outcomes, rules, now, acceptable=may_accept)
        )

    return Clerk(
        responder=responder_of,
        api=apis,
        judge=judged,
        prepare=lambda dispute, now: prepared(app, dispute, now).packet,
        keep=lambda one: keep(one, app.ports),
        load=lambda digest: kept(digest, app.ports),
        guard=lambda alert: alerts.guard(alert, app.ports.documents),
    )


def prepared(app: App, dispute: Dispute, now: datetime) -> Prepared:
    """What would be sent of `dispute` now. Raises as `prepare`, and Misconfigured."""
    return prepare(dispute, app.ports, now, app.settings.merchant(), use=tells_use(responder_of(dispute)))


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
