"""What was served is what the rows say, a day at a time as well as in all; what is not is told, with its cause."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from shared.domain.codec import encode_event, utc_text
from shared.domain.events import AnyEvent, PaymentChanged
from shared.flows.monitor_model import monitor_model
from shared.flows.ports import Ports
from shared.flows.skew import HISTORY, NATURAL, Cause, Skew, audit
from shared.fraud.point_in_time import ON_ITS_WAY
from tests.builders import DAY, HOUR, MINUTE, NOON, SECOND, a_fraud_warning, a_payment_event
from tests.fraud.test_point_in_time import Arrival, deliveries, served_on
from tests.local import local_ports, published

TODAY = NOON.replace(hour=0)


def stored(ports: Ports, arrivals: Sequence[Arrival], **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Decide on `arrivals`, and bring what was told and decided into the warehouse: each message a moment after its decision.
    changes: to the rows of decisions, by payment."""
    decisions = served_on(arrivals, ports)
    rows = [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals]
    ports.warehouse.append("payment_events", rows)
    ports.warehouse.append(
        "fraud_decisions",
        [
            {"publish_time": one["decided_at"], **one, **changes.get(one["payment_id"], {})}
            for one in decisions.values()
        ],
    )
    return decisions


def at(moment: datetime, payment_id: str, **members: Any) -> Arrival:
    return moment, a_payment_event(
        event_id=f"stripe:acct_1:{payment_id}", payment_id=payment_id, occurred_at=moment, **members
    )


def day(ports: Ports, start: datetime = TODAY, history: timedelta = HISTORY) -> Skew:
    return audit(ports.warehouse, start, start + DAY, "ff", history)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(deliveries(assessed=True))
