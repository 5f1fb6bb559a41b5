"""The model that decides, watched on the local backend: what is measured becomes rows, and what is unusual calls somebody."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from shared.domain.codec import encode, encode_event, utc_text
from shared.domain.decisions import Outcome
from shared.domain.errors import Rejected, Unavailable
from shared.domain.events import Initiator, PaymentStep
from shared.flows import monitor_model as monitoring
from shared.flows.assess_payment import count, settle
from shared.flows.challengers import line_in
from shared.flows.champions import TRAINED, Canary, Champion, Line, with_line
from shared.flows.decisions import PACKED, stored
from shared.flows.monitor_model import monitor_model
from shared.flows.ports import Accumulate, Create, Ports
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.skew import Skew
from shared.flows.train_model import COLUMNS, on_request
from shared.fraud.attacks import KNOWN
from shared.fraud.decide import decide
from shared.fraud.features import NAMES, SCHEMA_VERSION
from shared.learning.data_set import Table
from shared.learning.health import Reference
from tests.builders import DAY, HOUR, MINUTE, SECOND, a_card, a_payment_event, an_assessment
from tests.flows.test_book_of_rules import a_rule, publish
from tests.fraud.forests import artifact, fitted
from tests.local import published

# Not the first tick of the hour: these days have rows where a test wants some, and are silent else (`test_freshness.py`).
MORNING = datetime(2026, 11, 25, 4, 25, tzinfo=UTC)
YESTERDAY = datetime(2026, 11, 24, tzinfo=UTC)
CHAMPION_DIGEST, CHALLENGER_DIGEST = "a" * 64, "b" * 64


@pytest.fixture(autouse=True)
def without_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vectors of these days are noise, of which no event tells: `test_skew.py` audits what was decided for real."""
    nothing = Skew(compared=0, different=0, missing=0, by_feature={}, natural={}, event_ids=())
    monkeypatch.setattr(monitoring, "audit", lambda *_: nothing)


def a_day(
    ports: Ports,
    *,
    day: datetime = YESTERDAY,
    payments: int = 600,
    approved: float = 0.95,
    seed: int = 1,
    shift: float = 0.0,
    prefix: str = "",
    **members: Any,
) -> None:
    """So many decisions over `day`, each of a captured payment and with a vector of noise; `amount` moved by `shift`."""
    chance = np.random.default_rng(seed)
    rows = []
    for index in range(payments):
        at = utc_text(day + chance.random() * DAY)
        event_id = f"stripe:acct_1:{prefix}{day:%m%d}_{index}"
        values = chance.normal(size=len(NAMES)).tolist()
        values[NAMES.index("amount")] += shift
        rows.append(
            {
                "event_id": event_id,
                "provider": "stripe",
                "account": "acct_1",
                "country": "DE",
                "occurred_at": at,
                "decided_at": at,
                "outcome": "approve" if chance.random() < approved else "decline",
                "score": float(chance.beta(1, 9)),
                "model_digest": CHAMPION_DIGEST,
                "schema_version": SCHEMA_VERSION,
                "sample": f"{index % 256:02x}",
                "step": "declined" if index % 10 == 0 else "captured",
                "network": "visa",
                "features": [{"name": name, "value": value} for name, value in zip(NAMES, values, strict=True)],
                **members,
            }
        )
    ports.warehouse.append("fraud_decisions", rows)


def crown(ports: Ports, **line: Any) -> None:
    """A champion, judged on vectors of the same noise."""
    chance = np.random.default_rng(9)
    table = Table(
        ("amount", "hour_of_day"), chance.normal(size=(2000, 2)), np.zeros(2000, bool), np.arange(2000), np.ones(2000)
    )
    reference = ports.models.store(encode(Reference.of(table, chance.beta(1, 9, size=2000))))
    champion = Champion(digest=CHAMPION_DIGEST, since=YESTERDAY - DAY, reference=reference)
    ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, Line(current=champion, **line)))])


def rows(ports: Ports) -> dict[tuple[str, str], dict[str, Any]]:
    """What was published, by measure and subject; and in the warehouse from then on, as its subscription does."""
    found = published(ports, "model-health")
    ports.warehouse.append("model_health", found)
    return {(row["measure"], row["subject"]): row for row in found}


