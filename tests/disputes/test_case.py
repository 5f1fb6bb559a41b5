"""What the disputes, warnings and refunds of one payment mean together."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.disputes import lifecycle
from shared.disputes.case import known, merge, with_captured, with_dispute, with_refund, with_unplaced, with_warning
from shared.domain import ledger, timeline
from shared.domain.disputes import Case, CaseFlag, Dispute
from shared.domain.events import DisputeStage, DisputeStatus, PaymentStep
from shared.domain.money import Money
from shared.domain.payments import Details
from tests.builders import DAY, HOUR, NOON, SECOND, a_dispute_event, a_fraud_warning, a_refund_event, dispute_after, eur

WON, LOST = DisputeStatus.WON, DisputeStatus.LOST


def a_case() -> Case:
    return Case(provider="stripe", payment_id="pi_1")


def test_a_refund_of_a_disputed_payment_collides_and_both_amounts_are_told() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1500))))
    case = with_refund(case, a_refund_event(amount=eur(999)))
    assert (case.flags, case.refunded, case.disputed) == ((CaseFlag.REFUND_DISPUTE_COLLISION,), eur(999), eur(1500))


@pytest.mark.parametrize(
    ("fields", "collides"),
    [
        ({}, True),
        ({"stage": DisputeStage.INQUIRY}, False),
        ({"status": LOST}, False),
        ({"status": LOST, "final": False}, True),
        ({"status": DisputeStatus.ACCEPTED}, False),
        ({"status": DisputeStatus.UNDER_REVIEW}, True),
        ({"status": DisputeStatus.EXPIRED}, True),
        ({"status": WON}, False),
        ({"status": WON, "final": False}, True),
        ({"status": DisputeStatus.PREVENTED}, False),
        ({"status": DisputeStatus.CLOSED}, False),
    ],
)
def test_only_a_dispute_that_can_still_take_money_collides_with_a_refund(
    fields: dict[str, object], collides: bool
) -> None:
    case = with_refund(a_case(), a_refund_event())
    case = with_dispute(case, dispute_after(a_dispute_event(**fields)))
    assert (CaseFlag.REFUND_DISPUTE_COLLISION in case.flags) is collides


def test_a_refund_that_failed_collides_with_nothing() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    for event in (a_refund_event(), a_refund_event(step=PaymentStep.REFUND_FAILED, occurred_at=NOON + 2 * DAY)):
        case = with_refund(case, event)
    assert case.flags == ()


def test_a_refund_of_an_untold_amount_collides_too() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    assert with_refund(case, a_refund_event(amount=None)).flags == (CaseFlag.REFUND_DISPUTE_COLLISION,)


@pytest.mark.parametrize(("before", "warned"), [(SECOND, True), (0 * SECOND, False), (-SECOND, False)])
def test_a_warning_counts_as_one_only_before_the_dispute(before: timedelta, warned: bool) -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    case = with_warning(case, a_fraud_warning(occurred_at=NOON - before), NOON)
    assert (CaseFlag.WARNED_BEFORE_DISPUTE in case.flags) is warned


def test_two_disputes_of_one_payment_are_several_and_their_amounts_add_up() -> None:
    other = lifecycle.record(
        Dispute(provider="stripe", dispute_id="dp_2", account="acct_1"), a_dispute_event(amount=eur(1)), NOON
    )
    case = with_dispute(with_dispute(a_case(), dispute_after(a_dispute_event())), other)
    assert (case.flags, case.disputed) == ((CaseFlag.SEVERAL_DISPUTES,), eur(2000))


COLLISION = (CaseFlag.REFUND_DISPUTE_COLLISION,)


@pytest.mark.parametrize(
    ("captured", "refunded", "disputed", "flags"),
    [
        (100, 30, 70, ()),
        (100, 31, 70, COLLISION),
        (100, 30, 71, COLLISION),
        (100, 0, 100, ()),
        (0, 30, 70, COLLISION),
        (None, 30, 70, COLLISION),
    ],
)
def test_a_refund_and_a_dispute_collide_when_together_they_take_more_than_was_captured(
    captured: int | None, refunded: int, disputed: int, flags: tuple[CaseFlag, ...]
) -> None:
    case = with_captured(a_case(), None if captured is None else eur(captured), 1)
    case = with_refund(case, a_refund_event(amount=eur(refunded)))
    assert with_dispute(case, dispute_after(a_dispute_event(amount=eur(disputed)))).flags == flags
    late = with_refund(with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(disputed)))), a_refund_event())
    late = with_captured(late, eur(1999 + disputed), 1)
    assert late.flags == ()


def test_one_refund_of_several_whose_amount_is_untold_collides() -> None:
    case = with_captured(with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1)))), eur(1999), 1)
    case = with_refund(case, a_refund_event(amount=eur(1)))
    assert case.flags == ()
    assert with_refund(case, a_refund_event(amount=None, reference="re_2")).flags == COLLISION


@pytest.mark.parametrize(
    ("refund", "dispute"),
    [
        ({"amount": None}, {}),
        ({"amount": Money(5, "USD")}, {}),
        ({}, {"amount": None}),
        ({}, {"amount": Money(5, "USD")}),
    ],
)
def test_what_cannot_be_compared_with_what_was_captured_collides(
    refund: dict[str, object], dispute: dict[str, object]
) -> None:
    case = with_captured(a_case(), eur(9_999_999), 1)
    case = with_refund(case, a_refund_event(**{"amount": eur(1), **refund}))
    case = with_dispute(case, dispute_after(a_dispute_event(**{"amount": eur(1), **dispute})))
    assert case.flags == COLLISION


@pytest.mark.parametrize("status", [LOST, DisputeStatus.ACCEPTED, WON, DisputeStatus.CLOSED])
def test_a_collision_ends_when_the_dispute_can_take_no_more(status: DisputeStatus) -> None:
    opened = a_dispute_event()
    case = with_captured(with_refund(a_case(), a_refund_event()), eur(1999), 1)
    case = with_dispute(case, dispute_after(opened))
    assert case.flags == COLLISION
    ended = with_dispute(case, dispute_after(opened, a_dispute_event(status=status, occurred_at=NOON + 2 * DAY)))
    assert ended.flags == ()
    assert known(ended) > known(case)


def test_what_a_lost_dispute_took_counts_against_the_next_one() -> None:
    lost, second = (
        lifecycle.record(
            Dispute(provider="stripe", dispute_id=name, account="acct_1"),
            a_dispute_event(dispute_id=name, amount=eur(70), status=status),
            NOON,
        )
        for name, status in (("dp_1", LOST), ("dp_2", DisputeStatus.NEEDS_RESPONSE))
    )
    case = with_captured(with_refund(a_case(), a_refund_event(amount=eur(30))), eur(100), 1)
    assert with_dispute(case, lost).flags == ()
    assert CaseFlag.REFUND_DISPUTE_COLLISION in with_dispute(with_dispute(case, lost), second).flags


def test_a_refund_that_failed_and_was_made_again_collides_again() -> None:
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    failed = a_refund_event(step=PaymentStep.REFUND_FAILED, occurred_at=NOON + 2 * DAY)
    for event in (a_refund_event(occurred_at=NOON + 3 * DAY), failed, a_refund_event()):
        case = with_refund(case, event)
    assert (case.flags, case.refunded) == (COLLISION, eur(1999))


def test_a_thousand_refunds_of_a_case_are_a_thousand_and_the_case_says_that_its_list_is_full() -> None:
    refunds = [
        a_refund_event(amount=eur(10), reference=f"re_{number}", occurred_at=NOON + number * SECOND)
        for number in range(1000)
    ]
    there, half, other = a_case(), a_case(), a_case()
    for place, event in enumerate(refunds):
        there = with_refund(there, event)
        half, other = (with_refund(half, event), other) if place % 2 else (half, with_refund(other, event))
    assert merge(half, other) == there
    assert (there.refunded, there.flags) == (eur(10_000), (CaseFlag.TIMELINE_FULL,))
    assert known(there) == 1000
    assert with_refund(there, refunds[0]) == there


def test_more_refunds_than_a_document_holds_are_told_and_collide_with_any_dispute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timeline, "LISTED", 2)
    monkeypatch.setattr(ledger, "MOST_BYTES", 100)
    case = with_captured(with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1)))), eur(1999), 1)
    for number in range(9):
        case = with_refund(case, a_refund_event(amount=eur(1), reference=f"re_{number}"))
    assert set(case.flags) == {*COLLISION, CaseFlag.TIMELINE_FULL, CaseFlag.TOTALS_INCOMPLETE}


def test_of_too_many_warnings_the_earliest_stay_and_still_foretell_the_dispute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "LIMIT", 2)
    case = with_dispute(a_case(), dispute_after(a_dispute_event()))
    for hours in (3, -2, 5, -1, 4):
        case = with_warning(case, a_fraud_warning(occurred_at=NOON + hours * HOUR), NOON)
    assert sorted(warning.occurred_at for warning in case.warnings.values()) == [NOON - 2 * HOUR, NOON - HOUR]
    assert case.flags == (CaseFlag.WARNED_BEFORE_DISPUTE, CaseFlag.TIMELINE_FULL)


def test_a_warning_is_kept_as_it_was_told() -> None:
    (warning,) = with_warning(a_case(), a_fraud_warning(), NOON).warnings.values()
    assert (warning.amount, warning.fraud_type, warning.network, warning.actionable) == (
        eur(1999),
        "unauthorized_use_of_card",
        "visa",
        True,
    )


def test_nothing_of_who_was_refunded_is_kept_in_the_case() -> None:
    (refund,) = with_refund(a_case(), a_refund_event(customer_id="cus_1", ip="192.0.2.1")).refunds.values()
    assert refund.details == Details()


def test_two_refunds_of_an_untold_amount_are_no_less_than_one() -> None:
    case = with_captured(with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1)))), eur(1999), 1)
    for reference in ("re_1", "re_2"):
        case = with_refund(case, a_refund_event(amount=None, reference=reference))
    assert case.flags == COLLISION


def test_a_case_knows_more_with_each_word_whatever_it_tells_of() -> None:
    stray = dispute_after(a_dispute_event(payment_id=None))
    words: list[Callable[[Case], Case]] = [
        lambda case: with_warning(case, a_fraud_warning(), NOON),
        lambda case: with_unplaced(case, stray),
        lambda case: with_captured(case, eur(1999), 2),
        lambda case: with_captured(case, eur(2999), 3),
        lambda case: with_refund(case, a_refund_event()),
        lambda case: with_dispute(case, dispute_after(a_dispute_event())),
    ]
    case, told = a_case(), [0]
    for word in words:
        case = word(case)
        told.append(known(case))
    assert told == sorted(set(told))


def test_what_was_filed_under_two_names_of_a_payment_is_one_case_whichever_takes_the_other_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stray = dispute_after(a_dispute_event(payment_id=None))
    paid = with_captured(with_warning(a_case(), a_fraud_warning(), NOON), eur(1999), 1)
    later = with_captured(with_unplaced(with_refund(a_case(), a_refund_event()), stray), eur(999), 2)
    disputed = with_dispute(a_case(), dispute_after(a_dispute_event(amount=eur(1))))
    both = merge(merge(paid, later), disputed)
    assert both == merge(disputed, merge(later, paid))
    assert merge(disputed, paid).captured == eur(1999)
    assert (both.captured, both.payment_known, both.refunded, both.disputed) == (eur(999), 2, eur(1999), eur(1))
    assert (len(both.warnings), both.unplaced) == (1, later.unplaced)
    assert both.flags == COLLISION

    monkeypatch.setattr(timeline, "LISTED", 1)
    monkeypatch.setattr(ledger, "MOST_BYTES", 100)
    overfull = a_case()
    for number in range(9):
        overfull = with_refund(overfull, a_refund_event(amount=eur(1), reference=f"re_{number}"))
    for merged in (merge(overfull, paid), merge(paid, overfull)):
        assert CaseFlag.TOTALS_INCOMPLETE in merged.flags
