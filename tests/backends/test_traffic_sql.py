"""What the warehouse counts of what providers send, against counts by hand; on both warehouses."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from shared.domain.codec import utc_text
from shared.flows.ports import Ports
from shared.flows.watch_traffic import COUNTED_SQL, LOOKED_BACK, PAST_SQL, types_of

DAY = timedelta(days=1)
_numbers = count(1)


def test_traffic_is_counted_by_type_and_quarter_of_an_hour_without_what_is_none(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, datetime(2033, 5, 10, tzinfo=UTC)

    def came(minutes: float, *types: str, after: float = 0, **members: Any) -> dict[str, Any]:
        at = since + timedelta(minutes=minutes)
        row = {"delivery_id": f"traffic{next(_numbers)}", "provider": "stripe", "received_at": utc_text(at)}
        heard = {"publish_time": utc_text(at + timedelta(minutes=after)), "outcome": "accepted", "types": list(types)}
        return {**row, **heard, **members}

    rows = [
        came(-0.01, "a"),
        came(0, "a"),
        came(14.99, "a", outcome="ignored"),
        came(15, "a", "b", "b"),
        came(1439.9, outcome="unparsed"),
        came(1440, "b", provider="adyen"),
        came(1450, "a", provider="adyen"),
        came(20, "a", outcome="canary"),
        came(20, "a", outcome="mode_mismatch"),
        came(20, "a", after=11),
    ]
    found.append("deliveries", rows)
    told = found.query(COUNTED_SQL, {"since": since, "until": since + timedelta(minutes=1450)})
    assert {(row["provider"], row["type"], row["quarter"]): row["deliveries"] for row in told} == {
        ("stripe", "", 0): 2,
        ("stripe", "a", 0): 2,
        ("stripe", "", 1): 1,
        ("stripe", "a", 1): 1,
        ("stripe", "b", 1): 2,
        ("stripe", "", 95): 1,
        ("adyen", "", 96): 1,
        ("adyen", "b", 96): 1,
    }


def test_counted_days_are_read_by_their_last_word_and_long_ago_of_who_is_silent_alone(warehouses: Ports) -> None:
    found, since = warehouses.warehouse, datetime(2033, 5, 10, tzinfo=UTC)

    def counted(day: int, provider: str, kind: str, number: int, later: int = 0) -> dict[str, Any]:
        at = since + day * DAY
        row = {"row_id": f"{day}/{provider}/{kind}", "day": utc_text(at), "provider": provider, "type": kind}
        return row | {"hours": [number] * 24, "deliveries": 24 * number, "counted_at": utc_text(at + (1 + later) * DAY)}

    rows = [
        *(counted(0, one, "", 3) for one in ("", "stripe", "adyen", "stri")),
        counted(5, "stripe", "a", 1, 1),
        counted(5, "stripe", "a", 2),
        counted(6, "stripe", "a", 7),
    ]
    found.append("provider_traffic", rows)
    asked = {"since": since, "until": since + 6 * DAY, "recent": since + 3 * DAY, "silent": " adyen stripe "}
    told = {(row["provider"], row["type"], row["day"]): list(row["hours"]) for row in found.query(PAST_SQL, asked)}
    assert told == {
        ("", "", since): [3] * 24,
        ("stripe", "", since): [3] * 24,
        ("adyen", "", since): [3] * 24,
        ("stripe", "a", since + 5 * DAY): [1] * 24,
    }


def test_types_that_were_counted_are_known_each_once(warehouses: Ports) -> None:
    now = datetime(2034, 5, 10, 7, tzinfo=UTC)

    def counted(provider: str, kind: str, days: int) -> dict[str, Any]:
        at = utc_text(now.replace(hour=0) - days * DAY)
        row = {"row_id": f"{at}/{provider}/{kind}", "day": at, "provider": provider, "type": kind}
        return row | {"hours": [1] * 24, "deliveries": 24, "counted_at": at}

    rows = [counted("stripe", kind, days) for kind in ("", "b", "a") for days in (1, 2)]
    rows += [counted("stripe", "forgotten", LOOKED_BACK + 1), counted("adyen", "other", 1)]
    warehouses.warehouse.append("provider_traffic", rows)
    assert types_of(warehouses.warehouse, "stripe", now) == ["a", "b"]
    assert types_of(warehouses.warehouse, "paypal", now) == []