def alarms(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Mapping[str, Any]]]:
    return [(one.message, one.fields) for one in caplog.records if one.levelno >= logging.ERROR]  # type: ignore[attr-defined]


def test_when_nothing_was_trained_for_days_somebody_is_called_each_day(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    monitor_model(ports, MORNING - DAY)
    ports.documents.commit([Accumulate(TRAINED, put={("trained_at",): MORNING - 2 * DAY})])
    monitor_model(ports, MORNING)
    assert alarms(caplog) == []
    for minutes in (0, 15, 30):
        monitor_model(ports, MORNING + DAY + minutes * MINUTE)
    assert alarms(caplog) == [("training_stands_still", {"days": 3})]
    ports.documents.commit([Accumulate(TRAINED, put={("trained_at",): MORNING + DAY})])
    monitor_model(ports, MORNING + 2 * DAY)
    assert len(alarms(caplog)) == 1


def test_a_day_like_those_the_champion_was_judged_on_is_measured_and_calls_nobody(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    crown(ports)
    a_day(ports)
    monitor_model(ports, MORNING)
    found = rows(ports)
    assert found["stability", "amount"]["value"] < 0.1
    assert found["distance", "score"]["value"] < 0.1
    # A tenth was refused by its issuer, has no label, and is in no model's reference.
    assert found["stability", "score"]["payments"] == 540
    assert found["approved", "all"]["payments"] == 600
    assert found["approved", "stripe:acct_1 DE visa"]["value"] == found["approved", "network visa"]["value"]
    assert found["approved", "all"]["value"] + found["declined", "all"]["value"] == pytest.approx(1)
    assert {(row["day"], row["unusual"]) for row in found.values()} == {("2026-11-24T00:00:00Z", False)}
    # Rules are no model's.
    assert {row["model"] for (measure, _), row in found.items() if measure not in ("rule_hits", "table_rows")} == {
        CHAMPION_DIGEST
    }
    assert {row["model"] for (measure, _), row in found.items() if measure == "rule_hits"} == {None}
    assert alarms(caplog) == []


def test_a_feature_that_has_become_another_calls_somebody_and_is_named(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    crown(ports)
    a_day(ports, shift=1.5)
    monitor_model(ports, MORNING)
    assert [row["subject"] for row in rows(ports).values() if row["unusual"]] == ["amount"]
    [(event, fields)] = alarms(caplog)
    assert (event, fields["subjects"]) == ("model_drifted", 1)
    assert "amount" in fields["worst"]


def test_a_few_payments_are_measured_and_call_nobody(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    crown(ports)
    a_day(ports, payments=100, shift=5.0)
    monitor_model(ports, MORNING)
    assert rows(ports)["stability", "amount"]["value"] > 0.25
    assert alarms(caplog) == []


def weeks_of(ports: Ports, approved: float = 0.95) -> None:
    """Four weeks before, measured on their own mornings."""
    for week in range(4, 0, -1):
        day = YESTERDAY - 7 * week * DAY
        a_day(ports, day=day, approved=approved, seed=week)
        monitor_model(ports, day + DAY + 5 * HOUR)
        rows(ports)


@pytest.mark.parametrize(("approved", "calls"), [(0.95, []), (0.80, ["rates_unusual", "rates_unusual"])])
def test_a_day_that_approves_less_than_its_weekday_does_calls_somebody(
    ports: Ports, caplog: pytest.LogCaptureFixture, approved: float, calls: Sequence[str]
) -> None:
    crown(ports)
    weeks_of(ports)
    # Another weekday, which says nothing of this one.
    a_day(ports, day=YESTERDAY - DAY, approved=0.5)
    monitor_model(ports, MORNING - DAY)
    rows(ports)
    a_day(ports, approved=approved, seed=5)
    monitor_model(ports, MORNING)
    row = rows(ports)["approved", "all"]
    assert row["unusual"] is bool(calls)
    assert 0.85 < row["low"] < 0.95 < row["high"]
    assert [event for event, _ in alarms(caplog)] == calls


def test_a_day_is_measured_once_from_four_o_clock_on_and_again_when_an_operator_asks(ports: Ports) -> None:
    a_day(ports, payments=50)
    ticks = [MORNING - HOUR, MORNING, MORNING + 10 * MINUTE, MORNING + 5 * HOUR]
    assert [bool(monitor_model(ports, tick)) for tick in ticks] == [False, True, False, False]
    first = published(ports, "model-health")
    monitor_model(ports, MORNING + HOUR, b'{"day": "2026-11-24"}')
    again = published(ports, "model-health")
    assert [row["row_id"] for row in again] == [row["row_id"] for row in first]
    assert {row["measured_at"] for row in again} == {"2026-11-25T05:25:00Z"}
    # An older day asked for does not make yesterday be measured again.
    monitor_model(ports, MORNING + HOUR, b'{"day": "2026-11-20"}')
    assert monitor_model(ports, MORNING + HOUR) == []


def test_days_on_which_nothing_was_measured_are_measured_after_yesterday_one_a_run_a_week_back(ports: Ports) -> None:
    monitor_model(ports, MORNING - 12 * DAY)
    for minutes in range(0, 150, 15):
        monitor_model(ports, MORNING + minutes * MINUTE)
    measured = [row["day"][:10] for row in published(ports, "model-health") if row["measure"] == "rule_hits"]
    assert list(dict.fromkeys(measured)) == [
        "2026-11-12",
        "2026-11-24",
        *(f"2026-11-{day}" for day in range(18, 24)),
    ]


def test_a_request_that_does_not_fit_says_why(ports: Ports) -> None:
    for parameters, says in ((b'{"day": "2026-11-25"}', "is not over"), (b'{"days": 1}', "`days`"), (b"[]", "object")):
        with pytest.raises(Rejected, match=says):
            monitor_model(ports, MORNING, parameters)


def test_cards_tried_out_on_one_bin_over_many_devices_call_somebody_and_a_renewal_peak_does_not(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = Scorer(use_model=False)

    def attempt(index: int, **members: Any) -> None:
        event = a_payment_event(
            PaymentStep.DECLINED if index % 4 else PaymentStep.CAPTURED,
            payment_id=f"{members.get('initiator', 'test')}_{index}",
            occurred_at=MORNING + index * SECOND,
            card=a_card(fingerprint=f"{members.get('initiator', 'test')}_{index}", bin="456789"),
            customer_id=f"cus_{index}",
            device_id=f"dev_{index}",
            ip=f"198.51.100.{index}",
            **members,
        )
        score_payment(event, ports, event.occurred_at, scorer)

    def tick() -> list[str]:
        caplog.clear()
        ports.warehouse.append("fraud_decisions", published(ports, "fraud-decisions"))
        monitor_model(ports, MORNING + 5 * MINUTE)
        return [event for event, _ in alarms(caplog) if event != "scoring_without_model"]

    for index in range(100):
        attempt(index, initiator=Initiator.MERCHANT)
    assert tick() == []
    for index in range(40):
        attempt(index)
    assert tick() == ["attack_suspected"]
    told = rows(ports)["attack", "bin 456789"]
    assert (told["value"], told["unusual"]) == (40, True)
    [fields] = [fields for event, fields in alarms(caplog) if event == "attack_suspected"]
    assert fields == {"kind": "bin", "bin": "456789", "cards": 40, "refused": 30, "doubted": 0, "usual": 0.0}


def asked_at_the_door(
    ports: Ports, at: datetime, index: int, bought: PaymentStep | None = None, **members: Any
) -> None:
    """A newcomer's attempt, judged before authorisation; bought: what the issuer said, a minute later."""
    asked = an_assessment(
        request_id=f"r{index}",
        merchant_reference=f"order-{index}",
        occurred_at=at,
        customer_id=f"cus_{index}",
        **{"device_id": f"dev_{index}", "ip": f"198.51.{100 + index}.1", **members},
    )
    door = Scorer(use_model=False)
    door.start(ports, at)
    made = count(asked, ports, at, door, lambda known, _, book, __: decide(known, None, at, book))
    settle(replace(asked, decision=stored(made.decision)[PACKED]), ports)
    if bought is not None:
        event = a_payment_event(
            bought,
            payment_id=f"pi_{index}",
            merchant_reference=f"order-{index}",
            occurred_at=at + MINUTE,
            card=asked.card,
            customer_id=asked.customer_id,
            device_id=asked.device_id,
            ip=asked.ip,
        )
        score_payment(event, ports, event.occurred_at, door)


def bought_before(ports: Ports) -> None:
    """So many others bought two hours ago, that it is known what a doubt says."""
    scorer = Scorer(use_model=False)
    for index in range(KNOWN):
        event = a_payment_event(
            account="main",
            payment_id=f"before_{index}",
            occurred_at=MORNING - 2 * HOUR + index * SECOND,
            card=a_card(fingerprint=f"before_{index}", bin=f"41{index:04}"),
            customer_id=f"before_{index}",
            device_id=f"before_{index}",
            ip=f"203.0.{index}.1",
        )
        score_payment(event, ports, event.occurred_at, scorer)


def suspected(ports: Ports, caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, int]]:
    """The attacks that the next tick tells of: the kind, how many were refused, how many doubted."""
    caplog.clear()
    ports.warehouse.append("fraud_decisions", published(ports, "fraud-decisions"))
    monitor_model(ports, MORNING)
    told = [fields for event, fields in alarms(caplog) if event == "attack_suspected"]
    return [(fields["kind"], fields["refused"], fields["doubted"]) for fields in told]


def test_a_tester_whom_the_shipped_rules_send_to_review_at_the_door_calls_somebody(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    bought_before(ports)
    for index in range(14):
        card = a_card(fingerprint=f"stolen_{index}", bin=f"45{index:04}")
        asked_at_the_door(ports, MORNING - 25 * MINUTE + index * MINUTE, index, card=card, device_id="bot")
    # No issuer and no rule of ours refused anybody.
    assert suspected(ports, caplog) == [("device", 0, 9)]


@pytest.mark.parametrize(("authenticate", "alarm"), [(0, [("bin", 0, 30)]), (25, [])])
def test_new_cards_that_a_rule_challenges_call_somebody_unless_most_of_them_authenticate(
    ports: Ports, caplog: pytest.LogCaptureFixture, authenticate: int, alarm: list[tuple[str, int, int]]
) -> None:
    publish(ports, a_rule(outcome=Outcome.CHALLENGE))
    bought_before(ports)
    for index in range(30):
        bought = PaymentStep.AUTHORIZED if index < authenticate else None
        card = a_card(fingerprint=f"card_{index}", bin="456789")
        asked_at_the_door(ports, MORNING - 25 * MINUTE + index * 20 * SECOND, index, bought, card=card)
    assert suspected(ports, caplog) == alarm


def test_a_renewal_peak_that_a_rule_challenges_calls_nobody(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    publish(ports, a_rule(outcome=Outcome.CHALLENGE))
    bought_before(ports)
    for index in range(30):
        card = a_card(fingerprint=f"card_{index}", bin="456789")
        at = MORNING - 25 * MINUTE + index * 20 * SECOND
        asked_at_the_door(ports, at, index, card=card, initiator=Initiator.MERCHANT)
    assert suspected(ports, caplog) == []


def test_who_is_on_a_device_or_at_an_address_is_in_the_row_and_in_no_log_line(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    for index in range(12):
        newcomer = {"card": f"c{index}", "device": "secret-device", "address": "203.0.113.77", "refused": True}
        row = {"event_id": f"e{index}", "occurred_at": utc_text(MORNING - MINUTE), "newcomer": newcomer}
        ports.warehouse.append("fraud_decisions", [row])
    monitor_model(ports, MORNING)
    assert {("attack", "device secret-device"), ("attack", "address 203.0.113.77")} <= rows(ports).keys()
    assert len(alarms(caplog)) == 2
    assert "secret" not in str(alarms(caplog))
    assert "203.0" not in str(alarms(caplog))


def a_canary(ports: Ports, challenger_approves: float) -> datetime:
    """A canary of a tenth since three hours; the instant at which it is looked at."""
    now = MORNING + 10 * HOUR
    challenger = Champion(digest=CHALLENGER_DIGEST, since=YESTERDAY)
    crown(ports, challenger=challenger, canary=Canary(share=0.1, since=now - 3 * HOUR))
    since = now - 3 * HOUR

    def arm(payments: int, approved: float, decides: str, beside: str) -> None:
        chance = np.random.default_rng(payments)
        ports.warehouse.append(
            "fraud_decisions",
            [
                {
                    "event_id": f"{decides[0]}{index}",
                    "occurred_at": utc_text(since + (index / payments) * timedelta(hours=2.9) + SECOND),
                    "outcome": "approve" if chance.random() < approved else "challenge",
                    "model_digest": decides,
                    "challenger": beside[:12],
                    "challenger_score": 0.01,
                }
                for index in range(payments)
            ],
        )

    arm(9000, 0.95, CHAMPION_DIGEST, CHALLENGER_DIGEST)
    arm(1000, challenger_approves, CHALLENGER_DIGEST, CHAMPION_DIGEST)
    return now


@pytest.mark.parametrize(("approves", "ends"), [(0.95, False), (0.85, True), (1.0, True)])
def test_a_canary_that_approves_less_or_more_than_the_champion_ends_by_itself_and_stays_in_shadow(
    ports: Ports, caplog: pytest.LogCaptureFixture, approves: float, ends: bool
) -> None:
    now = a_canary(ports, approves)
    for _ in range(2):
        monitor_model(ports, now)
    line = line_in(ports.documents.get([CHAMPION])[0])
    assert (line.canary is None) is ends
    assert line.challenger is not None
    assert [event for event, _ in alarms(caplog)] == ["canary_ended"] * ends
    assert rows(ports)["canary", "approved"]["unusual"] is ends


def test_a_canary_of_a_few_payments_is_not_judged(ports: Ports, caplog: pytest.LogCaptureFixture) -> None:
    now = a_canary(ports, 0.5)
    monitor_model(ports, now - timedelta(hours=1.6))
    assert alarms(caplog) == []


def test_what_the_challenger_would_have_approved_is_told_beside_what_both_say(ports: Ports) -> None:
    champion, challenger = (
        ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=iterations))) for iterations in (20, 10)
    )
    line = Line(
        current=Champion(digest=champion, since=YESTERDAY), challenger=Champion(digest=challenger, since=YESTERDAY)
    )
    ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line))])

    # Approved below 0.1 (`tests.fraud.forests.THRESHOLDS`). In the last the challenger decided, and the champion was asked.
    said = [(0.05, 0.05, False), (0.05, 0.5, False), (0.5, 0.5, False), (0.02, 0.9, True)]
    ports.warehouse.append(
        "fraud_decisions",
        [
            {
                "event_id": f"e{index}",
                "occurred_at": utc_text(YESTERDAY + HOUR),
                "score": score,
                "challenger_score": other,
                "model_digest": challenger if swapped else champion,
                "challenger": (champion if swapped else challenger)[:12],
            }
            for index, (score, other, swapped) in enumerate(said)
        ],
    )
    monitor_model(ports, MORNING)
    found = rows(ports)
    assert found["challenger_approved", "all"]["value"] == 0.5
    assert found["challenger_agrees", "all"]["value"] == 0.5
    assert found["challenger_agrees", "all"]["model"] == challenger


