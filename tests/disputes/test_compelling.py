"""Compelling evidence: each criterion of the rules by a case, and all of them together against a second reading."""

from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.disputes.compelling import RULES, Finding, examine, name_of, readiness, same_card
from shared.domain.disputes import Dispute
from shared.domain.evidence import Purchase
from tests.builders import DAY, HOUR, NOON, a_dispute_event, dispute_after, eur

IP, OTHER_IP, PRIVATE = "203.0.114.7", "198.52.100.9", "10.0.0.7"
DEVICE, OTHER_DEVICE = "d" * 32, "e" * 32
OPENED = NOON


def a_purchase(days: float = 0.0, **fields: Any) -> Purchase:
    """EUR 9.99 by a Visa card at Stripe, settled and undisputed, `days` before the disputed one."""
    return Purchase(
        **{
            "provider": "stripe",
            "payment_id": f"pi_{days}",
            "at": DISPUTED_AT - days * DAY,
            "amount": eur(999),
            "credential": "fp_1",
            "network": "visa",
            "ip": IP,
            "device_id": DEVICE,
            "login": "cus_1",
            "bin": "424242",
            "last4": "4242",
            "settled": True,
            **fields,
        }
    )


DISPUTED_AT = OPENED - 10 * DAY
DISPUTED = a_purchase(settled=True, disputed=True)


def a_dispute(**fields: Any) -> Dispute:
    return dispute_after(a_dispute_event(**{"occurred_at": OPENED, **fields}))


def found(*history: Purchase, disputed: Purchase = DISPUTED, dispute: Dispute | None = None) -> Finding:
    return examine(dispute or a_dispute(), disputed, history)


def test_two_earlier_payments_with_everything_alike_answer_a_visa_claim_of_fraud() -> None:
    older, younger = a_purchase(200), a_purchase(150)
    finding = found(older, younger)
    assert finding.evidence is not None
    assert finding.evidence.rule == "visa_ce3"
    assert finding.evidence.disputed == DISPUTED
    assert finding.evidence.priors == (younger, older)
    assert finding.evidence.matched == ("ip", "device", "login")
    assert finding.missing == ()


