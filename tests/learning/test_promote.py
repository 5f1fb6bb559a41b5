"""What speaks against a new model, at the border of each reason."""

import pytest

from shared.learning.evaluate import Quality
from shared.learning.promote import LEAST_AUC, LEAST_LIFT, TOLERANCE, objections


def a_quality(average_precision: float = 0.5, roc_auc: float = 0.9, prior: float = 0.125) -> Quality:
    return Quality(
        payments=1000,
        frauds=125,
        prior=prior,
        average_precision=average_precision,
        roc_auc=roc_auc,
        recall_at_1_percent_false=0.3,
        lift_at_1_percent=4.0,
        brier=0.08,
        outcomes={},
    )


def test_nothing_speaks_against_a_model_that_reaches_what_is_least_and_has_none_before_it() -> None:
    assert objections(a_quality(average_precision=LEAST_LIFT * 0.125, roc_auc=LEAST_AUC), None) == []


@pytest.mark.parametrize(
    ("challenger", "sentence"),
    [
        (
            a_quality(average_precision=0.2499),
            "average precision 0.2499 is below 2 times the part of fraud, 0.1250",
        ),
        (a_quality(roc_auc=0.5999), "area under the curve 0.5999 is below 0.6"),
    ],
)
def test_what_is_below_the_least_is_said_with_its_numbers(challenger: Quality, sentence: str) -> None:
    assert objections(challenger, None) == [sentence]


def test_a_model_that_is_worse_than_the_champion_by_more_than_noise_does_not_follow_it() -> None:
    champion = a_quality(average_precision=0.75)
    assert objections(a_quality(average_precision=0.7), champion) == [
        "average precision 0.7000 is worse than the champion's 0.7500 on the same payments"
    ]
    assert objections(a_quality(average_precision=0.75 - TOLERANCE), champion) == []


def test_every_reason_is_said() -> None:
    assert len(objections(a_quality(average_precision=0.1, roc_auc=0.5), a_quality())) == 3
