"""What providers send is looked at each hour: counted out of the warehouse, told once when it stops, and told when it is over."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import utc_text
from shared.domain.errors import Rejected
from shared.flows.parked import parked_key
from shared.flows.ports import Create, Delete, Ports
from shared.flows.watch_traffic import AT_FIRST, STATE, accept, standing, watch_traffic
from tests.builders import DAY, HOUR, MINUTE
from tests.local import local_ports, published

START = datetime(2026, 9, 7, tzinfo=UTC)
TODAY = START + 63 * DAY
"""A Monday, that of nine weeks later."""


def deliveries(at: datetime, number: int, kind: str = "charge.captured", **members: Any) -> Iterator[dict[str, Any]]:
    """So many of Stripe's within the hour from `at` on."""
    for nth in range(number):
        when = utc_text(at + nth * HOUR / number)
        name = f"stripe:acct:{kind}{when}{members.get('outcome', '')}{nth}"
        told = {"delivery_id": name, "provider": "stripe", "received_at": when, "publish_time": when}
        yield {**told, "outcome": "accepted", "types": [kind], **members}


def a_day(day: datetime, a_minute: int = 1, until: int = 24, **members: Any) -> Iterator[dict[str, Any]]:
    for hour in range(until):
        yield from deliveries(day + hour * HOUR, 60 * a_minute, **members)


def counted(day: datetime, hours: list[int], provider: str = "stripe", kind: str = "") -> dict[str, Any]:
    return {
        "row_id": f"{day:%Y-%m-%d}/{provider}/{kind}",
        "day": utc_text(day),
        "counted_at": utc_text(day + DAY + HOUR),
        "provider": provider,
        "type": kind,
        "deliveries": sum(hours),
        "hours": hours,
    }


