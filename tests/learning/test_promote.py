"""What speaks against a new model, at the border of each reason."""

import pytest

from shared.learning.compare import Comparison, Interval
from shared.learning.evaluate import Quality
from shared.learning.promote import LEAST_AUC, LEAST_HOURS, LEAST_LIFT, MARGIN, objections

PRIOR = 0.125
LEAST = 50


def a_quality(roc_auc: float = 0.9) -> Quality:
    return Quality(
        payments=1000,
        frauds=125,
        prior=PRIOR,
        average_precision=0.5,
        roc_auc=roc_auc,
        recall_at_1_percent_false=0.3,
        lift_at_1_percent=4.0,
        brier=0.08,
        outcomes={},
    )


def at_least(low: float) -> Interval:
    return Interval(low=low, estimate=0.5, high=0.6)


def a_comparison(low: float, high: float, frauds: int = LEAST, hours: int = LEAST_HOURS) -> Comparison:
    money = Interval(low=low, estimate=(low + high) / 2, high=high)
    return Comparison(
        payments=1000, frauds=frauds, hours=hours, challenger=0.5, champion=0.5, money=money, average_precision=money
    )


ENOUGH = at_least(LEAST_LIFT * PRIOR)


def test_nothing_speaks_against_a_model_that_reaches_what_is_least_and_has_none_before_it() -> None:
    assert objections(a_quality(roc_auc=LEAST_AUC), ENOUGH, None, LEAST) == []


@pytest.mark.parametrize(
    ("challenger", "precision", "sentence"),
    [
        (
            a_quality(),
            at_least(0.2499),
            "average precision 0.5000 may be 0.2499, which is below 2 times the part of fraud, 0.1250",
        ),
        (a_quality(roc_auc=0.5999), ENOUGH, "area under the curve 0.5999 is below 0.6"),
    ],
)
def test_what_is_below_the_least_is_said_with_its_numbers(
    challenger: Quality, precision: Interval, sentence: str
) -> None:
    assert objections(challenger, precision, None, LEAST) == [sentence]


def test_a_model_that_is_worse_than_the_champion_beyond_chance_does_not_follow_it() -> None:
    [worse] = objections(a_quality(), ENOUGH, a_comparison(-0.3, -0.01), LEAST)
    assert worse.startswith("worse than the champion: 50.0% of the fraud's money caught")
    assert objections(a_quality(), ENOUGH, a_comparison(-MARGIN, 0.0), LEAST) == []


def test_a_model_that_may_be_worse_by_more_than_the_margin_does_not_follow_it() -> None:
    [perhaps] = objections(a_quality(), ENOUGH, a_comparison(-MARGIN - 0.01, 0.2), LEAST)
    assert perhaps.startswith("perhaps worse than the champion by more than 10%: ")


def test_too_few_frauds_tell_nothing() -> None:
    [few] = objections(a_quality(), ENOUGH, a_comparison(0.1, 0.2, frauds=LEAST - 1), LEAST)
    assert few == "49 frauds are too few to tell it from the champion, which takes 50"


def test_every_reason_is_said() -> None:
    assert len(objections(a_quality(roc_auc=0.5), at_least(0.1), a_comparison(-0.3, -0.2), LEAST)) == 3


def test_many_frauds_of_a_few_raids_tell_nothing_however_narrow_the_interval_is() -> None:
    for better_or_worse in (-0.05, 0.05):
        raid = a_comparison(better_or_worse, better_or_worse, frauds=10 * LEAST, hours=LEAST_HOURS - 1)
        [few] = objections(a_quality(), ENOUGH, raid, LEAST)
        assert few == "500 frauds in 4 hours are too few raids to tell it from the champion, which takes 5"
    assert objections(a_quality(), ENOUGH, a_comparison(0.05, 0.05), LEAST) == []
