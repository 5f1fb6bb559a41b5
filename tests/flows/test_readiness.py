"""Each night everybody's flags are derived, once, whatever is killed; and erased people have none."""

import re
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import msgspec
import pytest

from shared.domain.codec import encode_event
from shared.domain.errors import Unavailable
from shared.flows.dispute_desk import ready_for
from shared.flows.ports import Accumulate, Ports, Warehouse
from shared.flows.readiness import (
    FILLED,
    MARK,
    Flag,
    Readiness,
    derive_purchases,
    flag,
    flagged,
    flags_of,
    forget,
    is_flagged,
    measured,
)
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_card, a_dispute_event, a_fraud_warning, a_payment_event, eur
from tests.local import local_ports, published
from tests.stack.topology import ROOT

TODAY = NOON.astimezone(UTC).replace(hour=0)
NIGHT = TODAY + DAY + 4 * HOUR


def paid(ports: Ports, customer: str, *days: int, network: str = "visa", **fields: Any) -> None:
    """A subscriber who paid so many days before noon, each time from where they live."""
    for number in days:
        at = NOON - number * DAY
        told: dict[str, Any] = {
            "payment_id": f"pi_{customer}_{number}",
            "event_id": f"stripe:acct_1:{customer}_{number}",
            "occurred_at": at,
            "aliases": (f"ch_{customer}_{number}",),
            "customer_id": customer,
            "card": a_card(network=network),
            "ip": "203.0.114.7",
            "device_id": "device-0123456789abcdef",
            "amount": eur(1999),
            **fields,
        }
        event = a_payment_event(**told)
        record_payment(event, ports, at)
        ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(event))])


def fully(ports: Ports) -> None:
    """As after weeks of nights: every day before is there."""
    for age in (0, 1, 30, 60, 121, 122, 150, 200, 369):
        derive_purchases(ports.warehouse, TODAY - age * DAY, as_of=TODAY)
    ports.documents.commit([Accumulate(MARK, put={("begun",): TODAY - 370 * DAY, ("until",): TODAY})])
    flag(ports, TODAY)


