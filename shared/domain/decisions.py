"""A fraud decision: what was known of a payment, and what we said to do about it.

A decision is written once and never edited. It holds all that its outcome was computed from, so that
`shared.fraud.decide.recompute` gives the same bytes again years later. How long it took is logged, not kept here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.money import Money


class Outcome(StrEnum):
    """What to do with a payment, from the mildest to the hardest."""

    APPROVE = "approve"
    CHALLENGE = "challenge"  # ask the cardholder to authenticate (3-D Secure) next time, or before capture
    REVIEW = "review"  # a person looks
    DECLINE = "decline"


class Fallback(StrEnum):
    """Why a decision was made without a model's score."""

    NO_MODEL = "no_model"  # rules only, as the operator asked
    # Before authorisation nobody waits: rules on what the request says itself, and what the operator wants of such payments.
    STORE_SLOW = "store_slow"
    STORE_DOWN = "store_down"


class HistoryState(StrEnum):
    """What was known of an entity (a card, a device, ...) when the payment was scored."""

    KNOWN = "known"
    NEW = "new"  # never seen before: features of it are missing, not zero
    ABSENT = "absent"  # the payment names none
    SHARED = "shared"  # names one that half the world shares (a free-mail domain): no history is kept
    UNKNOWN = "unknown"  # the store did not say in time: features of it are missing, and it is not new
    SATURATED = "saturated"  # so busy that its history is no longer written in this five-minute bucket


CHALLENGER_DIGITS = 12
"""Of a model's digest, by which decisions name whom they asked beside."""


class ScaExemption(StrEnum):
    """A lawful reason to skip strong customer authentication (Commission Delegated Regulation (EU) 2018/389)."""

    LOW_VALUE = "low_value"  # Article 16
    RISK_ANALYSIS = "transaction_risk_analysis"  # Article 18


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureValue:
    """One member of the vector. None: missing, which is not zero."""

    name: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """How fresh the features of one entity are. `value` is the entity itself: personal data, never logged."""

    entity: str
    value: str | None
    state: HistoryState
    last_seen_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why. source: `list`, `rule`, `model` or `exploration`. code: the rule's or the feature's name, or what of the payment
    is on which list. weight: for the model, what the feature added to the log-odds of fraud; None for the others."""

    source: str
    code: str
    weight: float | None = None


class Action(StrEnum):
    """What a list does with whom it names."""

    ALLOW = "allow"
    BLOCK = "block"
    SNOOZE = "snooze"  # one rule says nothing of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list names something of the payment. kind: `card`, `country`, ...: which, and never its value. rule: the code of the
    rule that is snoozed, and None of what is allowed or blocked."""

    action: Action
    kind: str
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`event_id` is the event that was decided on. Versions are short SHA-256 digests of the tables they name.

    raw_score: the model's log-odds of fraud, before calibration. score: calibrated probability, 0 to 1. Both are
    None when rules alone decided, and `fallback` says why.

    What follows `history` has been added since the first release, and is None or empty in what that stored:
    book_revision: of the book of rules that judged; None: what is shipped. country, initiator, product: the payment's segment.
    listed: what lists named of it. shadow: codes of rules in shadow that held, and changed nothing. propensity: where exploration could have let the payment pass, how
    probable this outcome was; explored: it was let pass for that. 1 and not explored: it was drawn, and the day's amount was
    spent; of payments that are not drawn nobody asks, so that after the day's first such decision theirs is 1 too.

    network: of the card. step: what the issuer said of the attempt, where a provider told; of an assessment, once it is linked.

    Of a decision before authorisation (an assessment): request_id, the caller's; request_digest, what was asked;
    without_history, the mildest outcome where history was not known; sca_exemption, what its provider may ask the issuer
    for instead of authentication. `payment_id` is `request:<request_id>`, and the
    provider's own, with linked_event_id, once an event told which payment came of it: that is the same decision.

    challenger: the first `CHALLENGER_DIGITS` digits of the model that was asked beside and decided nothing; challenger_score: its
    answer, to six decimals. During a canary that may be the champion, where the challenger decided (model_digest).
    """

    provider: str
    account: str
    payment_id: str
    event_id: str
    livemode: bool
    occurred_at: datetime
    decided_at: datetime
    amount: Money | None
    outcome: Outcome
    score: float | None
    raw_score: float | None
    reasons: tuple[Reason, ...]
    fallback: Fallback | None
    model_digest: str | None
    schema_version: str
    rules_version: str
    policy_version: str
    features: tuple[FeatureValue, ...]
    history: tuple[History, ...]
    request_id: str | None = None
    request_digest: str | None = None
    without_history: Outcome | None = None
    linked_event_id: str | None = None
    book_revision: int | None = None
    country: str | None = None
    initiator: str | None = None
    listed: tuple[Listed, ...] = ()
    shadow: tuple[str, ...] = ()
    propensity: float | None = None
    explored: bool | None = None
    product: str | None = None
    sca_exemption: ScaExemption | None = None
    challenger: str | None = None
    challenger_score: float | None = None
    network: str | None = None
    step: str | None = None
