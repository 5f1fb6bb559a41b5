"""Of every payout the lines and the rest are what was paid, however often and in whatever order they are heard."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.money import Money
from shared.domain.payouts import LineKind, PayoutLine, PayoutTotal, Reading, explained, rest_of

AMOUNTS = st.integers(-(10**9), 10**9)


@st.composite
def some_lines(draw: st.DrawFn) -> list[PayoutLine]:
    count = draw(st.integers(0, 12))
    return [
        PayoutLine(
            kind=draw(st.sampled_from([kind for kind in LineKind if kind is not LineKind.PAYOUT])),
            moved=draw(AMOUNTS),
            hundredths=draw(st.integers(0, 99)),
            currency="EUR",
            charged=draw(st.none() | st.builds(Money, AMOUNTS, st.sampled_from(["EUR", "USD", "JPY"]))),
            reference=draw(st.none() | st.just(f"ch_{number}")),
            line_id=f"line {number}",
            word=draw(st.sampled_from(["a", "b"])),
        )
        for number in range(count)
    ]


def read(lines: list[PayoutLine]) -> Reading:
    reading = Reading("EUR")
    for line in lines:
        reading.add(line)
    return reading


@settings(max_examples=60)
@given(some_lines(), AMOUNTS, st.randoms())
def test_the_lines_and_the_rest_are_what_was_paid(lines: list[PayoutLine], paid: int, chance: object) -> None:
    totals = read(lines).totals
    known = sum(100 * one.moved + one.hundredths for one in lines if one.kind is not LineKind.UNKNOWN)
    assert explained(totals) + rest_of(paid, totals) == paid
    assert abs(100 * explained(totals) - known) <= 50


@settings(max_examples=60)
@given(some_lines(), st.data())
def test_any_order_and_any_repetition_is_the_same_reading(lines: list[PayoutLine], data: st.DataObject) -> None:
    again = data.draw(st.permutations([*lines, *data.draw(st.lists(st.sampled_from(lines)) if lines else st.just([]))]))
    once, other = read(lines), read(again)
    assert (once.totals, once.exchanged, once.words, once.lines) == (
        other.totals,
        other.exchanged,
        other.words,
        other.lines,
    )


@settings(max_examples=60)
@given(some_lines())
def test_a_repeated_line_is_to_be_linked_once(lines: list[PayoutLine]) -> None:
    reading = Reading("EUR")
    first = [reading.add(line) for line in lines]
    assert [reading.add(line) for line in lines] == [None] * len(lines)
    of_payments = [
        (one.charged or Money(one.moved, "EUR"))
        if one.kind in (LineKind.CAPTURE, LineKind.REFUND) and one.reference
        else None
        for one in lines
    ]
    assert first == of_payments


def test_digits_beyond_the_minor_unit_are_rounded_once() -> None:
    fee = PayoutLine(kind=LineKind.FEE, moved=-1, hundredths=50, currency="EUR")
    captured = PayoutLine(kind=LineKind.CAPTURE, moved=100, hundredths=50, currency="EUR")
    assert explained(read([fee] * 4).totals) == -2
    totals = read([fee, captured]).totals
    assert explained(totals) == 100
    assert PayoutTotal(kind=LineKind.CORRECTION, minor=-1, lines=0) in totals


def test_what_is_not_told_to_be_one_counts_twice() -> None:
    line = PayoutLine(kind=LineKind.FEE, moved=-7, currency="EUR")
    assert explained(read([line, line]).totals) == -14
    assert explained(read([replace(line, line_id="a"), replace(line, line_id="a")]).totals) == -7


def test_the_payment_itself_is_what_is_explained_and_no_explanation() -> None:
    reading = read([PayoutLine(kind=LineKind.PAYOUT, moved=-900, currency="EUR")])
    assert (reading.paid_out, reading.totals) == (900, ())
