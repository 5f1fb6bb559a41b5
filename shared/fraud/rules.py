"""Named conditions over the feature vector: what we know without a model, and what no model may overrule.

Rules read features and nothing else, so a stored decision can be judged again. A missing feature satisfies no
condition. Counts are of earlier payments: the one being judged is not among them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.domain.decisions import Outcome
from shared.fraud.features import NAMES


@dataclass(frozen=True, slots=True)
class Condition:
    feature: str
    comparison: Literal["at least", "below"]
    bound: float

    def holds(self, features: Mapping[str, float | None]) -> bool:
        value = features[self.feature]
        if value is None:
            return False
        return value >= self.bound if self.comparison == "at least" else value < self.bound


@dataclass(frozen=True, slots=True)
class Rule:
    """`outcome` at least, when every condition holds. `code` is the reason that a decision gives."""

    code: str
    outcome: Outcome
    conditions: tuple[Condition, ...]


def _at_least(feature: str, bound: float) -> Condition:
    return Condition(feature, "at least", bound)


def _below(feature: str, bound: float) -> Condition:
    return Condition(feature, "below", bound)


RULES: tuple[Rule, ...] = (
    # Hard evidence: somebody has already said that this is fraud.
    Rule("card_reported_stolen", Outcome.DECLINE, (_at_least("reported_stolen", 1),)),
    Rule("known_fraud_on_card", Outcome.DECLINE, (_at_least("card_frauds_ever", 1),)),
    Rule("known_fraud_on_device", Outcome.REVIEW, (_at_least("device_frauds_30d", 1),)),
    Rule("known_fraud_of_customer", Outcome.REVIEW, (_at_least("customer_frauds_ever", 1),)),
    # Card testing: many cards tried from one place, mostly refused.
    Rule(
        "card_testing_on_device",
        Outcome.DECLINE,
        (_at_least("device_new_cards_1h", 4), _at_least("device_declined_1h", 2)),
    ),
    Rule("card_testing_on_ip", Outcome.REVIEW, (_at_least("ip_new_cards_1h", 6), _at_least("ip_declined_1h", 4))),
    Rule("many_cards_on_device", Outcome.REVIEW, (_at_least("device_new_cards_24h", 5),)),
    Rule("many_cards_of_customer", Outcome.REVIEW, (_at_least("customer_new_cards_24h", 4),)),
    Rule("small_amount_after_declines", Outcome.REVIEW, (_below("amount", 200), _at_least("device_declined_1h", 2))),
    Rule("refused_card_retried", Outcome.CHALLENGE, (_at_least("card_declined_1h", 4),)),
    # A card or an account in new hands.
    Rule("many_customers_on_card", Outcome.REVIEW, (_at_least("card_new_customers_30d", 4),)),
    Rule("failed_authentication", Outcome.REVIEW, (_at_least("three_d_secure_failed", 1),)),
    Rule(
        "wrong_code_on_new_card",
        Outcome.CHALLENGE,
        (_at_least("cvv_mismatch", 1), _at_least("new_card_of_customer", 1)),
    ),
)

RULES_VERSION = hashlib.sha256(repr(RULES).encode()).hexdigest()[:16]

_UNKNOWN = {condition.feature for rule in RULES for condition in rule.conditions} - set(NAMES)
if _UNKNOWN:
    raise ValueError(f"rules name features that nobody declares: {sorted(_UNKNOWN)}")


def judge(features: Mapping[str, float | None]) -> tuple[Rule, ...]:
    """The rules that hold, in the table's order."""
    return tuple(rule for rule in RULES if all(condition.holds(features) for condition in rule.conditions))
