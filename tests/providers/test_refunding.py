"""Refunds by a provider's API: one module beside each that answers, which believes nothing but the payment that it asked for."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from shared import providers
from shared.domain.answers import Act, Contest, Done, Refused, Standing
from shared.domain.api import ApiAnswer, ApiCredentials
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeReason
from shared.providers.stripe import refund
from shared.providers.stripe.webhook import OUR_KEY
from tests.providers.answering.driving import a_contest

API = ApiCredentials("sk_test")
NAMES = [name for name in providers.names() if providers.load_refund(name)]


def asked(**fields: Any) -> Contest:
    told = {"act": Act.ACCEPT, "packet": None, "payment_id": "pi_1", **fields}
    return replace(a_contest("fraud_report:issfr_1"), **told)


def answered(code: int, /, **body: Any) -> ApiAnswer:
    return ApiAnswer(code, json.dumps(body).encode())


@pytest.mark.parametrize("name", NAMES)
def test_who_refunds_goes_to_the_hosts_of_whoever_answers_there(name: str) -> None:
    # One transport a provider serves both.
    assert providers.load_refund(name).API_HOSTS == providers.load_answer(name).API_HOSTS
    assert name == providers.load_refund(name).NAME


def test_a_refund_is_the_same_request_however_often_it_is_asked_for() -> None:
    first, again = (refund.next_step(asked(), {}, API) for _ in range(2))
    assert first == again
    assert first is not None
    assert (first.final, first.keyed) == (True, True)
    assert refund.next_step(asked(), {"refund": "re_1"}, API) is None


@pytest.mark.parametrize(
    ("payment_id", "reason", "form"),
    [
        ("pi_1", None, {"payment_intent": "pi_1", "reason": "fraudulent"}),
        ("ch_1", DisputeReason.FRAUD, {"charge": "ch_1", "reason": "fraudulent"}),
        ("ch_1", DisputeReason.CANCELED, {"charge": "ch_1"}),
    ],
)
def test_all_that_is_left_goes_back_and_only_fraud_is_called_so(
    payment_id: str, reason: DisputeReason | None, form: dict[str, str]
) -> None:
    contest = asked(payment_id=payment_id, reason=reason)
    step = refund.next_step(contest, {}, API)
    assert step is not None
    assert dict(parse_qsl(step.request.body.decode())) == {**form, f"metadata[{OUR_KEY}]": contest.key}


@pytest.mark.parametrize("payment_id", [None, "", "pi_1/../x", "pm_1", "pi_1?a=b"])
def test_what_is_no_payment_of_the_provider_is_asked_of_nobody(payment_id: str | None) -> None:
    contest = asked(payment_id=payment_id)
    assert refund.problems(contest) == ("not a payment of Stripe's",)
    with pytest.raises(Unreadable):
        refund.standing_request(contest, API)


@pytest.mark.parametrize(
    ("charge", "standing"),
    [
        ({}, Standing.WAITS),
        ({"refunds": {"data": [{"metadata": {OUR_KEY: "another"}}]}}, Standing.WAITS),
        ({"refunds": {"data": [{"metadata": {OUR_KEY: asked().key}}]}, "disputed": True}, Standing.ANSWERED),
        ({"refunded": True}, Standing.ANSWERED),
        ({"disputed": True, "refunded": True}, Standing.OVER),
    ],
)
def test_read_back_it_says_whether_ours_is_there_and_whether_any_may_be(
    charge: dict[str, Any], standing: Standing
) -> None:
    of_intent = answered(200, id="pi_1", object="payment_intent", latest_charge=charge)
    assert refund.read_standing(asked(), of_intent) is standing
    of_charge = answered(200, **{"id": "ch_1", "object": "charge", **charge})
    assert refund.read_standing(asked(payment_id="ch_1"), of_charge) is standing
    assert refund.read_standing(asked(), answered(404)) is Standing.UNKNOWN
    with pytest.raises(Unreadable):
        refund.read_standing(asked(payment_id="pi_2"), of_intent)


def test_only_a_refund_is_taken_for_one() -> None:
    step = refund.next_step(asked(), {}, API)
    assert step is not None

    def read(answer: ApiAnswer) -> object:
        return refund.read_step(asked(), step, answer)

    assert read(answered(200, id="re_1", object="refund", status="pending")) == Done(value="re_1")
    failed = read(answered(200, id="re_1", object="refund", status="failed", failure_reason="lost_or_stolen_card"))
    assert isinstance(failed, Refused)
    for code, stands in (("charge_already_refunded", True), ("charge_disputed", False)):
        refusal = read(answered(400, error={"code": code, "message": "no"}))
        assert isinstance(refusal, Refused)
        assert (refusal.code, refusal.stands) == (code, stands)
    for odd in (ApiAnswer(200, b"<html>"), answered(200, id="ch_1", object="charge"), answered(409), answered(302)):
        with pytest.raises(Unreadable):
            read(odd)
