"""Messages of other systems become one document a subscriber: through the contract, once, at the cost that is charged for."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import Unreadable
from shared.domain.pseudonyms import DEVELOPMENT
from shared.domain.usage import KEPT
from shared.flows.keep_evidence import keep_evidence, usage_of
from shared.flows.ports import Key, Ports
from shared.runtime import usage
from tests.builders import DAY, NOON
from tests.disputes.proofs import a_sign_in, told, used
from tests.flows.counting import Counting
from tests.local import local_ports

MESSAGE: dict[str, Any] = {
    "version": 1,
    "message_id": "m1",
    "source": "player",
    "customer_id": "cus_1",
    "records": [
        {"kind": "login", "at": "2026-11-02T13:00:00+02:00", "ip": "::ffff:203.0.113.7", "device_id": "dev_1"},
        {
            "kind": "plays",
            "day": "2026-11-02",
            "count": 12,
            "seconds": 2520,
            "first_at": "2026-11-02T13:00:00Z",
            "last_at": "2026-11-02T16:07:00Z",
        },
        {"kind": "plan", "at": "2026-04-16T12:00:00Z", "plan": "Premium", "before": None},
        {"kind": "cancellation", "at": "2026-11-14T12:00:00Z", "step": "abandoned", "effective_at": None},
        {"kind": "policy", "at": "2026-04-16T12:00:00Z", "policy": "terms", "version": "2026-03", "digest": "5e" * 32},
        {
            "kind": "message",
            "at": "2026-11-04T12:00:00Z",
            "direction": "from_customer",
            "channel": "email",
            "text": "My card 4242 4242 4242 4242, and ana@shop.example",
        },
    ],
}


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return local_ports(tmp_path)


def read(**members: Any) -> Any:
    return usage.read(json.dumps({**MESSAGE, **members}).encode(), DEVELOPMENT)


def test_a_message_is_kept_with_what_is_personal_in_it_masked(ports: Ports) -> None:
    keep_evidence(read(), ports, NOON + 20 * DAY)
    [found] = ports.documents.get([Key("usage", "cus_1")])
    there = usage_of(found)
    assert there
    [(name, sign_in)] = there.sign_ins.items()
    assert name == "2026-11-02/203.0.113.7/dev_1"
    assert sign_in.first_at.hour == 11
    assert [one.count for one in there.plays.values()] == [12]
    [message] = there.messages.values()
    assert message.text == "My card [card number], and [e-mail]"
    assert [one.plan for one in there.plans.values()] == ["Premium"]
    assert [one.version for one in there.policies.values()] == ["2026-03"]
    assert [one.step for one in there.cancellations.values()] == ["abandoned"]
    assert found
    assert found.document["expires_at"] == max(one.at for one in there.cancellations.values()) + KEPT


def test_a_subscriber_whose_name_could_be_a_card_number_goes_by_a_name_under_our_key() -> None:
    named = read(customer_id="4242 4242 4242 4242").customer_id
    assert named.startswith("name-dev-")
    assert read(customer_id="4242 4242 4242 4242").customer_id == named


def test_a_message_costs_one_read_and_one_commit_and_a_copy_the_read_alone(ports: Ports) -> None:
    for commits in (1, 0):
        documents = Counting(ports.documents)
        keep_evidence(told(), replace(ports, documents=documents), NOON + 30 * DAY)
        assert (documents.reads, documents.documents, documents.commits) == (1, 1, commits)


def test_messages_of_one_subscriber_come_together_in_any_order(ports: Ports, tmp_path: Path) -> None:
    news = [told(), told(message_id="m2", sign_ins=(a_sign_in(1), a_sign_in(2))), told(source="accounts")]
    other = local_ports(tmp_path / "other")
    for message in news:
        keep_evidence(message, ports, NOON + 30 * DAY)
    for message in (*reversed(news), news[1]):
        keep_evidence(message, other, NOON + 30 * DAY)
    found = [usage_of(one.documents.get([Key("usage", "cus_1")])[0]) for one in (ports, other)]
    assert found == [used(*news)] * 2


def test_what_has_not_happened_yet_pushes_out_nothing(ports: Ports) -> None:
    with pytest.raises(Unreadable) as refused:
        keep_evidence(told(sign_ins=(a_sign_in(40),)), ports, NOON + 30 * DAY)
    assert refused.value.reason == "from_the_future"
    assert ports.documents.get([Key("usage", "cus_1")]) == [None]


RECORD = MESSAGE["records"][0]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"customer_id": ""}, "customer_id"),
        ({"records": []}, "records"),
        ({"version": 2}, "version"),
        ({"unknown": 1}, "unknown"),
        ({"records": [{**RECORD, "kind": "logout"}]}, "records[0]"),
        ({"records": [{**RECORD, "at": "2026-11-02T13:00:00"}]}, "records[0].login.at"),
        ({"records": [{**RECORD, "at": "9999-12-31T23:59:59-23:59"}]}, "records[0].login.at"),
        ({"records": [{**RECORD, "at": "0001-01-01T00:00:00+23:59"}]}, "records[0].login.at"),
        ({"records": [{**RECORD, "ip": "ana@shop.example"}]}, "records[0].login.ip"),
        ({"records": [{**MESSAGE["records"][1], "day": "2026-11-03"}]}, "records[0].plays"),
        ({"records": [RECORD] * (usage.RECORDS + 1)}, "records"),
    ],
)
def test_a_message_that_does_not_fit_is_unreadable_and_what_does_not_fit_is_named(
    members: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unreadable) as refused:
        read(**members)
    assert refused.value.reason == "malformed_usage"
    assert says in str(refused.value)
    assert "ana@" not in str(refused.value)


def test_a_message_longer_than_any_history_is_not_read() -> None:
    with pytest.raises(Unreadable) as refused:
        usage.read(b" " * (usage.LARGEST + 1), DEVELOPMENT)
    assert refused.value.reason == "usage_too_large"
