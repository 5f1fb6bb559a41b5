"""The networks' programmes: by hand, at their thresholds, and the forecast against simulated months."""

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nbinom

from shared.disputes.programmes import Standing, at_months_end, in_force, passed_of_month, standings

# Half of a month of 30 days.
MIDDLE = datetime(2026, 11, 16, tzinfo=UTC)


def counted(**told: Any) -> dict[str, Any]:
    names = ("settled", "settled_before", "authenticated", "disputes", "reports", "frauds", "fraud_minor")
    nothing = {**dict.fromkeys(names, 0), "fraud_currency": "EUR"}
    return {"provider": "stripe", "account": "acct_1", "network": "visa", **nothing, **told}


def standing(now: datetime = MIDDLE, programme: str = "vamp", **told: Any) -> Standing:
    [found] = [one for one in standings([counted(**told)], now) if one.programme == programme]
    return found


def test_by_hand_vamp_counts_reports_and_disputes_of_what_settled_this_month() -> None:
    found = standing(settled=100_000, settled_before=1, disputes=600, reports=300)
    assert (found.items, found.ratio) == (900, 0.009)
    # Twice as many at the end: 200,000 payments, of which 1.5 % are 3,000 items.
    assert (found.entry, found.left, found.reached) == (3000, 2100, False)
    assert found.forecast == pytest.approx(1800.5)
    assert found.low < 1800 < found.high < 3000
    assert not found.at_risk


def test_few_items_are_no_excess_whatever_their_ratio() -> None:
    found = standing(settled=1000, disputes=700)
    assert (found.entry, found.left, found.reached) == (1501, 801, False)


def test_a_count_that_the_interval_reaches_is_a_risk_and_one_that_is_there_is_reached() -> None:
    assert standing(settled=40_000, disputes=740).at_risk
    assert not standing(settled=40_000, disputes=740).reached
    there = standing(settled=40_000, disputes=1501)
    assert (there.reached, there.left) == (True, 0)
    assert not standing(settled=40_000, disputes=1500).reached


def test_mastercard_goes_by_the_payments_of_last_month_and_by_chargebacks_alone() -> None:
    told: dict[str, Any] = {"network": "mc", "settled": 9, "settled_before": 10_000, "disputes": 120, "reports": 500}
    ecm, hecm = standing(programme="ecm", **told), standing(programme="hecm", **told)
    assert (ecm.items, ecm.ratio, ecm.entry, ecm.left) == (120, 0.012, 150, 30)
    assert (hecm.entry, hecm.left) == (300, 180)
    assert standing(programme="ecm", network="mastercard", settled_before=10, disputes=3).entry == 100


def test_rows_of_one_network_under_two_names_are_one() -> None:
    rows = [
        counted(network="mc", disputes=2),
        counted(network="mastercard", disputes=3),
        counted(network=None, disputes=9),
    ]
    found = [(one.programme, one.items) for one in standings(rows, MIDDLE)]
    assert found == [("ecm", 5), ("efm", 0), ("hecm", 5)]


def efm(**told: Any) -> Standing:
    """Of 100,000 payments last month and 90,000 in this, a tenth authenticated."""
    counts = {"settled": 90_000, "settled_before": 100_000, "authenticated": 9000, **told}
    return standing(programme="efm", network="mc", **counts)


# USD 50,000 at the fixed rate.
WORTH = 4_600_000


def test_efm_asks_for_a_ratio_of_last_months_payments_and_for_what_the_frauds_are_worth() -> None:
    found = efm(disputes=900, frauds=400, fraud_minor=400 * 10_000)
    # 100 EUR each: 460 would be worth it, and 500 are half a hundredth of 100,000.
    assert (found.items, found.ratio, found.entry, found.left) == (400, 0.004, 500, 100)
    assert (found.exempt, found.reached, found.at_risk) == (False, False, True)
    cheap = efm(frauds=400, fraud_minor=400 * 1000)
    # 10 EUR each: 4,600 of them.
    assert (cheap.entry, cheap.at_risk) == (4600, False)
    assert efm(frauds=500, fraud_minor=WORTH).reached
    assert not efm(frauds=500, fraud_minor=WORTH - 1).reached
    assert not efm(frauds=499, fraud_minor=2 * WORTH).reached
    assert not efm(disputes=5000).at_risk


def test_frauds_in_several_currencies_are_worth_what_they_are_at_fixed_rates() -> None:
    told = {"network": "mc", "settled_before": 100_000, "frauds": 250}
    euros = counted(**told, fraud_minor=WORTH // 2)
    dollars = counted(**told, fraud_minor=2_500_000, fraud_currency="USD")
    shillings = counted(network="mc", frauds=0, fraud_minor=10**9, fraud_currency="UGX")

    def reached(*rows: dict[str, Any]) -> list[bool]:
        return [one.reached for one in standings(rows, MIDDLE) if one.programme == "efm"]

    assert reached(euros | {"settled_before": 50_000}, dollars | {"settled_before": 50_000}) == [True]
    assert reached(euros, shillings) == [False]


def test_efm_spares_whoever_has_few_payments_or_authenticates_half_of_them() -> None:
    told: dict[str, Any] = {"frauds": 600, "fraud_minor": WORTH}
    assert efm(**told).reached
    for spared in ({"settled_before": 999}, {"authenticated": 45_000}):
        found = efm(**told, **spared)
        assert (found.exempt, found.reached, found.at_risk) == (True, False, False)
    for not_spared in ({"authenticated": 44_999}, {"settled": 0, "authenticated": 0}):
        assert efm(**told, **not_spared).reached


def test_thresholds_are_those_of_their_day() -> None:
    def vamp(day: date) -> list[float]:
        return [one.ratio for one in in_force(day) if one.programme == "vamp"]

    assert vamp(date(2025, 5, 31)) == []
    assert vamp(date(2026, 3, 31)) == [0.022]
    assert vamp(date(2026, 4, 1)) == [0.015]


@pytest.mark.parametrize(
    ("now", "passed"),
    [
        (MIDDLE, 0.5),
        (datetime(2027, 2, 15, tzinfo=UTC), 0.5),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), 30.5 / 31),
        (datetime(2026, 11, 1, tzinfo=UTC), 1 / 720),
    ],
)
def test_a_month_passes_by_its_own_days(now: datetime, passed: float) -> None:
    assert passed_of_month(now) == pytest.approx(passed)


@given(st.integers(0, 3000), st.floats(0.01, 0.999))
def test_the_interval_is_scipys_negative_binomial(items: int, passed: float) -> None:
    forecast, low, high = at_months_end(items, passed)
    assert low <= high
    assert items <= low
    assert forecast >= items
    for part, found in ((0.05, low), (0.95, high)):
        assert nbinom.cdf(found - items, items + 0.5, passed) >= part - 1e-9
        if found > items:
            assert nbinom.cdf(found - items - 1, items + 0.5, passed) < part + 1e-9


def test_at_the_end_of_the_month_there_is_nothing_left_to_forecast() -> None:
    assert at_months_end(7, 1.0) == (7.0, 7, 7)


def test_of_simulated_months_nine_in_ten_end_within_the_interval() -> None:
    chance, within = random.Random(1), 0
    for _ in range(400):
        days = sorted(chance.uniform(0, 1) for _ in range(chance.randrange(50, 400)))
        passed = chance.uniform(0.2, 0.9)
        _, low, high = at_months_end(sum(day < passed for day in days), passed)
        within += low <= len(days) <= high
    # What comes here is fewer at once than by chance alone: the interval is not too narrow, and that is what is promised.
    assert within / 400 >= 0.88