def ready(ports: Ports, customer: str) -> dict[str, bool]:
    return {one.rule: one.ready for one in flags_of(ports.warehouse, customer, NIGHT)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Ports:
    ports = local_ports(tmp_path_factory.mktemp("told"))
    paid(ports, "cus_ready", 0, 150, 200)
    paid(ports, "cus_new", 0, 30, 60)
    paid(ports, "cus_disputed", 0, 150, 200)
    paid(ports, "cus_reported", 0, 150, 200)
    paid(ports, "cus_elsewhere", 0, 150, 200, network="mastercard")
    paid(ports, "cus_long_ago", 369)
    # Under another name of their payments.
    track_dispute(a_dispute_event(dispute_id="dp_9", payment_id="ch_cus_disputed_150"), ports, NOON)
    track_dispute(a_fraud_warning(payment_id="ch_cus_reported_150"), ports, NOON)
    ports.warehouse.append("dispute_updates", published(ports, "dispute-updates"))
    fully(ports)
    return ports


def test_everybody_has_a_flag_for_each_network_through_which_they_paid(told: Ports) -> None:
    assert ready(told, "cus_ready") == {"visa_ce3": True}
    assert ready(told, "cus_new") == ready(told, "cus_disputed") == ready(told, "cus_reported") == {"visa_ce3": False}
    assert ready(told, "cus_elsewhere") == {"mastercard_fpt": True}
    assert ready(told, "nobody") == {}
    [one] = flags_of(told.warehouse, "cus_ready", NIGHT)
    assert one == Flag(day=TODAY, rule="visa_ce3", ready=True, priors=2, matched="ip, device, login", missing=None)


@pytest.mark.parametrize("customer", ["cus_ready", "cus_new", "cus_disputed", "cus_reported", "cus_elsewhere"])
def test_a_flag_says_what_whoever_asks_about_that_subscriber_is_told(told: Ports, customer: str) -> None:
    [one], [finding] = flags_of(told.warehouse, customer, NIGHT), ready_for(told, customer, TODAY + DAY)
    assert (one.rule, one.ready) == (finding.rule, finding.evidence is not None)
    assert one.missing == (finding.missing[0] if finding.missing else None)


def test_of_everybody_so_many_are_ready_and_the_others_are_explained(told: Ports) -> None:
    why = {
        "is younger than 120 days": 1,
        "was disputed itself": 1,
        "was reported as fraud": 1,
        "is older than 364 days": 0,
    }
    assert measured(told.warehouse, TODAY) == [
        Readiness(rule="mastercard_fpt", subscribers=1, ready=1, unfit={}),
        Readiness(rule="visa_ce3", subscribers=5, ready=1, unfit={name: count for name, count in why.items() if count}),
    ]
    assert measured(told.warehouse, TODAY - DAY) == []


@dataclass
class Dying:
    """A warehouse that dies in the middle of what it derives: `after` so many it does the next one, and nobody hears of it."""

    below: Warehouse
    after: int

    def derive(self, *args: Any, **named: Any) -> None:
        self.below.derive(*args, **named)
        self.after -= 1
        if self.after < 0:
            raise Unavailable("killed", reason="bigquery")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


def test_whoever_is_killed_between_two_steps_goes_on_and_nothing_is_there_twice(ports: Ports) -> None:
    paid(ports, "cus_ready", 0, 1, 121, 122)
    for after in range(8):
        with pytest.raises(Unavailable):
            flag(replace(ports, warehouse=Dying(ports.warehouse, after)), TODAY)
        assert not is_flagged(ports, TODAY)
    fully(ports)
    flagged(ports, TODAY)
    assert is_flagged(ports, TODAY)
    assert not is_flagged(ports, TODAY + DAY)
    counted = "SELECT COUNT(*) AS rows_, COUNT(DISTINCT payment) AS payments FROM purchases WHERE at IS NOT NULL"
    assert ports.warehouse.query(counted) == [{"rows_": 4, "payments": 4}]
    [one] = flags_of(ports.warehouse, "cus_ready", NIGHT)
    assert (one.ready, one.priors) == (True, 2)


def test_a_night_that_was_missed_is_made_up_for_and_words_that_came_late_are_heard_a_week_later(ports: Ports) -> None:
    paid(ports, "cus_1", 9)
    flag(ports, TODAY - 9 * DAY)
    paid(ports, "cus_late", 9)
    paid(ports, "cus_2", 5)
    flag(ports, TODAY - 2 * DAY)
    # Of the 9th day before, a week later.
    subscribers = "SELECT COUNT(DISTINCT subscriber) AS found FROM readiness WHERE day = @day"
    assert ports.warehouse.query(subscribers, {"day": TODAY - 2 * DAY}) == [{"found": 3}]


@pytest.mark.parametrize(("days", "missed"), [(8, 1), (31, 0), (33, 2)])
def test_a_day_is_read_again_a_week_and_a_month_later_also_where_that_night_was_missed(
    ports: Ports, days: int, missed: int
) -> None:
    then = TODAY - days * DAY
    for number in range(days - missed):
        flag(ports, then + number * DAY)
    paid(ports, "cus_late", days)
    flag(ports, TODAY)
    assert ports.warehouse.query("SELECT COUNT(*) AS found FROM purchases WHERE at < @day", {"day": then + DAY}) == [
        {"found": 1}
    ]


def test_days_before_the_first_night_are_made_up_for_some_each_night_the_latest_first(ports: Ports) -> None:
    paid(ports, "cus_1", 0, FILLED, FILLED + 1)
    flag(ports, TODAY)
    there = "SELECT COUNT(*) AS found FROM purchases WHERE at IS NOT NULL"
    assert ports.warehouse.query(there) == [{"found": 2}]
    flag(ports, TODAY)
    assert ports.warehouse.query(there) == [{"found": 3}]


def test_nothing_is_made_up_for_before_the_first_word_of_a_payment(ports: Ports) -> None:
    paid(ports, "cus_1", 0, 2)
    counting = Dying(ports.warehouse, 100)
    flag(replace(ports, warehouse=counting), TODAY)
    # The day, a week and a month before, two that are made up for, and the flags.
    assert 100 - counting.after == 6


def test_who_is_forgotten_has_no_purchase_of_that_day_and_no_flag_the_next_night(ports: Ports) -> None:
    paid(ports, "cus_gone", 0)
    paid(ports, "cus_stays", 0)
    flag(ports, TODAY)
    for _ in range(2):
        forget(ports.warehouse, TODAY, ["pi_cus_gone_0", "ch_cus_gone_0"], as_of=NIGHT)
    flag(ports, TODAY + DAY)
    day = TODAY + DAY
    assert [one.day for one in flags_of(ports.warehouse, "cus_stays", NIGHT)] == [day]
    assert [one.day for one in flags_of(ports.warehouse, "cus_gone", NIGHT)] == [TODAY]


def test_the_question_of_the_page_is_answered(told: Ports) -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    [sql] = [one for one in re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL) if "payin.readiness" in one]
    at = re.findall(r'TIMESTAMP "([\d-]+)"', sql)
    for asked, day in zip(at, (TODAY, TODAY + DAY), strict=True):
        sql = sql.replace(f'"{asked}"', f'"{day:%Y-%m-%d}"')
    rows = told.warehouse.query(sql.replace("payin.readiness", "readiness"))
    assert [list(row.values())[:4] for row in rows] == [
        ["mastercard_fpt", True, "ip, device, login", 1],
        ["visa_ce3", False, None, 4],
        ["visa_ce3", True, "ip, device, login", 1],
    ]
