"""A decision says what raised its score, the strongest first, and when each entity was seen last."""

from dataclasses import replace

import numpy as np
import pytest

from shared.domain.decisions import Decision, FeatureValue, HistoryState
from shared.flows.train_model import COLUMNS
from shared.fraud.decide import MODEL_REASONS, SMALLEST_WEIGHT, decide, recompute
from shared.fraud.features import Attempt, Entity, microseconds
from shared.fraud.history import Known
from shared.fraud.model import Model
from tests.builders import MINUTE, NOON, SECOND, a_payment_event
from tests.fraud.forests import fitted, loaded, noise


@pytest.fixture(scope="module")
def model() -> Model:
    return loaded(COLUMNS, fitted(COLUMNS))


def judged(row: np.ndarray, model: Model) -> Decision:
    """The decision on a payment whose features are `row`."""
    vector = tuple(
        FeatureValue(name=name, value=None if np.isnan(value) else float(value))
        for name, value in zip(COLUMNS, row, strict=True)
    )
    asked = decide(Known(Attempt.of(a_payment_event()), {}), model, NOON)
    others = tuple(one for one in asked.features if one.name not in COLUMNS)
    return recompute(replace(asked, features=(*vector, *others)), model)


def test_the_reasons_of_a_model_are_what_raised_the_score_most_the_strongest_first(model: Model) -> None:
    several = 0
    for row in noise(300, COLUMNS, seed=2).values:
        decision = judged(row, model)
        values = {feature.name: feature.value for feature in decision.features}
        raised = model.score([values[name] for name in model.names]).contributions
        expected = sorted((weight for weight in raised if weight >= SMALLEST_WEIGHT), reverse=True)
        told = [reason.weight for reason in decision.reasons if reason.source == "model"]
        assert told == expected[:MODEL_REASONS]
        several += len(told) > 1 and told[0] != told[-1]
    assert several > 20, "too few decisions have reasons that could be in the wrong order"


def test_a_decision_says_when_each_entity_was_seen_last() -> None:
    at = NOON - 3 * MINUTE
    attempt = Attempt.of(a_payment_event())
    seen = {"first": microseconds(at - MINUTE), "last": microseconds(at), "ever": {}}
    decision = decide(Known(attempt, {Entity.CARD: seen}), None, NOON + SECOND)
    by_entity = {history.entity: history for history in decision.history}
    assert by_entity[Entity.CARD].state is HistoryState.KNOWN
    assert by_entity[Entity.CARD].last_seen_at == at
    assert by_entity[Entity.CUSTOMER].state is HistoryState.NEW
    assert by_entity[Entity.CUSTOMER].last_seen_at is None
