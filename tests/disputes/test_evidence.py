"""What our records say for a payment, by what is claimed of it: and nothing that they do not say."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.evidence import _SAYING, ANY, DIGITAL_SUBSCRIPTION, Known, claim, collect, consumption, template
from shared.domain import payments
from shared.domain.events import DisputeReason
from shared.domain.evidence import CompellingEvidence, Item, Merchant
from shared.domain.usage import APP_STORES, CancellationStep, Consent, PlanChanged, Usage
from tests.builders import DAY, HOUR, NOON, a_card, a_dispute_event, a_refund_event, dispute_after, eur
from tests.disputes.proofs import (
    MERCHANT,
    PURCHASES,
    a_dispute,
    a_payment,
    a_purchase,
    a_sign_in,
    known,
    played,
    told,
    used,
)

FRAUD, CANCELED = DisputeReason.FRAUD, DisputeReason.CANCELED


def said(there: Known, reason: DisputeReason | None = None) -> dict[Item, str]:
    if reason:
        there = replace(there, dispute=a_dispute(reason=reason, reason_code=None))
    return collect(there, template(DIGITAL_SUBSCRIPTION, there.dispute.reason, there.dispute.network))


def test_every_item_is_wanted_somewhere_and_can_be_said() -> None:
    wanted = {item for reason in DisputeReason for item in template(DIGITAL_SUBSCRIPTION, reason, None).items}
    assert wanted == set(Item) == set(_SAYING)


@pytest.mark.parametrize("reason", [None, *DisputeReason])
@pytest.mark.parametrize("network", [None, "visa", "mastercard", "amex", "discover"])
@pytest.mark.parametrize("product", [DIGITAL_SUBSCRIPTION, "gift card"])
def test_a_template_names_what_it_is_of_and_is_complete_with_all_its_items(
    product: str, reason: DisputeReason | None, network: str | None
) -> None:
    asked = template(product, reason, network)
    of_product, of_reason, of_network = asked.name.split("/")
    assert of_product == (product if product == DIGITAL_SUBSCRIPTION else ANY)
    assert of_reason == (reason or DisputeReason.OTHER)
    assert of_network in (network, ANY)
    assert len(set(asked.items)) == len(asked.items)
    assert asked.completeness(dict.fromkeys(asked.items, "x")) == 1
    assert asked.completeness({}) == 0


@given(st.sampled_from(DisputeReason), st.sampled_from(["visa", "mastercard", None]), st.sets(st.sampled_from(Item)))
def test_more_evidence_is_never_less_complete(reason: DisputeReason, network: str | None, items: set[Item]) -> None:
    asked = template(DIGITAL_SUBSCRIPTION, reason, network)
    before = asked.completeness(dict.fromkeys(items, "x"))
    assert 0 <= before <= 1
    for item in Item:
        assert asked.completeness(dict.fromkeys({*items, item}, "x")) >= before


def test_what_is_required_and_missing_halves_completeness() -> None:
    asked = template(DIGITAL_SUBSCRIPTION, CANCELED, None)
    most = dict.fromkeys(set(asked.items) - {Item.POLICY}, "x")
    weights = sum(one.weight for one in asked.wanted)
    assert asked.completeness(most) == round((weights - 3) / weights / 2, 4)


def test_prior_payments_weigh_more_where_the_network_decides_by_them() -> None:
    def weight(network: str | None) -> int:
        [found] = [
            one for one in template(DIGITAL_SUBSCRIPTION, FRAUD, network).wanted if one.item is Item.PRIOR_PAYMENTS
        ]
        return found.weight

    assert weight("visa") > weight(None) == weight("amex")


def test_the_same_records_say_the_same() -> None:
    assert said(known()) == said(known())


def test_a_fraud_claim_is_answered_with_who_paid_and_that_they_used_it() -> None:
    texts = said(known())
    assert texts[Item.PURCHASE_IP] == "203.0.113.7"
    assert "5 days, from 2026-11-02 to 2026-11-16: 60 plays, 3.5 hours" in texts[Item.USAGE]
    assert "2026-10-03" not in texts[Item.USAGE]
    assert "device dev_1" in texts[Item.DEVICE]
    assert "on 5 days from 2026-10-03 to 2026-11-11" in texts[Item.DEVICE]
    assert "last signed in on 2026-11-02 11:00 UTC" in texts[Item.LOGIN]
    assert "authenticated" in texts[Item.AUTHENTICATION]
    assert "TONSPUR*MUSIC" in texts[Item.DESCRIPTOR]
    assert texts[Item.PAYMENT].startswith("Payment pi_1 of EUR 19.99 was made with a Visa card ending in 4242")


def test_who_paid_from_where_is_told_to_nobody_who_does_not_ask() -> None:
    for reason in DisputeReason:
        texts = said(known(), reason)
        everything = "\n".join(texts.values())
        if reason is not FRAUD:
            assert "203.0.113.7" not in everything.replace(texts.get(Item.LOGIN, ""), "")
            assert "dev_1" not in everything
            assert "signed in" not in everything.replace(texts.get(Item.LOGIN, "-"), "")
        assert "3f3f" not in everything  # no address, not even its digest
        assert "example.com" not in everything


def test_what_speaks_against_the_payment_is_not_evidence_for_it() -> None:
    payment = a_payment(three_d_secure="failed", cvv_result="mismatch", card=a_card(country="FR"))
    assert {Item.AUTHENTICATION, Item.BILLING_COUNTRY}.isdisjoint(said(known(payment=payment)))


def test_of_a_subscriber_of_whom_nothing_is_known_nothing_is_said() -> None:
    bare = known(usage=None, purchases=(), merchant=Merchant())
    for reason in DisputeReason:
        assert set(said(bare, reason)) <= {
            *(Item.PAYMENT, Item.PURCHASE_IP, Item.DEVICE, Item.LOGIN, Item.BILLING_COUNTRY),
            *(Item.AUTHENTICATION, Item.SERVICE_DATE),
        }
    assert "signed in" not in said(bare)[Item.LOGIN]


def test_use_before_the_payment_and_after_the_dispute_proves_nothing() -> None:
    early, late = told().plays[0], replace(told().plays[0], first_at=NOON + 30 * DAY, last_at=NOON + 30 * DAY)
    assert Item.USAGE not in said(known(usage=used(told(plays=(early, late)))))


def test_an_earlier_payment_that_was_disputed_is_not_among_those_that_were_not() -> None:
    one_disputed = (replace(PURCHASES[0], disputed=True), *PURCHASES[1:])
    text = said(known(purchases=one_disputed))[Item.PRIOR_PAYMENTS]
    assert text.startswith("5 earlier payments since 2026-05-06")
    assert PURCHASES[0].payment_id not in text
    later = a_purchase(-1)
    assert later.payment_id not in said(known(purchases=(*one_disputed, later)))[Item.PRIOR_PAYMENTS]


def test_payments_that_meet_a_networks_criteria_come_first_with_what_they_have_alike() -> None:
    found = CompellingEvidence(
        rule="Visa Compelling Evidence 3.0", disputed=a_purchase(0), priors=PURCHASES[4:], matched=("ip", "login")
    )
    first, second, *rest = said(known(compelling=found))[Item.PRIOR_PAYMENTS].split("\n")
    assert first.endswith("meet Visa Compelling Evidence 3.0. The same on all: IP address, login.")
    assert second.endswith("payment pi_before_5, IP address 203.0.113.7, login cus_1")
    assert "4 further payments" in rest[1]


def test_a_subscription_that_was_not_canceled_is_said_to_be_so_where_we_would_know() -> None:
    assert "no cancellation before the dispute" in said(known(), CANCELED)[Item.CANCELLATION]
    only_played = used(told(plans=(), cancellations=()))
    assert Item.CANCELLATION not in said(known(usage=only_played), CANCELED)
    assert Item.CANCELLATION not in said(known(usage=Usage(customer_id="cus_1")), CANCELED)


def test_whoever_canceled_before_the_payment_is_right() -> None:
    def after(*steps: CancellationStep) -> dict[Item, str]:
        return said(known(usage=used(told(cancellations=steps))), CANCELED)

    confirmed = CancellationStep(at=NOON - 5 * DAY, step="confirmed", effective_at=NOON - HOUR)
    assert Item.CANCELLATION not in after(confirmed)
    later = replace(confirmed, effective_at=NOON + 25 * DAY)
    assert "to end the subscription on 2026-11-27" in after(later)[Item.CANCELLATION]
    revoked = CancellationStep(at=NOON - 2 * DAY, step="revoked")
    assert "revoked" in after(confirmed, revoked)[Item.CANCELLATION]


def test_terms_that_were_accepted_after_the_payment_bind_nobody() -> None:
    [accepted] = told().policies
    late = used(told(policies=(replace(accepted, at=NOON + DAY),)))
    assert Item.POLICY not in said(known(usage=late))


def test_two_payments_within_one_billing_period_may_be_what_the_cardholder_says() -> None:
    month = said(known(), DisputeReason.DUPLICATE)[Item.DUPLICATE]
    assert "pi_before_1" in month
    assert "30 days apart" in month
    close = a_purchase(0, payment_id="pi_2", at=NOON + HOUR)
    assert Item.DUPLICATE not in said(known(purchases=(*PURCHASES, close)), DisputeReason.DUPLICATE)


def test_what_was_refunded_is_told_and_nothing_else_is_called_a_refund() -> None:
    assert Item.REFUNDS not in said(known(), DisputeReason.CREDIT_NOT_PROCESSED)
    refunded = payments.record(a_payment(), a_refund_event(amount=eur(500)))
    text = said(known(payment=refunded), DisputeReason.CREDIT_NOT_PROCESSED)[Item.REFUNDS]
    assert text == "EUR 5.00 of this payment has been refunded.\n2026-11-03 12:00 UTC: refunded EUR 5.00"


def test_each_plan_that_was_subscribed_to_is_a_line_in_the_order_of_time() -> None:
    plans = (
        PlanChanged(at=NOON - DAY, plan="Family", before="Premium"),
        PlanChanged(at=NOON - 200 * DAY, plan="Premium"),
    )
    text = said(known(usage=used(told(plans=plans))), CANCELED)[Item.PLAN]
    assert text == ("2026-04-16 12:00 UTC: subscribed to Premium\n2026-11-01 12:00 UTC: changed from Premium to Family")


def test_a_message_is_one_line_and_what_a_month_brings_is_cut_to_what_can_be_read() -> None:
    assert said(known(), CANCELED)[Item.MESSAGES] == (
        "2026-11-04 12:00 UTC, the customer by email: How do I get my music offline?"
    )
    many = used(told(sign_ins=tuple(a_sign_in(day) for day in range(-199, 0))))
    assert len(said(known(usage=many))[Item.DEVICE]) < 200


# What app stores ask


def agreed(*words: bool, at: datetime = NOON) -> Usage:
    """One word after the other, an hour apart."""
    return used(
        told(
            consents=tuple(
                Consent(at=at + hours * HOUR, purpose=APP_STORES, given=given) for hours, given in enumerate(words)
            )
        )
    )


def test_a_store_is_told_that_it_was_delivered_and_when_it_was_used_since_the_payment() -> None:
    at = NOON + 10 * DAY
    found = consumption(known(usage=agreed(True)), at)
    assert found is not None
    assert (found.consented, found.delivered, found.sampled, found.share) == (True, True, True, None)
    assert found.uses == tuple(
        sorted(one for day in (0, 1, 3, 9) for one in (played(day).first_at, played(day).last_at))
    )


@pytest.mark.parametrize(
    ("words", "consented"),
    [((), False), ((True,), True), ((False,), False), ((True, False), False), ((False, True), True)],
)
def test_consent_is_the_newest_word_and_never_assumed(words: tuple[bool, ...], consented: bool) -> None:
    found = consumption(known(usage=agreed(*words)), NOON + DAY)
    assert found is not None
    assert found.consented is consented


def test_consent_may_stand_in_a_policy_that_the_merchant_names_until_the_subscriber_says_otherwise() -> None:
    merchant = replace(MERCHANT, store_consent="terms")
    for words, consented in (((), True), ((False,), False)):
        found = consumption(known(usage=agreed(*words), merchant=merchant), NOON + DAY)
        assert found is not None
        assert found.consented is consented
    # Of whoever has not accepted that policy nothing is known.
    other = consumption(known(merchant=replace(MERCHANT, store_consent="privacy")), NOON + DAY)
    assert other is not None
    assert not other.consented


def test_a_word_that_comes_later_is_none_yet() -> None:
    found = consumption(known(usage=agreed(True, at=NOON + 5 * DAY)), NOON + 4 * DAY)
    assert found is not None
    assert not found.consented


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": None},
        {"merchant": replace(MERCHANT, sampled=None)},
        {"usage": used(told(plays=(), plans=()))},
        {"usage": used(told(plays=(played(-3),), plans=()))},
    ],
)
def test_where_we_do_not_know_enough_a_store_is_told_nothing(fields: dict[str, Any]) -> None:
    assert consumption(known(**fields), NOON + DAY) is None


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("13.1", "Merchandise or services not received (13.1)"),
        ("13.99", "Not received (13.99)"),
        ("MERCHANDISE_OR_SERVICE_NOT_RECEIVED", "Not received"),
        (None, "Not received"),
    ],
)
def test_a_claim_is_said_by_the_networks_code_and_not_by_the_providers_word(code: str | None, said: str) -> None:
    told = a_dispute_event(network="visa", reason=DisputeReason.NOT_RECEIVED, reason_code=code)
    assert claim(dispute_after(told)) == said
