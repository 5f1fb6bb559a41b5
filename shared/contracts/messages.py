"""What travels on each topic: the types whose JSON it is, and the attributes by which subscriptions filter."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from shared.domain.decisions import Outcome
from shared.domain.delivery import DeliveryOutcome, DeliveryRow
from shared.domain.disputes import AlertAnswered, AnswerAsked, AnswerTold, DisputeReminder, DisputeUpdate, Rung
from shared.domain.entitlements import EntitlementAction, EntitlementChanged
from shared.domain.events import KINDS, DisputeStage, DisputeStatus, PaymentChanged, PaymentStep
from shared.domain.health import HealthMeasured
from shared.domain.labels import FraudLabel, LabelClass, LabelSource
from shared.domain.payouts import PayoutExplained
from shared.domain.reviews import PaymentAction, ReviewAction
from shared.domain.traffic import TrafficCounted
from shared.flows.decisions import DecisionRow
from shared.flows.explain_payouts import PayoutsRequest
from shared.flows.monitor_model import HealthRequest
from shared.flows.reconcile import ReconcileRequest
from shared.flows.watch_traffic import TrafficRequest
from shared.learning import request
from shared.providers import names
from shared.runtime.usage import UsageEvidence

Words = Collection[str] | None
"""The values that a name may have; None: any."""


class Side(Enum):
    """Who has to be able to go on when a contract changes."""

    SENT = "sent"  # by us: whoever reads it
    TAKEN = "taken"  # by us: whoever sends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of message. of: the types whose JSON its data may be. attributes: on each of them, and what they may say;
    sometimes: those that may be missing. copies: the members that are the same on every copy of a message; newest: of two
    messages that are alike in them, the one that is greater in this is right. kind: what the event's `kind` says, for the
    codec adds it."""

    name: str
    summary: str
    of: tuple[type, ...]
    attributes: Mapping[str, Words]
    sometimes: Mapping[str, Words] | None = None
    copies: tuple[str, ...] = ()
    newest: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """sides: SENT and TAKEN for what we publish and read ourselves, as of a release that is days old."""

    summary: str
    sides: tuple[Side, ...]
    kinds: tuple[Kind, ...]


def _words(of: type[Enum]) -> list[str]:
    return [str(one.value) for one in of]


_PROVIDER: dict[str, Words] = {"provider": names()}
_SENT, _BOTH, _TAKEN = (Side.SENT,), (Side.SENT, Side.TAKEN), (Side.TAKEN,)

_EVENTS = {
    "payment": "Something happened to a payment",
    "assessment": "Somebody asked what to do with a payment, before a provider heard of it",
    "dispute": "A dispute opened, moved or ended",
    "fraud_warning": "An issuer reported fraud on a payment",
    "fraud_found": "We ourselves take a payment for fraud: it was refunded as that, or a reviewer said so",
    "review": "The provider's own review of a payment opened or closed",
    "payout": "Money is on its way to our bank",
    "resource": "Something about an object changed, and the provider did not say what, or did not sign it",
    "canary": "A delivery of our own went through the provider's webhook: nobody's business, and in no table",
}

