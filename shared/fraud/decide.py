"""From a payment and its history to a decision, and from a stored decision to the same decision again."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.domain.decisions import Decision, Fallback, Outcome, Reason
from shared.domain.events import PaymentAssessed
from shared.fraud.features import EPOCH, NAMES, SCHEMA_VERSION
from shared.fraud.history import Known
from shared.fraud.model import Model
from shared.fraud.policy import DEFAULT_THRESHOLDS, hardest
from shared.fraud.rules import RULES_VERSION, judge

MODEL_REASONS = 4
"""The features that raised the score most, at most so many."""

SMALLEST_WEIGHT = 0.05
"""Log-odds: what adds less is no reason."""


def decide(
    known: Known,
    model: Model | None,
    now: datetime,
    *,
    fallback: Fallback = Fallback.NO_MODEL,
    without_history: Outcome | None = None,
) -> Decision:
    """Judge the payment in `known`. Without a model, rules alone decide, and `fallback` says why there is none.

    without_history: what the operator wants of such a payment at least, where its history is not known.
    """
    event = known.attempt.event
    asked = event if isinstance(event, PaymentAssessed) else None
    facts = Decision(
        provider=event.provider,
        account=event.account,
        payment_id=event.payment_id,
        event_id=event.event_id,
        livemode=event.livemode,
        occurred_at=event.occurred_at,
        decided_at=now,
        amount=event.amount,
        features=known.features(),
        history=known.history(),
        schema_version=SCHEMA_VERSION,
        rules_version=RULES_VERSION,
        policy_version=(model.thresholds if model else DEFAULT_THRESHOLDS).version,
        model_digest=model.digest if model else None,
        fallback=None if model else fallback,
        outcome=Outcome.APPROVE,
        score=None,
        raw_score=None,
        reasons=(),
        request_id=asked.request_id if asked else None,
        request_digest=digest(asked) if asked else None,
        without_history=without_history,
    )
    return _judged(facts, model)


def digest(asked: PaymentAssessed) -> str:
    """By which the same request, asked again, is told from another under its id: of all but when it was asked."""
    content = replace(asked, occurred_at=EPOCH, decision="")
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def recompute(decision: Decision, model: Model | None) -> Decision:
    """`decision` again, from what it recorded: equal to it, to the byte, whatever payment it was linked to since.

    Raises ValueError when it was made by another model, schema, or table of rules than those given here.
    """
    made_by = (decision.model_digest, decision.schema_version, decision.rules_version, decision.policy_version)
    policy = (model.thresholds if model else DEFAULT_THRESHOLDS).version
    if made_by != (model.digest if model else None, SCHEMA_VERSION, RULES_VERSION, policy):
        raise ValueError(f"decision on {decision.event_id} was made by other versions: {made_by}")
    return _judged(decision, model)


def _judged(facts: Decision, model: Model | None) -> Decision:
    values = {feature.name: feature.value for feature in facts.features}
    rules = judge(values)
    outcomes = [rule.outcome for rule in rules]
    reasons = [Reason(source="rule", code=rule.code) for rule in rules]
    if facts.without_history is not None:
        outcomes.append(facts.without_history)
        reasons.append(Reason(source="fallback", code=str(facts.fallback)))
    raw = score = None
    if model is not None:
        scored = model.score([values[name] for name in model.names])
        raw, score = scored.raw, scored.score
        outcomes.append(model.thresholds.outcome(score))
        reasons += _reasons(model.names, scored.contributions)
    return replace(facts, outcome=hardest(outcomes), score=score, raw_score=raw, reasons=tuple(reasons))


def _reasons(names: Sequence[str], contributions: dict[int, float]) -> list[Reason]:
    """What raised the score most, the strongest first."""
    raised = sorted(((-weight, index) for index, weight in contributions.items() if weight >= SMALLEST_WEIGHT))
    return [Reason(source="model", code=names[index], weight=-weight) for weight, index in raised[:MODEL_REASONS]]


if len(set(NAMES)) != len(NAMES):
    raise ValueError("two features have one name")