def weeks(ports: Ports, *kinds: str, a_minute: int = 1, days: int = 63, until: datetime = TODAY) -> None:
    """Days before `until` of Stripe's `kinds`, which share what comes, were counted already; today begins."""
    rows = []
    for nth in range(1, days + 1):
        day = until - nth * DAY
        whole = [60 * a_minute] * 24
        rows += [counted(day, whole, ""), counted(day, whole)]
        rows += [counted(day, [60 * a_minute // len(kinds)] * 24, kind=kind) for kind in kinds]
    ports.warehouse.append("provider_traffic", rows)
    # The first look counts what came before it: nothing of that time is left, and the rows stay.
    state = {"looked": until - 2 * HOUR, "counted": f"{until - DAY:%Y-%m-%d}"}
    ports.documents.commit([Create(STATE, state)])


def arrives(ports: Ports, rows: Iterable[dict[str, Any]]) -> None:
    ports.warehouse.append("deliveries", list(rows))


def store(ports: Ports) -> list[dict[str, Any]]:
    """What was told of days becomes rows."""
    rows = published(ports, "provider-traffic")
    ports.warehouse.append("provider_traffic", rows)
    return rows


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    """The facts of an event since the last time we asked."""
    caplog.set_level("INFO", logger="payin")

    def of(event: str) -> list[dict[str, Any]]:
        found = [vars(line)["fields"] for line in caplog.records if line.getMessage() == event]
        caplog.clear()
        return found

    return of


def test_a_provider_that_stops_is_told_once_and_so_is_its_end(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    arrives(ports, a_day(TODAY, until=10))
    watch_traffic(ports, TODAY + 10 * HOUR)
    assert said("traffic_silent") == []
    watch_traffic(ports, TODAY + 11 * HOUR)
    [silent] = said("traffic_silent")
    assert (silent["provider"], silent["type"], silent["part"], silent["types"]) == ("stripe", "all", "gone", 1)
    assert silent["since"] == (TODAY + 10 * HOUR).isoformat()
    assert 40 < silent["lost"] < 60
    for hour in (12, 13, 14):
        watch_traffic(ports, TODAY + hour * HOUR)
    assert said("traffic_silent") == []
    # The provider sends what it could not, and goes on.
    arrives(ports, [*deliveries(TODAY + 14 * HOUR, 300), *deliveries(TODAY + 15 * HOUR, 60)])
    watch_traffic(ports, TODAY + 16 * HOUR)
    [over] = said("traffic_resumed")
    assert (over["provider"], over["type"], over["minutes"]) == ("stripe", "all", 360)
    watch_traffic(ports, TODAY + 17 * HOUR - 30 * MINUTE)
    assert said("traffic_resumed") == []


def test_one_type_that_stops_is_told_by_its_name(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured", "charge.refunded", a_minute=2)
    arrives(ports, a_day(TODAY, until=12))
    watch_traffic(ports, TODAY + 2 * HOUR)
    [silent] = said("traffic_silent")
    assert (silent["type"], silent["part"], silent["types"]) == ("charge.refunded", "gone", 1)


def test_a_type_that_does_not_come_back_with_the_rest_is_told_a_day_later(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured", "charge.refunded", a_minute=2)
    watch_traffic(ports, TODAY + 3 * HOUR)
    [silent] = said("traffic_silent")
    assert (silent["type"], silent["types"]) == ("all", 2)
    arrives(ports, [*a_day(TODAY + 3 * HOUR, 2, until=45)])
    for hour in (5, 27):
        watch_traffic(ports, TODAY + hour * HOUR)
        store(ports)
    assert said("traffic_silent") == []
    watch_traffic(ports, TODAY + 30 * HOUR)
    [silent] = said("traffic_silent")
    assert (silent["type"], silent["since"]) == ("charge.refunded", TODAY.isoformat())
    watch_traffic(ports, TODAY + 31 * HOUR)
    assert said("traffic_silent") == []


def test_half_of_the_usual_is_a_silence_and_a_quiet_day_is_none(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured", a_minute=20)
    quiet = [row for hour in range(24) for row in deliveries(TODAY + hour * HOUR, 840)]
    arrives(ports, quiet)
    watch_traffic(ports, TODAY + DAY - MINUTE)
    assert said("traffic_silent") == []
    half = [row for hour in range(8) for row in deliveries(TODAY + DAY + hour * HOUR, 600)]
    arrives(ports, half)
    watch_traffic(ports, TODAY + DAY + 8 * HOUR)
    [silent] = said("traffic_silent")
    assert silent["part"] == "thin"


def test_canaries_the_other_mode_and_replays_are_no_traffic(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    arrives(ports, a_day(TODAY, until=2))
    for outcome in ("canary", "mode_mismatch"):
        arrives(ports, deliveries(TODAY + 2 * HOUR, 60, outcome=outcome))
    later = utc_text(TODAY + 20 * HOUR)
    arrives(ports, deliveries(TODAY + 2 * HOUR, 60, publish_time=later))
    arrives(ports, deliveries(TODAY + 1 * HOUR, 60, publish_time=later))
    watch_traffic(ports, TODAY + 3 * HOUR)
    assert len(said("traffic_silent")) == 1
    watched = standing(ports.documents)
    assert watched is not None
    assert watched.providers["stripe"].heard == 120


def test_a_new_provider_has_no_expectation_and_says_so(ports: Ports, said: Any) -> None:
    arrives(ports, [*a_day(TODAY - 2 * DAY), *a_day(TODAY - DAY)])
    watch_traffic(ports, TODAY + 5 * HOUR)
    [watched] = said("traffic_watched")
    assert (watched["subjects"], watched["expecting"], watched["silent"]) == (2, 0, 0)
    found = standing(ports.documents)
    assert found is not None
    assert found.providers["stripe"].why == "known for 1 days of the 21 that it takes"


def test_the_first_look_counts_what_is_there_and_later_ones_the_day_before_alone(ports: Ports) -> None:
    long_ago = TODAY - AT_FIRST * DAY
    arrives(ports, [*deliveries(long_ago, 5), *deliveries(long_ago - HOUR, 5), *deliveries(TODAY - HOUR, 60)])
    told = watch_traffic(ports, TODAY + HOUR)
    assert {(row.day, row.provider, row.type): row.deliveries for row in told if row.provider} == {
        (long_ago, "stripe", ""): 5,
        (long_ago, "stripe", "charge.captured"): 5,
        (TODAY - DAY, "stripe", ""): 60,
        (TODAY - DAY, "stripe", "charge.captured"): 60,
    }
    assert len({row.day for row in told if not row.provider}) == AT_FIRST, "days without anything are known too"
    assert len(store(ports)) == len(told)
    assert watch_traffic(ports, TODAY + 2 * HOUR) == []
    arrives(ports, deliveries(TODAY + 3 * HOUR, 7))
    [everybody, whole, one] = watch_traffic(ports, TODAY + DAY + 15 * MINUTE)
    assert (everybody.deliveries, whole.deliveries, one.type, one.hours[3]) == (7, 7, "charge.captured", 7)


def test_a_day_that_is_counted_again_stands_for_what_was_counted_before(ports: Ports) -> None:
    ports.warehouse.append("provider_traffic", [counted(TODAY - DAY, [9] * 24, kind="charge.gone")])
    arrives(ports, deliveries(TODAY - DAY, 4))
    request = json.dumps({"since": f"{TODAY - DAY:%Y-%m-%d}"}).encode()
    told = watch_traffic(ports, TODAY + HOUR, request)
    assert {row.type: row.deliveries for row in told if row.provider} == {
        "": 4,
        "charge.captured": 4,
        "charge.gone": 0,
    }
    store(ports)
    with pytest.raises(Rejected, match="before today"):
        watch_traffic(ports, TODAY + HOUR, b'{"since": "2027-01-01"}')


def test_a_repeated_tick_looks_once_and_a_suspicion_is_looked_at_sooner(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured", a_minute=2)
    arrives(ports, [row for row in a_day(TODAY, 2, until=6) if row["received_at"] < utc_text(TODAY + 5 * HOUR)])
    for minutes in (0, 0, 15, 30):
        watch_traffic(ports, TODAY + 5 * HOUR + minutes * MINUTE)
    assert len(said("traffic_watched")) == 1, "nothing is suspected at five, and the next look is at six"
    arrives(ports, deliveries(TODAY + 5 * HOUR, 40))
    watch_traffic(ports, TODAY + 6 * HOUR + 2 * MINUTE)
    watch_traffic(ports, TODAY + 6 * HOUR + 5 * MINUTE)
    watch_traffic(ports, TODAY + 6 * HOUR + 20 * MINUTE)
    assert len(said("traffic_watched")) == 2


def test_of_a_parked_provider_nothing_is_told_until_it_is_unparked(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    ports.documents.commit([Create(parked_key("stripe"), {"provider": "stripe"})])
    watch_traffic(ports, TODAY + 3 * HOUR)
    assert said("traffic_silent") == []
    ports.documents.commit([Delete(parked_key("stripe"))])
    watch_traffic(ports, TODAY + 4 * HOUR)
    assert len(said("traffic_silent")) == 1


def test_a_long_silence_stays_one_until_a_person_says_that_it_is_usual(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    days = 130
    for nth in range(0, days, 7):
        watch_traffic(ports, TODAY + nth * DAY + 12 * HOUR)
        store(ports)
    now = TODAY + days * DAY + 12 * HOUR
    assert len(said("traffic_silent")) == 1
    watch_traffic(ports, now)
    found = standing(ports.documents)
    assert found is not None
    assert [(one.type, one.ended) for one in found.silences] == [("", None), ("charge.captured", None)]
    assert found.providers["stripe"].expected is not None
    ended = accept(ports, "stripe", None, (now - 30 * DAY).date())
    assert {one.type for one in ended} == {"", "charge.captured"}
    watch_traffic(ports, now + HOUR)
    assert said("traffic_silent") == []
    found = standing(ports.documents)
    assert found is not None
    assert (found.silences, dict(found.providers)) == ((), {})


def test_the_days_of_an_outage_and_what_is_sent_after_it_change_nothing_of_what_is_usual(
    ports: Ports, said: Any
) -> None:
    weeks(ports, "charge.captured")
    arrives(ports, a_day(TODAY, until=6))
    for hour in range(6, 24, 3):
        watch_traffic(ports, TODAY + hour * HOUR)
    arrives(ports, deliveries(TODAY + 25 * HOUR, 1000))
    arrives(ports, [row for hour in range(2, 24) for row in deliveries(TODAY + DAY + hour * HOUR, 60)])
    for hour in (1, 4, 9, 18, 29):
        watch_traffic(ports, TODAY + DAY + hour * HOUR)
    store(ports)
    found = standing(ports.documents)
    assert found is not None
    until = TODAY + 2 * DAY + 5 * HOUR
    expected = found.providers["stripe"].expected
    assert expected is not None
    assert expected == pytest.approx((until - 2 * MINUTE - TODAY - 2 * DAY) / MINUTE, rel=0.02)


def test_a_silence_of_everybody_says_how_many_they_are(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    rows = [counted(TODAY - nth * DAY, [60] * 24, provider) for nth in range(1, 64) for provider in ("adyen", "paypal")]
    ports.warehouse.append("provider_traffic", rows)
    watch_traffic(ports, TODAY + 3 * HOUR)
    assert {(one["provider"], one["providers"]) for one in said("traffic_silent")} == {
        ("stripe", 3),
        ("adyen", 3),
        ("paypal", 3),
    }


def test_looks_that_were_missed_are_no_silence(ports: Ports, said: Any) -> None:
    weeks(ports, "charge.captured")
    later = TODAY + 20 * DAY
    arrives(ports, [row for nth in range(13, 21) for row in a_day(TODAY + nth * DAY)])
    told = watch_traffic(ports, later + 12 * HOUR)
    assert {row.day for row in told} == {later - nth * DAY for nth in range(1, 8)}
    assert said("traffic_silent") == []


@settings(max_examples=5, deadline=None)
@given(copies=st.lists(st.integers(0, 40), min_size=1, max_size=8), order=st.randoms())
def test_looks_in_any_number_and_order_tell_the_same_rows_and_each_silence_once(
    tmp_path_factory: pytest.TempPathFactory, copies: list[int], order: Any
) -> None:
    ports = local_ports(Path(tmp_path_factory.mktemp("traffic")))
    weeks(ports, "charge.captured", days=30)
    arrives(ports, a_day(TODAY, until=6))
    looks = [TODAY + (7 + quarter / 4) * HOUR for quarter in copies]
    for look in sorted(looks):
        watch_traffic(ports, look)
        watch_traffic(ports, look)
    found = standing(ports.documents)
    assert found is not None
    assert [one.type for one in found.silences] == ["", "charge.captured"]
    assert len({one.told_at for one in found.silences}) == 1
    assert isinstance(found.counted, date)
    assert timedelta(0) < found.silences[0].since - TODAY <= 6 * HOUR
