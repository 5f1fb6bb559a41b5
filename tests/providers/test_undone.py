"""What providers undo and do again under one name: the latest word on it counts, through the adapters, in every order."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from shared.domain.events import PaymentChanged
from shared.domain.money import Money
from shared.domain.payments import Payment, PaymentState, record
from tests.builders import HOUR
from tests.providers import test_adyen, test_apple, test_braintree, test_dlocal, test_gocardless, test_mollie
from tests.providers.kits import NOON


def adyen(code: str) -> Iterable[Any]:
    original = {"originalReference": "QFQTPCQ8HXSKGK82", "pspReference": "CAPTURE0000001"}
    return [test_adyen.told(test_adyen.an_item(code, **({} if code == "AUTHORISATION" else original)))]


def apple(kind: str) -> Iterable[Any]:
    return test_apple.events(kind, transaction={"price": 9990})  # type: ignore[no-any-return]


def braintree(kind: str) -> Iterable[Any]:
    return [test_braintree.event(kind, test_braintree.a_transaction())]


def gocardless(action: str) -> Iterable[Any]:
    poke = test_gocardless.a_poke("payments", action)
    status = "failed" if action == "late_failure_settled" else action
    return test_gocardless.told(poke, test_gocardless.PAYMENT | {"amount": 2500, "status": status})  # type: ignore[no-any-return]


def gocardless_refund(action: str) -> Iterable[Any]:
    if action == "confirmed":
        return gocardless(action)
    poke = test_gocardless.a_poke("refunds", action, "RF123")
    return test_gocardless.told(poke, test_gocardless.REFUND)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("said", "words", "captured", "refunded"),
    [
        (gocardless, ("paid_out", "failed", "late_failure_settled", "submitted", "paid_out"), 2500, None),
        (gocardless, ("paid_out", "failed", "late_failure_settled", "submitted"), 0, None),
        (gocardless_refund, ("confirmed", "paid", "bounced", "paid"), 2500, 500),
        (gocardless_refund, ("confirmed", "paid", "bounced", "paid", "funds_returned"), 2500, 0),
        (apple, ("DID_RENEW", "REFUND", "REFUND_REVERSED", "REFUND"), 999, 999),
        (apple, ("DID_RENEW", "REFUND", "REFUND_REVERSED"), 999, 0),
        (adyen, ("AUTHORISATION", "CAPTURE", "CAPTURE_FAILED", "CAPTURE"), 1999, None),
        (adyen, ("AUTHORISATION", "CAPTURE", "CAPTURE_FAILED"), 0, None),
        (adyen, ("CAPTURE", "REFUND", "REFUND_FAILED", "REFUND"), 1999, 1999),
        (braintree, ("transaction_settled", "transaction_settlement_declined", "transaction_settled"), 1250, None),
        (braintree, ("transaction_settled", "transaction_settlement_declined"), 0, None),
    ],
)
def test_what_is_undone_and_done_again_counts_once(
    said: Callable[[str], Iterable[Any]], words: tuple[str, ...], captured: int, refunded: int | None
) -> None:
    told = [
        replace(event, event_id=f"{event.event_id}/{hours}", occurred_at=NOON + hours * HOUR)
        for hours, word in enumerate(words)
        for event in said(word)
        if isinstance(event, PaymentChanged)
    ]
    for arriving in permutations(told):
        payment = after(arriving)
        assert payment.captured is not None
        assert payment.captured.minor == captured
        assert (payment.refunded and payment.refunded.minor) == refunded
        assert after([*arriving, *told[:2]]) == payment


def test_an_adjusted_authorization_of_adyen_is_captured_in_full() -> None:
    def told(code: str, hours: int, value: int) -> PaymentChanged:
        names = {"pspReference": f"MODIFICATION{hours}", "originalReference": "QFQTPCQ8HXSKGK82"} if hours else {}
        (found,) = [test_adyen.told(test_adyen.an_item(code, amount={"currency": "EUR", "value": value}, **names))]
        assert isinstance(found, PaymentChanged)
        return replace(found, occurred_at=NOON + hours * HOUR)

    words = [
        told("AUTHORISATION", 0, 800),
        told("AUTHORISATION_ADJUSTMENT", 1, 900),
        told("AUTHORISATION_ADJUSTMENT", 2, 500),
        told("CAPTURE", 3, 500),
    ]
    for arriving in permutations(words):
        payment = after(arriving)
        assert (payment.state, payment.authorized) == (PaymentState.CAPTURED, Money(500, "EUR"))


def test_an_authorization_of_adyen_that_was_raised_expires_as_a_whole() -> None:
    def told(code: str, hours: int, value: int) -> PaymentChanged:
        names = {"pspReference": f"MODIFICATION{hours}", "originalReference": "QFQTPCQ8HXSKGK82"} if hours else {}
        event = test_adyen.told(test_adyen.an_item(code, amount={"currency": "EUR", "value": value}, **names))
        assert isinstance(event, PaymentChanged)
        return replace(event, occurred_at=NOON + hours * HOUR)

    # Whatever was added, the end names what was authorized at first.
    words = [told("AUTHORISATION", 0, 800), told("AUTHORISATION_ADJUSTMENT", 1, 1000), told("EXPIRE", 2, 800)]
    for arriving in permutations(words):
        assert after(arriving).state is PaymentState.CANCELED


def mollie_refund(status: str) -> Any:
    refund = {"resource": "refund", "id": "re_1", "status": status, "amount": test_mollie.eur("5.00")}
    (found,) = test_mollie.events(refund | {"paymentId": "tr_1", "createdAt": test_mollie.AT, "mode": "test"})
    return found


def dlocal_refund(status: str) -> Any:
    return test_dlocal.event(test_dlocal.a_refund(status=status))


@pytest.mark.parametrize(
    ("said", "done", "undone"), [(mollie_refund, "refunded", "failed"), (dlocal_refund, "SUCCESS", "REJECTED")]
)
def test_where_every_state_bears_the_date_of_the_object_what_was_undone_stays_undone(
    said: Callable[[str], Any], done: str, undone: str
) -> None:
    """Such a repeat cannot be told from a copy."""
    for arriving in permutations([said(done), said(undone), said(done)]):
        payment = after(arriving)
        assert payment.refunded is not None
        assert payment.refunded.minor == 0


def after(events: Iterable[PaymentChanged]) -> Payment:
    payment = None
    for event in events:
        payment = record(
            payment or Payment(provider=event.provider, payment_id=event.payment_id, account=event.account), event
        )
    assert payment is not None
    return payment
