"""The flags of everybody say what the networks' rules say of each: SQL over rows, Python over payments made of the same events."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.disputes.compelling import public, readiness
from shared.disputes.ready_flags import READINESS_SQL, WHY_UNFIT, asked_at, public_sql
from shared.domain import payments
from shared.domain.addresses import network
from shared.domain.codec import encode_event, utc_text
from shared.domain.disputes import Case, DisputeSummary, FraudWarning
from shared.domain.events import Card, PaymentChanged, PaymentStep
from shared.domain.evidence import Purchase
from shared.domain.payments import Payment
from shared.flows.ports import Ports, Warehouse
from shared.flows.readiness import derive_purchases
from shared.flows.subscribers import purchase_of
from tests.builders import a_payment_event, eur

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
MOMENT = timedelta(microseconds=1)
_numbers = count(1)

# On both sides of every bound, and of what is looked at.
AGES = (1, 2, 30, 119, 120, 121, 122, 200, 240, 362, 363, 364, 365, 369)
SHIFTS = (timedelta(), MOMENT, -MOMENT, 5 * SECOND, 7 * timedelta(hours=1))
ADDRESSES = (
    "81.2.69.142",
    None,
    "81.2.69.142:443",
    "81.2.69.143",
    "10.0.0.1",
    "2a00:1450:4001::5",
    "2A00:1450:4001::5",
    "fe80::1",
)
DEVICES = ("device-0123456789abcdef", None, "fourteen-chars", "fifteen-charact")
CARDS = (
    ("fp_1", "424242", "4242"),
    ("fp_1", "424242", "4242"),
    ("fp_2", "424242", "4242"),
    (None, "424242", "1111"),
    (None, None, "4242"),
    (None, None, None),
)
NETWORKS = ("visa", "electron", "mastercard", "mc", "amex", None)
COURSES = ("captured", "at once", "later", "untold", "held", "canceled", "refused", "part", "pending")
WRONGS = (None,) * 20 + (
    "refunded",
    "refund pending",
    "given back in part",
    "reversed",
    "failed",
    "recaptured",
    "disputed",
    "reported",
    "warned",
)


@dataclass(frozen=True)
class Told:
    """What the warehouse has of a payment, and how a person finds it stored."""

    events: tuple[PaymentChanged, ...]
    case: Case | None = None
    updates: tuple[dict[str, Any], ...] = ()


HABITS: dict[str, tuple[Any, ...]] = {
    "card": CARDS,
    "network": NETWORKS,
    "ip": ADDRESSES,
    "device": DEVICES,
    "provider": ("stripe", "adyen"),
    "reference": ("ntid", None),
    "course": COURSES,
}


@st.composite
def _paid(
    draw: st.DrawFn, until: datetime, subscriber: int, *, by_email: bool, at: datetime, habits: dict[str, Any]
) -> Told:
    """As they always pay, but for what is else this time."""
    number = next(_numbers)
    else_ = draw(st.sets(st.sampled_from(sorted(HABITS)), max_size=2))
    made = {name: draw(st.sampled_from(HABITS[name])) if name in else_ else usual for name, usual in habits.items()}
    fingerprint, bin_, last4 = made["card"]
    card = Card(network=made["network"], fingerprint=fingerprint, bin=bin_, last4=last4)
    mine = (
        {"customer_id": None, "email_hash": f"hash_{subscriber}"} if by_email else {"customer_id": f"cus_{subscriber}"}
    )
    who = {**mine, "ip": made["ip"], "device_id": made["device"]}
    name = {"provider": made["provider"], "payment_id": f"pi_{number}"}
    known = {"network_transaction_id": made["reference"]}

    def word(step: PaymentStep, after: timedelta, **fields: Any) -> PaymentChanged:
        told = {"event_id": f"e{next(_numbers)}", "occurred_at": at + after, "card": card, **name, **who, **known}
        return a_payment_event(step, **{**told, "amount": eur(1999), **fields})

    # Later words tell no card, or are made from where we are.
    others = ({"card": None}, {"ip": "81.2.69.199", "device_id": None}, {"network_transaction_id": "late"})
    bare: dict[str, Any] = draw(st.sampled_from(others))
    held, paid = word(PaymentStep.AUTHORIZED, timedelta()), word(PaymentStep.CAPTURED, SECOND)
    events = {
        "captured": [held, paid],
        "at once": [paid],
        "later": [held, word(PaymentStep.CAPTURED, DAY, **bare)],
        "untold": [held, word(PaymentStep.CAPTURED, SECOND, amount=None)],
        "held": [held],
        "canceled": [held, word(PaymentStep.CANCELED, SECOND)],
        "refused": [word(PaymentStep.DECLINED, timedelta())],
        "part": [held, word(PaymentStep.CAPTURED, SECOND, amount=eur(999))],
        "pending": [word(PaymentStep.PENDING, -SECOND, device_id="device-of-a-pending-one"), held, paid],
    }[made["course"]]
    wrong, later = draw(st.sampled_from(WRONGS)), draw(st.sampled_from((2 * SECOND, 5 * DAY, 100 * DAY)))
    events += {
        "refunded": [word(PaymentStep.REFUNDED, later, reference="re", **bare)],
        "refund pending": [word(PaymentStep.REFUND_PENDING, later, reference="re", **bare)],
        "given back in part": [word(PaymentStep.REFUNDED, later, **{**bare, "amount": eur(1)})],
        "reversed": [word(PaymentStep.REVERSED, later, **bare)],
        "failed": [word(PaymentStep.CAPTURE_FAILED, later, **bare)],
        "recaptured": [
            word(PaymentStep.CAPTURE_FAILED, later, **bare),
            word(PaymentStep.CAPTURED, later + DAY, **bare),
        ],
    }.get(wrong or "", [])
    events = [one for one in events if one.occurred_at < until]
    case, updates = Case(**name), []
    alert = {"disputed": None, "reported": "fraud_report", "warned": "ethoca"}
    if wrong in alert and at + later < until:
        summary = DisputeSummary(opened_at=at + later)
        if wrong == "disputed":
            case = Case(**name, disputes={"d": summary})
        if wrong == "reported":
            case = Case(**name, warnings={"w": FraudWarning(occurred_at=at + later, warning_id="w")})
        row = {**name, "dispute_id": f"dp_{number}", "alert": alert[wrong], "occurred_at": utc_text(at + later)}
        # At first nobody knew whose it was.
        updates = [{**row, "revision": 1, "payment_id": None}, {**row, "revision": 2}]
    return Told(tuple(events), case, tuple(updates))


@st.composite
def _subscriber(draw: st.DrawFn, until: datetime) -> tuple[str, list[Told]]:
    number, by_email = next(_numbers), draw(st.sampled_from((False, False, False, True)))
    # Most have a card, an address and a device.
    habits = {name: draw(st.sampled_from((*of[:1] * 6, *of))) for name, of in HABITS.items()}
    ages = draw(
        st.lists(st.tuples(st.sampled_from(AGES), st.sampled_from(SHIFTS)), min_size=3, max_size=8, unique=True)
    )
    told = [
        draw(_paid(until, number, by_email=by_email, at=until - age * DAY + shift, habits=habits))
        for age, shift in ages
    ]
    return (f"hash_{number}" if by_email else f"cus_{number}"), told


def stored(customer: str, told: Sequence[Told]) -> Iterator[Purchase]:
    """As `purchases_of` reads them."""
    for one in told:
        if one.events:
            first = one.events[0]
            payment = Payment(provider=first.provider, payment_id=first.payment_id, account=first.account)
            for event in one.events:
                payment = payments.record(payment, event)
            if payment.paid_by == customer:
                yield purchase_of(payment, one.case)


def by_rule(customer: str, told: Sequence[Told], until: datetime) -> dict[str, dict[str, Any]]:
    """What a row of `readiness` says, by the rules themselves."""
    found, purchases = {}, list(stored(customer, told))
    for finding in readiness(purchases, until):
        elsewhere = [why for why in finding.unfit.values() if why.startswith("was not paid through")]
        networks = {"visa": ("visa", "electron"), "mastercard": ("mastercard", "mc")}[
            (finding.rule or "").split("_")[0]
        ]
        own = [one for one in purchases if one.network in networks]
        newest = max(own, key=lambda one: one.at)
        earlier = sum(one.at < newest.at for one in purchases)
        assert len(finding.unfit) <= earlier
        found[finding.rule or ""] = {
            "ready": finding.evidence is not None,
            "priors": earlier - len(finding.unfit),
            "matched": ", ".join(finding.evidence.matched) if finding.evidence else None,
            "missing": finding.missing[0] if finding.missing else None,
            **{name: why in finding.unfit.values() for name, why in WHY_UNFIT.items()},
        }
        assert not elsewhere or len(own) < len(purchases)
    return found


def derived(warehouse: Warehouse, told: Iterable[Told], until: datetime) -> None:
    every = list(told)
    events = [event for one in every for event in one.events]
    # Rows come twice, and in any order.
    rows = [json.loads(encode_event(event)) for event in [*reversed(events), *events[:3]]]
    warehouse.append("payment_events", rows)
    warehouse.append("dispute_updates", [row for one in every for row in reversed(one.updates)])
    for day in sorted({event.occurred_at.replace(hour=0, minute=0, second=0, microsecond=0) for event in events}):
        derive_purchases(warehouse, day, as_of=until)
    warehouse.derive("readiness", "day", until - DAY, READINESS_SQL, asked_at(until), as_of=until)


def flags(warehouse: Warehouse, customers: Iterable[str], until: datetime) -> dict[str, dict[str, dict[str, Any]]]:
    every = list(customers)
    named = {f"c{number}": name for number, name in enumerate(every)}
    who = " UNION ALL ".join(f"SELECT @{name} AS customer" for name in named)
    rows = warehouse.query(
        f"SELECT customer, readiness.* FROM readiness JOIN ({who}) AS asked ON subscriber = FARM_FINGERPRINT(customer) "
        "WHERE day = @day",
        {"day": until - DAY, **named},
    )
    found: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in every}
    for row in rows:
        found[row["customer"]][row["rule"]] = {
            name: value for name, value in row.items() if name not in ("customer", "day", "subscriber", "rule")
        }
    return found


_nights = (datetime(2031, 1, 1, tzinfo=UTC) + number * 800 * DAY for number in count())


@pytest.fixture(scope="module")
def nights() -> Iterator[datetime]:
    return _nights


def test_a_flag_is_what_the_rule_says_of_the_same_payments(
    request: pytest.FixtureRequest, warehouses: Ports, nights: Iterator[datetime]
) -> None:
    emulated = "bigquery" in request.node.name

    # Each example is of many: where one differs it says which, and is not made smaller.
    @settings(
        max_examples=1 if emulated else 8,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        phases=[Phase.generate],
    )
    @given(st.data())
    def alike(data: st.DataObject) -> None:
        until = next(nights)
        subscribers = dict(data.draw(_subscriber(until)) for _ in range(12 if emulated else 25))
        derived(warehouses.warehouse, (one for told in subscribers.values() for one in told), until)
        expected = {name: by_rule(name, told, until) for name, told in subscribers.items()}
        assert flags(warehouses.warehouse, subscribers, until) == expected

    alike()


def test_what_was_given_back_once_counts_as_given_back_where_the_refund_failed_too(
    warehouses: Ports, nights: Iterator[datetime]
) -> None:
    until = next(nights)

    def paid(number: int, age: int, step: PaymentStep = PaymentStep.CAPTURED, **fields: Any) -> PaymentChanged:
        told = {"event_id": f"f{next(_numbers)}", "payment_id": f"pi_f{number}", "customer_id": "cus_f"}
        card, at = Card(network="visa", fingerprint="fp"), until - age * DAY
        return a_payment_event(step, **{**told, "occurred_at": at, "ip": "81.2.69.142", "card": card, **fields})

    events = [paid(1, 1), paid(2, 150), paid(3, 200)]
    events += [
        paid(3, 190, PaymentStep.REFUNDED, reference="re_1"),
        paid(3, 180, PaymentStep.REFUND_FAILED, reference="re_1"),
    ]
    derived(warehouses.warehouse, [Told((event,)) for event in events], until)
    [flag] = flags(warehouses.warehouse, ["cus_f"], until)["cus_f"].values()
    assert (flag["ready"], flag["unsettled"], flag["priors"]) == (False, True, 1)
    [stands] = by_rule("cus_f", [Told((events[0],)), Told((events[1],)), Told(tuple(events[2:]))], until).values()
    assert stands["ready"]


PLACES = (
    *("8.8.8.8", "8.8.8.8:443", "0.1.2.3", "10.1.1.1", "100.63.1.1", "100.64.0.1", "100.127.255.255", "100.128.0.1"),
    *("127.0.0.1", "169.254.1.1", "172.15.0.1", "172.16.0.1", "172.31.9.9", "172.32.0.1", "192.0.0.1", "192.0.2.1"),
    *(
        "192.0.3.1",
        "192.168.1.1",
        "198.17.1.1",
        "198.18.0.1",
        "198.19.9.9",
        "198.20.0.1",
        "198.51.100.7",
        "203.0.113.7",
    ),
    *("203.0.114.7", "223.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "010.001.001.001"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "::ffff:10.0.0.1", "10.0.0.1, 8.8.8.8", "::1", "fe80::1%eth0", "fc00::1"),
    *("ff02::1", "2001:db8::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:4860:4860::8888", "2a00:1450:4001::5"),
    *("2001:1ff::1", "2001:200::1", "[2a00:1450:4001::5]:443", "nowhere", "300.1.1.1", "2abc:what"),
)


def test_an_address_is_as_public_in_sql_as_in_python(warehouses: Ports) -> None:
    asked = {
        f"{name}{number}": of(ip) for number, ip in enumerate(PLACES) for name, of in (("ip", str), ("net", network))
    }
    rows = " UNION ALL ".join(
        f"SELECT {number} AS number, @ip{number} AS ip, @net{number} AS net" for number in range(len(PLACES))
    )
    told = warehouses.warehouse.query(
        f"SELECT number, {public_sql('ip', 'net')} AS public FROM ({rows}) AS places ORDER BY number", asked
    )
    found = {PLACES[row["number"]]: row["public"] for row in told}
    assert {ip for ip, text in found.items() if text} == {ip for ip in PLACES if public(ip)}
    assert found["8.8.8.8"] == found["8.8.8.8:443"] == found["::ffff:8.8.8.8"] == found["10.0.0.1, 8.8.8.8"]