SPOILED: dict[str, tuple[dict[str, Any], str]] = {
    "another card": ({"credential": "fp_2"}, "another card"),
    "no card": ({"credential": None}, "another card"),
    "another network": ({"network": "mastercard"}, "not paid through visa"),
    "no network": ({"network": None}, "not paid through visa"),
    "disputed": ({"disputed": True}, "disputed itself"),
    "reported": ({"fraud_reported": True}, "reported as fraud"),
    "not settled": ({"settled": False}, "did not settle"),
    "zero": ({"amount": eur(0)}, "moved no money"),
    "too young": ({"at": DISPUTED_AT - 119 * DAY}, "younger than 120"),
    "too old": ({"at": OPENED - 364 * DAY - HOUR}, "older than 364"),
    "away": (
        {"provider": "adyen", "payment_id": "A1", "credential": "other", "network_reference": None},
        "another provider",
    ),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_an_earlier_payment_that_fails_one_criterion_does_not_count_and_it_is_said_which(kind: str) -> None:
    fields, words = SPOILED[kind]
    bad = replace(a_purchase(150), **fields)
    finding = found(a_purchase(200), bad)
    assert finding.evidence is None
    assert words in finding.unfit[name_of(bad)]
    assert any("there is one" in word for word in finding.missing)
    # What is spoiled is not taken where there are two others.
    better = found(a_purchase(200), a_purchase(210), bad)
    assert better.evidence is not None
    assert bad not in better.evidence.priors


@pytest.mark.parametrize(
    ("at", "counts"),
    [
        (DISPUTED_AT - 120 * DAY, True),
        (DISPUTED_AT - 120 * DAY + timedelta(microseconds=1), False),
        (OPENED - 364 * DAY, True),
        (OPENED - 364 * DAY - timedelta(microseconds=1), False),
        # Old enough before the dispute, not before the disputed payment.
        (OPENED - 121 * DAY, False),
        # Young enough before the disputed payment, not before the dispute.
        (DISPUTED_AT - 360 * DAY, False),
    ],
)
def test_an_age_is_counted_both_from_the_payment_and_from_the_dispute(at: datetime, counts: bool) -> None:
    assert (found(a_purchase(200), a_purchase(1, at=at)).evidence is not None) is counts


@pytest.mark.parametrize(
    ("fields", "matched"),
    [
        ({"login": "cus_2"}, ("ip", "device")),
        ({"ip": OTHER_IP}, ("device", "login")),
        ({"device_id": OTHER_DEVICE}, ("ip", "login")),
        ({"device_id": OTHER_DEVICE, "ip": OTHER_IP}, None),
        ({"login": None, "ip": None}, None),
        ({"login": None, "device_id": "d" * 14}, None),
    ],
)
def test_two_elements_must_be_alike_on_all_three_and_one_of_them_address_or_device(
    fields: dict[str, Any], matched: tuple[str, ...] | None
) -> None:
    finding = found(a_purchase(200), a_purchase(150, **fields))
    assert (finding.evidence.matched if finding.evidence else None) == matched
    assert bool(finding.missing) is (matched is None)


def test_two_that_share_other_elements_with_the_disputed_one_do_not_make_a_pair() -> None:
    finding = found(a_purchase(200, ip=OTHER_IP), a_purchase(150, device_id=OTHER_DEVICE))
    assert finding.evidence is None
    assert "public address on 1, device id of 15 characters on 1, login on 2" in " ".join(finding.missing)


@pytest.mark.parametrize("ip", [PRIVATE, "192.168.1.1", "fd00::1", "127.0.0.1", "224.0.0.1", "not an address", ""])
def test_an_address_that_is_not_public_is_nobodys(ip: str) -> None:
    history = (a_purchase(200, ip=ip, device_id=None), a_purchase(150, ip=ip, device_id=None))
    assert found(*history, disputed=replace(DISPUTED, ip=ip)).evidence is None


def test_addresses_are_compared_in_one_form() -> None:
    history = (a_purchase(200, device_id=None, ip=f"::ffff:{IP}"), a_purchase(150, device_id=None))
    finding = found(*history)
    assert finding.evidence is not None
    assert finding.evidence.matched == ("ip", "login")


def test_a_device_id_that_is_too_short_on_all_three_is_none() -> None:
    history = (a_purchase(200, device_id="d" * 14, ip=None), a_purchase(150, device_id="d" * 14, ip=None))
    finding = found(*history, disputed=replace(DISPUTED, device_id="d" * 14, ip=None))
    assert finding.evidence is None
    assert any("no public address and no device id" in word for word in finding.missing)


def test_a_payment_at_another_provider_counts_when_its_card_and_the_networks_reference_are_known() -> None:
    away = a_purchase(
        150, provider="adyen", payment_id="A1", credential="alias", network_reference="MCC123", bin="424242"
    )
    finding = found(a_purchase(200), away)
    assert finding.evidence is not None
    assert set(finding.evidence.priors) == {a_purchase(200), away}
    assert found(a_purchase(200), replace(away, last4="1111")).evidence is None
    assert found(a_purchase(200), replace(away, bin=None)).evidence is None
    # Those that the answered provider knows itself come first.
    three = found(a_purchase(200), a_purchase(300), away)
    assert three.evidence is not None
    assert three.evidence.priors == (a_purchase(200), a_purchase(300))


def test_fingerprints_decide_where_both_are_of_one_provider() -> None:
    assert not same_card(a_purchase(1, credential="fp_2"), DISPUTED)
    assert same_card(a_purchase(1, bin=None, last4=None), DISPUTED)


def test_mastercard_asks_for_the_login_too() -> None:
    claim = a_dispute(network="mc", reason_code=" 4837 ")
    disputed = replace(DISPUTED, network="mastercard")
    older = a_purchase(200, network="mastercard")
    assert found(older, a_purchase(150, network="mc"), disputed=disputed, dispute=claim).evidence is not None
    stranger = a_purchase(150, network="mastercard", login="cus_2")
    finding = found(older, stranger, disputed=disputed, dispute=claim)
    assert finding.rule == "mastercard_fpt"
    assert finding.evidence is None


@pytest.mark.parametrize(
    ("network", "code"), [("visa", "10.5"), ("visa", "13.1"), ("visa", None), ("amex", "F29"), (None, "10.4")]
)
def test_a_claim_that_no_rule_answers_has_no_evidence(network: str | None, code: str | None) -> None:
    finding = found(a_purchase(200), a_purchase(150), dispute=a_dispute(network=network, reason_code=code))
    assert (finding.rule, finding.evidence) == (None, None)
    assert finding.missing


def test_without_the_disputed_payment_there_is_no_evidence() -> None:
    finding = examine(a_dispute(), None, [a_purchase(200), a_purchase(150)])
    assert (finding.rule, finding.evidence) == ("visa_ce3", None)
    assert finding.missing == ("the disputed payment is not among ours",)


def test_a_subscriber_is_ready_when_the_newest_payment_could_be_defended_today() -> None:
    history = [a_purchase(0, disputed=False), a_purchase(200), a_purchase(150), a_purchase(3, network="mastercard")]
    visa, mastercard = readiness(history, DISPUTED_AT + DAY)
    assert visa.evidence is not None
    assert visa.evidence.disputed == history[0]
    assert mastercard.rule == "mastercard_fpt"
    assert mastercard.evidence is None
    assert readiness([a_purchase(0, network="amex")], NOON) == ()


# Against a second reading.

purchases = st.builds(
    a_purchase,
    days=st.sampled_from([1.0, 100.0, 119.9, 120.0, 150.0, 200.0, 300.0, 353.0, 355.0, 364.0, 400.0]),
    provider=st.sampled_from(["stripe", "stripe", "stripe", "adyen"]),
    payment_id=st.sampled_from([f"p{n}" for n in range(8)]),
    credential=st.sampled_from(["fp_1", "fp_1", "fp_1", "fp_2", None]),
    network=st.sampled_from(["visa", "visa", "visa", "electron", "mastercard", None]),
    network_reference=st.sampled_from(["ref", None]),
    amount=st.sampled_from([eur(999), eur(999), eur(0)]),
    ip=st.sampled_from([IP, IP, OTHER_IP, PRIVATE, None]),
    device_id=st.sampled_from([DEVICE, DEVICE, OTHER_DEVICE, "short", None]),
    login=st.sampled_from(["cus_1", "cus_1", "cus_2", None]),
    last4=st.sampled_from(["4242", "4242", "1111", None]),
    settled=st.sampled_from([True, True, True, False]),
    disputed=st.sampled_from([False, False, False, True]),
    fraud_reported=st.sampled_from([False, False, False, True]),
)
histories = st.lists(purchases, max_size=8, unique_by=lambda one: (one.provider, one.payment_id))


def by_hand(network: str, disputed: Purchase, opened: datetime, history: list[Purchase]) -> set[frozenset[str]]:
    """Every pair of payments that meets the criteria, by trying them all; each criterion as it is written."""

    def of_network(one: Purchase) -> bool:
        return one.network in {"visa": ("visa", "electron"), "mastercard": ("mastercard",)}[network]

    def good(one: Purchase) -> bool:
        if one.provider == disputed.provider:
            card = one.credential is not None and one.credential == disputed.credential
        else:
            card = one.last4 is not None and one.last4 == disputed.last4 and one.bin == disputed.bin
            card = card and one.network_reference is not None
        days = [(since - one.at) / timedelta(days=1) for since in (disputed.at, opened)]
        in_time = all(120 <= age <= 364 for age in days)
        clean = one.settled and not one.disputed and not one.fraud_reported and one.amount.minor > 0
        return of_network(one) and card and in_time and clean

    def enough(one: Purchase, other: Purchase) -> bool:
        ip = one.ip == other.ip == disputed.ip and one.ip is not None and ip_address(one.ip).is_global
        device = one.device_id == other.device_id == disputed.device_id and len(one.device_id or "") >= 15
        login = one.login == other.login == disputed.login and one.login is not None
        if network == "mastercard":
            return login and (ip or device)
        return ip + device + login >= 2 and (ip or device)

    return {
        frozenset({name_of(one), name_of(other)})
        for one, other in combinations(history, 2)
        if good(one) and good(other) and enough(one, other)
    }


@given(history=histories, disputed=purchases, waited=st.integers(0, 30), rule=st.sampled_from(RULES))
def test_a_pair_is_found_exactly_where_trying_all_pairs_finds_one(
    history: list[Purchase], disputed: Purchase, waited: int, rule: Any
) -> None:
    disputed = replace(disputed, at=DISPUTED_AT, payment_id="the disputed one", network=rule.network)
    history = [replace(one, network="mastercard") if rule.network == "mastercard" else one for one in history]
    opened = DISPUTED_AT + waited * DAY
    claim = a_dispute(occurred_at=opened, network=rule.network, reason_code=sorted(rule.codes)[0])
    finding = examine(claim, disputed, history)
    pairs = by_hand(rule.network, disputed, opened, history)
    if finding.evidence is None:
        assert pairs == set()
        assert finding.missing
    else:
        assert frozenset(map(name_of, finding.evidence.priors)) in pairs
        assert finding.missing == ()


@given(history=histories, chance=st.randoms(use_true_random=False))
def test_neither_order_nor_the_disputed_payment_itself_matters(history: list[Purchase], chance: Any) -> None:
    shuffled = [*history, DISPUTED]
    chance.shuffle(shuffled)
    assert found(*shuffled) == found(*history)
