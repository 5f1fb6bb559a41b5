"""A decision's reasons as people read them."""

from dataclasses import replace

import pytest

from shared.domain.decisions import FeatureValue, Reason
from shared.fraud.decide import decide
from shared.fraud.features import Attempt
from shared.fraud.history import Known
from shared.fraud.words import in_words
from tests.builders import NOON, a_payment_event


@pytest.mark.parametrize(
    ("source", "code", "value", "words"),
    [
        ("model", "device_declined_1h", 8.0, "8 refused payments of this device within an hour"),
        ("model", "ip_fraud_share_30d", 0.25, "25% frauds of this address within a month"),
        ("model", "device_fraud_run_30d", 9.0, "frauds on payments of this device for 9 days, and no end of it known"),
        ("model", "since_last_of_card", 7200.0, "2 hours since the last payment of this card"),
        ("model", "since_last_of_card", 7199.0, "120 minutes since the last payment of this card"),
        ("model", "since_first_of_card", 119.0, "119 seconds since the first payment of this card"),
        ("model", "new_device_of_customer", 1.0, "this device of this customer: first met"),
        ("model", "new_device_of_customer", 0.0, "this device of this customer: met before"),
        ("model", "amount_over_card_mean", 3.26, "3.3 times the mean amount of this card"),
        ("model", "amount_deviation_of_customer", 2.0, "2.0 deviations from the mean amount of this customer"),
        ("model", "country_mismatch", 1.0, "country mismatch: yes"),
        ("model", "free_mail", 0.0, "free mail: no"),
        ("model", "amount", 1234567.0, "amount: 1.23457e+06"),
        ("model", "amount_over_card_mean", None, "amount over card mean: nothing known"),
        ("model", "gone_by_now", 1.0, "gone by now"),
        ("rule", "free_mail", 1.0, "free mail"),
        ("fallback", "store_slow", None, "the past of this payment was not known in time"),
        ("fallback", "store_down", None, "the past of this payment cannot be known now"),
        ("fallback", "no_model", None, "no model"),
    ],
)
def test_a_reason_says_what_was_counted_of_whom_and_how_much(
    source: str, code: str, value: float | None, words: str
) -> None:
    decision = decide(Known(Attempt.of(a_payment_event()), {}), None, NOON)
    others = tuple(one for one in decision.features if one.name != code)
    decision = replace(decision, features=(*others, FeatureValue(name=code, value=value)))
    assert in_words(Reason(source=source, code=code), decision) == words