def test_without_a_champion_rates_are_measured_all_the_same(ports: Ports) -> None:
    a_day(ports, payments=20)
    monitor_model(ports, MORNING)
    found = rows(ports)
    assert {measure for measure, _ in found} == {"approved", "declined", "rule_hits", "deadlines_at_risk", "table_rows"}
    assert json.dumps(found["approved", "all"]["low"]) == "null"


def test_an_account_that_comes_near_a_networks_programme_calls_somebody_and_one_that_does_not_is_told(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    at = utc_text(YESTERDAY + HOUR)

    def dispute(number: int, account: str) -> dict[str, Any]:
        return {
            **dict.fromkeys(("payment_known", "final", "can_respond"), True),
            **dict.fromkeys(("deadline_unsigned", "deadline_estimated"), False),
            "update_id": f"{account}{number}",
            "occurred_at": at,
            "revision": 1,
            "provider": "adyen",
            "account": account,
            "dispute_id": f"{account}{number}",
            "stage": "chargeback",
            "network": "mc",
            "flags": [],
        }

    near, far = [dispute(number, "near") for number in range(90)], [dispute(number, "far") for number in range(3)]
    ports.warehouse.append("dispute_updates", [*near, *far, near[0]])
    monitor_model(ports, MORNING)
    found = rows(ports)
    # 24 of November's 30 days have passed: 113 by its end, and 100 are enough where little settled last month.
    items, left = (found[measure, "ecm adyen:near"] for measure in ("programme_items", "programme_left"))
    assert items["value"] == pytest.approx(90 + 90.5 / 4)
    assert items["low"] < items["value"] < items["high"]
    assert (left["value"], left["payments"], left["unusual"]) == (10, 90, True)
    assert not found["programme_left", "ecm adyen:far"]["unusual"]
    [(event, fields)] = alarms(caplog)
    assert (event, fields["subjects"]) == ("programme_at_risk", 1)
    assert fields["worst"] == "programme_left ecm adyen:near 10.000"


def test_how_many_subscribers_could_be_defended_is_told_each_day_with_why_not(ports: Ports) -> None:
    noon = YESTERDAY + 12 * HOUR
    # Of days that a first night makes up for.
    for customer, ages in (("cus_1", (0,)), ("cus_2", (0, 5))):
        for age in ages:
            event = a_payment_event(
                payment_id=f"pi_{customer}_{age}",
                event_id=f"stripe:acct_1:{customer}_{age}",
                occurred_at=noon - age * DAY,
                customer_id=customer,
                card=a_card(network="visa"),
                ip="203.0.114.7",
            )
            record_payment(event, ports, noon)
            ports.warehouse.append("payment_events", [json.loads(encode_event(event))])
    monitor_model(ports, MORNING)
    found = rows(ports)
    ready, young = found["readiness", "visa_ce3"], found["readiness_unfit", "visa_ce3: is younger than 120 days"]
    assert (ready["value"], ready["payments"], ready["unusual"], ready["model"]) == (0.0, 2, False, None)
    assert (young["value"], young["payments"]) == (0.5, 2)
    # Once; and again for who asks, as long as there are flags of that day.
    monitor_model(ports, MORNING + HOUR)
    assert ("readiness", "visa_ce3") not in rows(ports)
    monitor_model(ports, MORNING + HOUR, b'{"day": "2026-11-24"}')
    assert rows(ports)["readiness", "visa_ce3"]["value"] == 0.0


def test_flags_that_take_longer_than_a_run_keep_nothing_else_waiting(ports: Ports) -> None:
    class Slow:
        def derive(self, *_: Any, **__: Any) -> None:
            raise Unavailable("BigQuery does not answer", reason="bigquery")

        def __getattr__(self, name: str) -> Any:
            return getattr(ports.warehouse, name)

    with pytest.raises(Unavailable):
        monitor_model(replace(ports, warehouse=Slow()), MORNING)
    assert ("deadlines_at_risk", "people") in rows(ports)
    monitor_model(ports, MORNING + HOUR)
    assert ("deadlines_at_risk", "people") not in rows(ports)


@pytest.mark.parametrize(("parked", "calls"), [(2, []), (40, ["deadlines_at_risk"])])
def test_deadlines_that_will_be_missed_are_named_and_many_call_somebody(
    ports: Ports, caplog: pytest.LogCaptureFixture, parked: int, calls: Sequence[str]
) -> None:
    midnight = YESTERDAY + DAY
    waiting = {
        **dict.fromkeys(("payment_known", "final", "can_respond"), True),
        **dict.fromkeys(("deadline_unsigned", "deadline_estimated"), False),
        "occurred_at": utc_text(YESTERDAY),
        "revision": 1,
        "provider": "mollie",
        "account": "acct",
        "stage": "inquiry",
        "status": "needs_response",
        "answered_by": "us",
        "answer_state": "parked",
        "respond_by": utc_text(midnight + 120 * HOUR),
        "flags": [],
    }
    ports.warehouse.append(
        "dispute_updates", [{**waiting, "update_id": f"u{n}", "dispute_id": f"d{n}"} for n in range(parked)]
    )
    monitor_model(ports, MORNING)
    found = rows(ports)
    people, platform = (found["deadlines_at_risk", queue] for queue in ("people", "platform"))
    assert (people["value"], people["unusual"], platform["value"], platform["unusual"]) == (
        parked,
        bool(calls),
        0,
        False,
    )
    assert found["deadline_at_risk", "people mollie:d1"]["value"] == 120
    assert [event for event, _ in alarms(caplog)] == calls


WEEK = datetime(2026, 10, 19, tzinfo=UTC)
AFTER_7, AFTER_30 = "week from 2026-10-19 after 7 days", "week from 2026-10-19 after 30 days"


def a_week(ports: Ports) -> None:
    """A hundred frauds, all of which the challenger tells from the rest and the champion only every other one; half are known
    within days, the others within weeks. Of the genuine payments a hundredth is stopped too."""
    decisions, labels = [], []
    for index in range(3000):
        fraud = index < 100
        at = WEEK + (index * 7919 % 3000) / 3000 * 7 * DAY
        told = fraud and index % 2 == 0
        stopped = told or (not fraud and index % 100 == 0)
        payment = {"provider": "stripe", "payment_id": f"pi_{index}"}
        decisions.append(
            {
                **payment,
                "event_id": f"stripe:a:{index}",
                "occurred_at": utc_text(at),
                "decided_at": utc_text(at),
                "outcome": "challenge" if stopped else "approve",
                "amount": {"minor": 1000, "currency": "EUR"},
                "score": 0.9 if stopped else 0.001 * (index % 37),
                "challenger_score": 0.8 if fraud else 0.001 * (index % 37),
                "model_digest": CHAMPION_DIGEST,
                "challenger": CHALLENGER_DIGEST[:12],
                "sample": f"{index % 256:02x}",
                "step": "captured",
            }
        )
        if fraud:
            label = {"label_id": f"l{index}", "label": "third_party_fraud", "source": "dispute", "revision": 1}
            heard = at + (2 if index < 50 else 25) * DAY
            labels.append({**payment, **label, "known_at": utc_text(heard)})
    # What nobody was charged for has no label, whatever is said of it.
    decisions.append({**decisions[0], "event_id": "refused", "payment_id": "pi_refused", "step": "declined"})
    ports.warehouse.append("fraud_decisions", decisions)
    ports.warehouse.append("fraud_labels", labels)


def test_a_weeks_decisions_are_measured_again_as_their_labels_mature(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    a_week(ports)
    crown(ports, challenger=Champion(digest=CHALLENGER_DIGEST, since=WEEK))
    monitor_model(ports, MORNING)
    # Asked for again weeks later, what was known after a week is what is said of it.
    monitor_model(ports, MORNING, b'{"day": "2026-11-01"}')
    found = rows(ports)
    young, old = (
        {name: found[f"cohort_{name}", after] for name in ("precision", "recall", "money", "average_precision")}
        for after in (AFTER_7, AFTER_30)
    )
    # 50 frauds are known after a week, 25 of them among the 79 that were stopped; then 100, and 50.
    assert young["precision"]["value"] == pytest.approx(25 / 79)
    assert old["precision"]["value"] == pytest.approx(50 / 79)
    for known in (young, old):
        assert known["recall"]["value"] == known["money"]["value"] == pytest.approx(0.5)
        for row in known.values():
            assert row["low"] < row["value"] < row["high"]
            assert (row["payments"], row["unusual"]) == (3000, False)
    assert old["recall"]["high"] - old["recall"]["low"] < young["recall"]["high"] - young["recall"]["low"]
    assert old["average_precision"]["value"] > young["average_precision"]["value"]
    # The challenger finds them all; both are held to the same payments.
    better = found["challenger_money", AFTER_30]
    assert better["model"] == CHALLENGER_DIGEST
    assert better["low"] > 0.3
    assert found["challenger_average_precision", AFTER_30]["low"] > 0.3
    assert [event for event, _ in alarms(caplog)] == []


def test_an_operator_is_shown_the_challenger_beside_the_champion_on_matured_payments(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="payin")
    a_week(ports)
    crown(ports, challenger=Champion(digest=CHALLENGER_DIGEST, since=WEEK))
    on_request(ports, MORNING, json.dumps({"compare": CHALLENGER_DIGEST}).encode())
    on_request(ports, MORNING, json.dumps({"compare": CHALLENGER_DIGEST, "mature_days": 60}).encode())
    told = {one.message: one.fields for one in caplog.records}  # type: ignore[attr-defined]
    compared = told["challenger_compared"]
    assert (compared["payments"], compared["frauds_compared"]) == (3000, 100)
    assert 0.3 < compared["money_low"] <= compared["money"] <= compared["money_high"]
    assert told["challenger_not_comparable"] == {"digest": CHALLENGER_DIGEST}
    with pytest.raises(Rejected, match="the challenger is another one"):
        on_request(ports, MORNING, json.dumps({"compare": CHAMPION_DIGEST}).encode())