TOPICS: Mapping[str, Topic] = {
    "deliveries": Topic(
        "Every authentic request of a provider: its exact bytes, what proved it, and what it came to",
        _SENT,
        (
            Kind(
                name="delivery",
                summary="A request as it was received",
                of=(DeliveryRow,),
                attributes={**_PROVIDER, "outcome": _words(DeliveryOutcome), "delivery_id": None},
                copies=("delivery_id",),
            ),
        ),
    ),
    "payment-events": Topic(
        "What providers told, translated into facts in our words, each provider's on a topic of its own",
        _BOTH,
        tuple(
            Kind(
                name=f"{kind}_event",
                summary=_EVENTS[kind],
                of=(of,),
                attributes={
                    "kind": [kind],
                    **_PROVIDER,
                    "event_id": None,
                    **({"step": _words(PaymentStep)} if of is PaymentChanged else {}),
                },
                copies=("event_id",),
                kind=kind,
            )
            for kind, of in KINDS.items()
        ),
    ),
    "fraud-decisions": Topic(
        "What to do with each payment, and why",
        _SENT,
        (
            Kind(
                name="decision",
                summary="A payment was decided on, or what is known of its decision has grown",
                of=(DecisionRow,),
                attributes={
                    "kind": ["decision"],
                    **_PROVIDER,
                    "outcome": _words(Outcome),
                    "event_id": None,
                    "payment_id": None,
                },
                copies=("event_id",),
                newest="decided_at",
            ),
        ),
    ),
    "fraud-labels": Topic(
        "What payments turned out to be, who says so, and since when that is known",
        _SENT,
        (
            Kind(
                name="label",
                summary="Somebody said what a payment was",
                of=(FraudLabel,),
                attributes={**_PROVIDER, "label": _words(LabelClass), "source": _words(LabelSource)},
                copies=("label_id",),
                newest="revision",
            ),
        ),
    ),
    "dispute-updates": Topic(
        "Where each dispute stands, whenever it or its payment's case changed",
        _SENT,
        (
            Kind(
                name="dispute_update",
                summary="A dispute as it stands now",
                of=(DisputeUpdate,),
                attributes=_PROVIDER,
                sometimes={"stage": _words(DisputeStage), "status": _words(DisputeStatus)},
                copies=("update_id",),
                newest="revision",
            ),
        ),
    ),
    "dispute-actions": Topic(
        "What people have to know of disputes that wait for an answer, and what our own sender has to do",
        _BOTH,
        (
            Kind(
                name="reminder",
                summary="A dispute waits for an answer, and its deadline is near",
                of=(DisputeReminder,),
                attributes={**_PROVIDER, "action": ["remind"], "rung": _words(Rung)},
                copies=("action_id",),
            ),
            Kind(
                name="answer_asked",
                summary="Our own sender decides on an answer, or sends it; the subscription for people leaves it out",
                of=(AnswerAsked,),
                attributes={**_PROVIDER, "action": ["answer"]},
                copies=("provider", "dispute_id", "round"),
            ),
            Kind(
                name="answer_told",
                summary="What becomes of our answer to a dispute",
                of=(AnswerTold,),
                attributes={**_PROVIDER, "action": ["answer_told"]},
                copies=("action_id",),
            ),
            Kind(
                name="alert_answered",
                summary="What became of an alert, for the network that sent it",
                of=(AlertAnswered,),
                attributes={**_PROVIDER, "action": ["alert_answered"]},
                copies=("action_id",),
            ),
        ),
    ),
    "payment-actions": Topic(
        "What a reviewer, or the clock, decided about a payment that was held; who may go on using what was bought",
        _SENT,
        (
            Kind(
                name="payment_action",
                summary="Release the payment that was held, or refuse it",
                of=(PaymentAction,),
                attributes={**_PROVIDER, "action": _words(ReviewAction)},
                copies=("action_id",),
            ),
            Kind(
                name="entitlement",
                summary="Suspend what was bought with a payment that its cardholder calls fraud, or restore it",
                of=(EntitlementChanged,),
                attributes={**_PROVIDER, "action": _words(EntitlementAction)},
                copies=("action_id",),
                newest="revision",
            ),
        ),
    ),
    "model-health": Topic(
        "What was measured of the model that decides",
        _SENT,
        (
            Kind(
                name="measure",
                summary="One measure of one day",
                of=(HealthMeasured,),
                attributes={"measure": None},
                copies=("row_id",),
                newest="measured_at",
            ),
        ),
    ),
    "provider-traffic": Topic(
        "How much each provider sent",
        _SENT,
        (
            Kind(
                name="traffic",
                summary="What came of one type of a provider's messages in each hour of a day",
                of=(TrafficCounted,),
                attributes={"provider": None},
                copies=("row_id",),
                newest="counted_at",
            ),
        ),
    ),
    "payouts": Topic(
        "What providers paid out, and what it is made of",
        _SENT,
        (
            Kind(
                name="payout_explained",
                summary="A payout as it was read, or a part of its lines",
                of=(PayoutExplained,),
                attributes=_PROVIDER,
                copies=("row_id",),
                newest="read_at",
            ),
        ),
    ),
    "usage-evidence": Topic(
        "What proves that a customer used what was bought, told by other systems",
        _TAKEN,
        (
            Kind(
                name="usage",
                summary="What one system knows of one subscriber, or has news of",
                of=(UsageEvidence,),
                attributes={},
                copies=("source", "message_id"),
            ),
        ),
    ),
    "ticks": Topic(
        "It is time for a scheduled job; an operator may publish one too, with what is asked of it",
        _TAKEN,
        (
            Kind(name="check_deadlines", summary="Look at what is due", of=(), attributes={"job": ["check_deadlines"]}),
            Kind(
                name="train_model",
                summary="Train, or do one thing to the models there are",
                of=(
                    request.TrainingRequest,
                    request.RollBack,
                    request.Pin,
                    request.Unpin,
                    request.Promote,
                    request.GiveShare,
                    request.Dismiss,
                    request.Compare,
                    request.Recompute,
                ),
                attributes={"job": ["train_model"]},
            ),
            Kind(
                name="reconcile",
                summary="Hold providers' lists against the archive",
                of=(ReconcileRequest,),
                attributes={"job": ["reconcile"]},
            ),
            Kind(
                name="explain_payouts",
                summary="Read what was paid out",
                of=(PayoutsRequest,),
                attributes={"job": ["explain_payouts"]},
            ),
            Kind(
                name="monitor_model",
                summary="Look for attacks, and measure the day before",
                of=(HealthRequest,),
                attributes={"job": ["monitor_model"]},
            ),
            Kind(
                name="watch_traffic",
                summary="Look whether providers still send what they usually send",
                of=(TrafficRequest,),
                attributes={"job": ["watch_traffic"]},
            ),
            Kind(
                name="erase",
                summary="Take names out of the rows of days that are past, and go on with those who asked to be erased",
                of=(),
                attributes={"job": ["erase"]},
            ),
            Kind(
                name="canary",
                summary="Look which canaries were heard, and send each provider's webhook the next",
                of=(),
                attributes={"job": ["canary"]},
            ),
            Kind(
                name="subscriptions",
                summary="Read at each provider what it sends to our endpoint",
                of=(),
                attributes={"job": ["subscriptions"]},
            ),
        ),
    ),
}

TRACE: Mapping[str, Words] = {"traceparent": None}
"""On any message: the W3C trace of the request that led to it."""


def attributes(topic: str) -> dict[str, Words]:
    """Each attribute by which messages of `topic` may be filtered, and all that it may say; none of a topic that there is not."""
    found: dict[str, Words] = {}
    for kind in TOPICS[topic].kinds if topic in TOPICS else ():
        for name, words in {**kind.attributes, **(kind.sometimes or {})}.items():
            before = found.get(name, ())
            found[name] = None if words is None or before is None else list(dict.fromkeys([*before, *words]))
    return found