def test_nothing_differs_however_things_were_heard_neither_in_all_nor_a_day_at_a_time(arrivals: list[Arrival]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ports = local_ports(Path(folder))
        decisions = stored(ports, arrivals)
        whole = audit(ports.warehouse, NOON - DAY, NOON + 500 * DAY, "ff", 300 * DAY)
        assert (whole.compared, whole.different) == (len(decisions), 0)
        # Of one payment that was decided on at both doors there is one row; and what is on its way is told of when it is there.
        assert whole.natural.keys() <= {Cause.OTHER_DOOR, Cause.ON_ITS_WAY}
        for start in sorted(
            {event.occurred_at.replace(hour=0, minute=0, second=0, microsecond=0) for _, event in arrivals}
        )[-1:]:
            assert day(ports, start).different == 0


def test_a_vector_that_is_not_what_the_rows_say_is_named_with_its_features(ports: Ports) -> None:
    arrivals = [at(NOON + n * HOUR, f"pi_{n}") for n in range(3)]
    decisions = served_on(arrivals, ports)
    damaged = decisions["stripe:acct_1:pi_2"]
    for feature in damaged["features"]:
        if feature["name"] in ("card_payments_1h", "card_payments_24h"):
            feature["value"] += 1
    ports.warehouse.append(
        "payment_events", [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals]
    )
    ports.warehouse.append("fraud_decisions", list(decisions.values()))
    assert day(ports) == Skew(
        compared=3,
        different=1,
        missing=0,
        by_feature={"card_payments_1h": 1, "card_payments_24h": 1},
        natural={},
        event_ids=("stripe:acct_1:pi_2",),
    )


@pytest.mark.parametrize("damaged", [False, True])
def test_each_day_is_audited_and_what_differs_calls_somebody(
    ports: Ports, damaged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    arrivals = [at(NOON + n * HOUR, f"pi_{n}") for n in range(3)]
    decisions = served_on(arrivals, ports)
    if damaged:
        [feature] = [one for one in decisions["stripe:acct_1:pi_2"]["features"] if one["name"] == "card_payments_24h"]
        feature["value"] += 1
    ports.warehouse.append(
        "payment_events", [msgspec.json.decode(encode_event(event, heard)) for heard, event in arrivals]
    )
    ports.warehouse.append("fraud_decisions", list(decisions.values()))
    caplog.clear()
    monitor_model(ports, TODAY + DAY + 5 * HOUR)
    rows = {row["subject"]: row for row in published(ports, "model-health") if row["measure"] == "skew"}
    assert (rows["all"]["value"], rows["all"]["payments"], rows["all"]["unusual"]) == (damaged, 3, damaged)
    assert ("card_payments_24h" in rows) == damaged
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == ["features_skewed"] * damaged


def test_a_decision_on_a_payment_that_no_event_tells_of_is_missed(ports: Ports) -> None:
    [one] = served_on([at(NOON, "pi_1")], ports).values()
    ports.warehouse.append("fraud_decisions", [one])
    assert (day(ports).missing, day(ports).different, day(ports).event_ids) == (1, 1, ("stripe:acct_1:pi_1",))


def test_what_is_known_from_before_the_rows_that_are_read_is_not_compared(ports: Ports) -> None:
    stored(ports, [at(NOON - 20 * DAY, "pi_0"), at(NOON - HOUR, "pi_1"), at(NOON, "pi_2")])
    assert day(ports) == Skew(2, 0, 0, {}, {}, ())


def test_windows_that_fit_are_compared_though_the_entity_is_known_for_longer(ports: Ports) -> None:
    arrivals = [at(NOON - 20 * DAY, "pi_0"), at(NOON - HOUR / 2, "pi_1"), at(NOON, "pi_2")]
    decisions = served_on(arrivals, ports)
    # The event of half an hour before never came to the warehouse.
    rows = [msgspec.json.decode(encode_event(event, heard)) for heard, event in (arrivals[0], arrivals[2])]
    ports.warehouse.append("payment_events", rows)
    ports.warehouse.append("fraud_decisions", list(decisions.values()))
    found = day(ports)
    assert (found.compared, found.different, found.missing) == (2, 2, 1)
    assert {"card_payments_24h", "customer_amount_24h", "ip_payments_1h"} <= set(found.by_feature)
    assert not any(name.endswith(("_7d", "_30d", "_ever")) or "since" in name for name in found.by_feature)


def test_a_payment_need_not_have_seen_another_that_was_decided_on_at_once(ports: Ports) -> None:
    """Two machines: each read before the other's commit."""
    blind, seen = at(NOON + SECOND, "pi_2"), at(NOON, "pi_1")
    with tempfile.TemporaryDirectory() as folder:
        alone = served_on([blind], local_ports(Path(folder)))
    slow = {"publish_time": utc_text(NOON + 2 * SECOND)}
    stored(ports, [seen, blind], pi_1=slow, pi_2={**slow, "features": alone["stripe:acct_1:pi_2"]["features"]})
    assert day(ports) == Skew(2, 0, 0, {}, {Cause.AT_ONCE: 1}, ())


def test_what_was_published_before_the_decision_must_have_been_seen(ports: Ports) -> None:
    blind, seen = at(NOON + SECOND, "pi_2"), at(NOON, "pi_1")
    with tempfile.TemporaryDirectory() as folder:
        alone = served_on([blind], local_ports(Path(folder)))
    stored(ports, [seen, blind], pi_2={"features": alone["stripe:acct_1:pi_2"]["features"]})
    assert (day(ports).different, day(ports).natural) == (1, {})


@pytest.mark.parametrize(("before", "cause"), [(MINUTE, Cause.ON_ITS_WAY), (ON_ITS_WAY + MINUTE, None)])
def test_news_of_fraud_may_wait_for_its_commit_for_some_minutes(
    before: timedelta, cause: Cause | None, ports: Ports
) -> None:
    events: list[Arrival] = [at(NOON - 3 * HOUR, "pi_1"), at(NOON, "pi_2")]
    news = a_fraud_warning(event_id="stripe:acct_1:w", payment_id="pi_1", occurred_at=NOON - 2 * HOUR)
    # It was heard before the second payment, and committed after it.
    stored(ports, events)
    ports.warehouse.append("payment_events", [msgspec.json.decode(encode_event(news, NOON - before))])
    found = day(ports)
    assert found.natural == ({cause: 1} if cause else {})
    assert found.different == (cause is None)


@pytest.mark.parametrize(("published", "cause"), [(-MINUTE, Cause.BEHIND), (MINUTE, None)])
def test_what_a_clock_that_is_ahead_heard_may_have_been_seen_before(
    published: timedelta, cause: Cause | None, ports: Ports
) -> None:
    events: list[Arrival] = [at(NOON - 3 * HOUR, "pi_1"), at(NOON, "pi_2")]
    news = a_fraud_warning(event_id="stripe:acct_1:w", payment_id="pi_1", occurred_at=NOON - 2 * HOUR)
    with tempfile.TemporaryDirectory() as folder:
        seeing = served_on([events[0], (NOON - MINUTE, news), events[1]], local_ports(Path(folder)))
    # By its clock it was heard an hour after the second payment, which has seen it.
    stored(ports, events, pi_2={"features": seeing["stripe:acct_1:pi_2"]["features"]})
    heard = msgspec.json.decode(encode_event(news, NOON + HOUR))
    ports.warehouse.append("payment_events", [{**heard, "publish_time": utc_text(NOON + published)}])
    found = day(ports)
    assert found.natural == ({cause: 1} if cause else {})
    assert found.different == (cause is None)


def test_without_history_in_time_the_decision_says_so(ports: Ports) -> None:
    with tempfile.TemporaryDirectory() as folder:
        alone = served_on([at(NOON, "pi_2")], local_ports(Path(folder)))
    without = {"features": alone["stripe:acct_1:pi_2"]["features"], "fallback": "store_slow"}
    stored(ports, [at(NOON - HOUR, "pi_1"), at(NOON, "pi_2")], pi_2=without)
    assert day(ports) == Skew(2, 0, 0, {}, {Cause.BLIND: 1}, ())


def test_vectors_of_another_release_are_counted_and_not_compared(ports: Ports) -> None:
    stored(ports, [at(NOON, "pi_1"), at(NOON + HOUR, "pi_2")], pi_1={"schema_version": "0" * 16})
    assert day(ports) == Skew(1, 0, 0, {}, {Cause.OTHER_RELEASE: 1}, ())


def test_of_two_decided_at_one_instant_the_one_that_was_published_first_came_first(ports: Ports) -> None:
    """Clocks are coarser than commits: what happened last was decided on first."""
    events: list[AnyEvent] = [at(NOON, f"pi_{n}")[1] for n in range(3)]
    happened = [
        replace(e, occurred_at=NOON - n * SECOND) for n, e in enumerate(events) if isinstance(e, PaymentChanged)
    ]
    order = {f"pi_{n}": {"publish_time": utc_text(NOON + n * SECOND)} for n in range(3)}
    stored(ports, [(NOON, event) for event in happened], **order)
    assert day(ports) == Skew(3, 0, 0, {}, {}, ())


def test_only_the_sample_is_looked_at(ports: Ports) -> None:
    stored(ports, [at(NOON, "pi_1"), at(NOON, "pi_2")], pi_1={"sample": "00"}, pi_2={"sample": "7f"})
    assert audit(ports.warehouse, TODAY, TODAY + DAY, "00").compared == 1
    assert audit(ports.warehouse, TODAY, TODAY + DAY, "7f").compared == 2


def test_every_natural_cause_has_a_sentence() -> None:
    assert set(NATURAL) == set(Cause)
