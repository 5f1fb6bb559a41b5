"""An alert is matched to one payment or to none: never to another one."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.matching import AFTER, BEFORE, Candidate, Sought, by_card, by_name
from shared.domain import payments
from shared.domain.payments import Payment
from tests.builders import DAY, HOUR, NOON, a_card, a_payment_event, eur

SOUGHT = Sought(amount=eur(1999), bin="42424242", last4="4242", paid_at=NOON)


def a_candidate(payment_id: str = "pi_1", **fields: Any) -> Candidate:
    told = {"at": NOON, "amount": eur(1999), "bin": "424242", "last4": "4242"}
    return Candidate(payment_id=payment_id, **{**told, **fields})


def a_payment(**fields: Any) -> Payment:
    payment = Payment(provider="stripe", payment_id="pi_1", account="acct_1")
    return payments.record(payment, a_payment_event(**{"amount": eur(1999), **fields}))


def test_the_only_payment_of_that_card_amount_and_day_is_meant() -> None:
    others = [
        a_candidate("pi_2", last4="4243"),
        a_candidate("pi_3", bin="555555"),
        a_candidate("pi_4", amount=eur(2000)),
        a_candidate("pi_5", at=NOON + 2 * DAY),
        a_candidate("pi_6", at=NOON - 6 * DAY),
        a_candidate("pi_7", bin=None),
        a_candidate("pi_8", last4=None),
    ]
    assert by_card(SOUGHT, [*others, a_candidate(), a_candidate(at=NOON - HOUR)]).payment_id == "pi_1"
    assert by_card(SOUGHT, others).payment_id is None


def test_of_two_that_fit_nobody_guesses() -> None:
    match = by_card(SOUGHT, [a_candidate(), a_candidate("pi_2", at=NOON - 4 * DAY)])
    assert (match.payment_id, match.why) == (None, "2 payments have this card, amount and day")


@pytest.mark.parametrize("missing", ["bin", "last4", "paid_at"])
def test_without_card_and_day_nothing_is_found(missing: str) -> None:
    nothing: dict[str, Any] = {missing: None}
    assert by_card(replace(SOUGHT, **nothing), [a_candidate()]).payment_id is None


@given(
    st.lists(
        st.builds(
            Candidate,
            payment_id=st.sampled_from(["pi_1", "pi_2", "pi_3"]),
            at=st.integers(-8 * 24, 8 * 24).map(lambda hours: NOON + timedelta(hours=hours)),
            amount=st.sampled_from([eur(1999), eur(2000)]),
            bin=st.sampled_from([None, "42424", "424242", "42424299", "555555"]),
            last4=st.sampled_from([None, "4242", "1111"]),
        ),
        max_size=6,
    )
)
def test_never_another_payment(candidates: list[Candidate]) -> None:
    found = by_card(SOUGHT, candidates).payment_id
    fitting = {
        one.payment_id
        for one in candidates
        if one.amount == SOUGHT.amount
        and one.last4 == "4242"
        and one.bin in ("424242", "42424299")
        and -BEFORE <= one.at - NOON <= AFTER
    }
    assert fitting == {found} if found else len(fitting) != 1
    assert by_card(SOUGHT, candidates[::-1]).payment_id == found


@pytest.mark.parametrize(
    ("payment", "found"),
    [
        (a_payment(), "pi_1"),
        (a_payment(amount=eur(2500)), "pi_1"),
        (a_payment(card=a_card(last4=None, bin=None)), "pi_1"),
        (a_payment(amount=eur(1998)), None),
        (a_payment(card=a_card(last4="1111")), None),
        (a_payment(card=a_card(bin="555555")), None),
        (None, "ch_1"),
    ],
)
def test_a_name_holds_unless_the_rest_contradicts_it(payment: Payment | None, found: str | None) -> None:
    assert by_name(SOUGHT, payment, "ch_1").payment_id == found
