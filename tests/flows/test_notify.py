"""Systems outside of Google Cloud are told each thing until they take it, each by itself, and can be told it again."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import encode
from shared.domain.errors import Unavailable, Unreadable
from shared.domain.notifications import Endpoint, NotificationUnknown
from shared.domain.reviews import PaymentAction, ReviewAction
from shared.flows import notify as flow
from shared.flows.notify import KEPT, disabled_at, enable, listed, notify, resend
from shared.flows.ports import Delete, Key, Ports
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, MINUTE, NOON, a_dispute_event
from tests.contracts.fitting import misfits
from tests.local import local_ports, published

CRM = Endpoint("crm", "https://crm.example/hooks", {"1": "whsec_" + "a" * 32})
SHOP = Endpoint("shop", "https://shop.example/pay-in", {"1": "whsec_" + "b" * 32})


class Receivers:
    """Endpoints that answer with what they are told to, one after another, then 204; each remembers what came."""

    def __init__(self, *statuses: int, **of_endpoint: Sequence[int]) -> None:
        self._statuses = {name: list(one) for name, one in of_endpoint.items()} | {"": list(statuses)}
        self.came: list[tuple[str, str, str]] = []
        self.at: list[datetime] = []

    def __call__(self, endpoint: Endpoint, notification_id: str, body: str, now: datetime) -> int:
        self.came.append((endpoint.name, notification_id, body))
        self.at.append(now)
        left = self._statuses.get(endpoint.name) or self._statuses[""]
        return left.pop(0) if left else 204


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Ports:
    return local_ports(tmp_path_factory.mktemp("notify"))


def nothing(ports: Ports) -> None:
    for name in (flow.NOTIFICATIONS, flow.ENDPOINTS):
        ports.documents.commit([Delete(one.key) for one in ports.documents.scan(name, 1000)])


@pytest.fixture(autouse=True)
def nothing_is_there(ports: Ports) -> None:
    nothing(ports)


def an_action(number: int = 1, action: ReviewAction = ReviewAction.RELEASE) -> bytes:
    return encode(
        PaymentAction(
            action_id=f"stripe:acct_1:evt_{number}/review",
            action=action,
            provider="stripe",
            account="acct_1",
            livemode=True,
            payment_id=f"pi_{number}",
            request_id=None,
            decision_id=f"stripe:acct_1:evt_{number}",
            by="ana@shop.example",
            code="customer_known",
            decided_at=NOON,
        )
    )


def tell(
    ports: Ports,
    receivers: Receivers,
    endpoint: Endpoint = CRM,
    data: bytes | None = None,
    now: datetime = NOON,
    topic: str = "payment-actions",
    action: str = "release",
) -> None:
    attributes = {"provider": "stripe", "action": action} if action else {"provider": "stripe"}
    notify(endpoint, topic, data or an_action(), attributes, NOON, ports, receivers, now)


def test_what_an_endpoint_takes_it_is_told_once_however_often_the_message_comes(ports: Ports) -> None:
    receivers = Receivers()
    for minute in range(3):
        tell(ports, receivers, now=NOON + minute * MINUTE)
    [(name, notification_id, body)] = receivers.came
    assert name == "crm"
    told = json.loads(body)
    assert (told["type"], told["timestamp"]) == ("payment.release", "2026-11-02T12:00:00Z")
    assert told["data"]["payment_id"] == "pi_1"
    [kept] = listed(CRM, ports)
    assert (kept.notification_id, kept.body, kept.tries, kept.status) == (notification_id, body, 1, 204)
    assert kept.delivered_at == NOON


def test_who_of_us_decided_is_not_told(ports: Ports, tmp_path: Path) -> None:
    receivers, others = Receivers(), local_ports(tmp_path)
    tell(ports, receivers)
    track_dispute(a_dispute_event(), others, NOON)
    for update in published(others, "dispute-updates"):
        told = json.dumps({**update, "answer_by": "ben@shop.example"}).encode()
        tell(ports, receivers, data=told, topic="dispute-updates", action="")
    assert [json.loads(body)["type"] for _, _, body in receivers.came] == ["payment.release", "dispute.updated"]
    assert "shop.example" not in "".join(body for _, _, body in receivers.came)


@pytest.mark.parametrize(
    ("topic", "action", "kind"),
    [
        ("payment-actions", "suspend", "payment.suspend"),
        ("payment-actions", "restore", "payment.restore"),
        ("dispute-actions", "alert_answered", "dispute.alert_answered"),
    ],
)
def test_who_may_go_on_using_what_was_bought_and_what_became_of_an_alert_is_told(
    ports: Ports, topic: str, action: str, kind: str
) -> None:
    receivers = Receivers()
    for _ in range(2):
        tell(ports, receivers, data=encode({"action_id": "a-1", "payment_id": "pi_1"}), topic=topic, action=action)
    [(_, _, body)] = receivers.came
    assert (json.loads(body)["type"], json.loads(body)["data"]["payment_id"]) == (kind, "pi_1")


def test_every_kind_that_is_told_is_one_that_is_published() -> None:
    for topic, action in flow.KINDS:
        attributes = {"provider": "stripe", **({"action": action} if action else {})}
        if action == "remind":
            attributes["rung"] = "7d"
        about_attributes = [one for one in misfits(topic, b"{}", attributes) if "attributes" in one.partition(":")[0]]
        assert about_attributes == []


def test_what_only_our_own_sender_has_to_do_is_told_nobody(ports: Ports) -> None:
    receivers = Receivers()
    tell(ports, receivers, topic="dispute-actions", action="answer", data=b'{"dispute_id": "dp_1"}')
    assert receivers.came == []
    assert everything_of(ports) == []


def everything_of(ports: Ports) -> list[Key]:
    return [one.key for one in ports.documents.scan(flow.NOTIFICATIONS, 1000)]


def test_what_is_not_taken_is_offered_again_as_the_same_bytes_under_the_same_id(ports: Ports) -> None:
    receivers = Receivers(0, 500, 302, 404)
    for hour in range(4):
        with pytest.raises(Unavailable):
            tell(ports, receivers, now=NOON + hour * HOUR)
        [waiting] = listed(CRM, ports)
        assert (waiting.delivered_at, waiting.tries) == (None, hour + 1)
    tell(ports, receivers, now=NOON + 4 * HOUR)
    assert len(set(receivers.came)) == 1
    # Each try is signed as of its own time: what is older than some minutes, a receiver refuses.
    assert receivers.at == [NOON + hour * HOUR for hour in range(5)]
    [taken] = listed(CRM, ports)
    assert (taken.status, taken.tries, taken.delivered_at) == (204, 5, NOON + 4 * HOUR)


class Died(BaseException):
    """The process is gone: nothing catches it."""


def test_who_dies_after_the_endpoint_took_it_tells_it_again_under_the_same_id(ports: Ports) -> None:
    receivers = Receivers()

    def dying(endpoint: Endpoint, notification_id: str, body: str, now: datetime) -> int:
        receivers(endpoint, notification_id, body, now)
        raise Died

    with pytest.raises(Died):
        notify(CRM, "payment-actions", an_action(), {"action": "release"}, NOON, ports, dying, NOON)
    tell(ports, receivers, now=NOON + HOUR)
    assert len(receivers.came) == 2
    assert len(set(receivers.came)) == 1


def test_one_that_fails_holds_up_no_other(ports: Ports) -> None:
    receivers = Receivers(crm=[500] * 3)
    for _ in range(3):
        with pytest.raises(Unavailable):
            tell(ports, receivers, CRM)
        tell(ports, receivers, SHOP)
    assert [name for name, _, _ in receivers.came] == ["crm", "shop", "crm", "crm"]
    assert [one.delivered_at for one in listed(SHOP, ports)] == [NOON]


def test_where_nobody_listens_any_more_nothing_is_sent_until_somebody_does(ports: Ports) -> None:
    receivers = Receivers(410)
    for number in range(3):
        tell(ports, receivers, data=an_action(number))
    assert len(receivers.came) == 1
    [state] = ports.documents.get([Key(flow.ENDPOINTS, "crm")])
    assert disabled_at(CRM, state) == NOON
    moved = Endpoint("crm", "https://crm.example/v2", CRM.keys)
    assert disabled_at(moved, state) is None
    enable(CRM.name, ports, "ana@shop.example")
    tell(ports, receivers, data=an_action(1))
    assert len(receivers.came) == 2


def test_what_was_sent_can_be_sent_again_whatever_came_of_it(ports: Ports) -> None:
    receivers = Receivers(204, 204, 0)
    tell(ports, receivers)
    [sent] = listed(CRM, ports)
    again = resend(CRM, sent.notification_id, ports, receivers, "ana@shop.example", NOON + DAY)
    assert (again.tries, again.status, again.resent_by, again.body) == (2, 204, "ana@shop.example", sent.body)
    silent = resend(CRM, sent.notification_id, ports, receivers, "ana@shop.example", NOON + 2 * DAY)
    assert (silent.tries, silent.status, silent.delivered_at) == (3, 0, NOON + DAY)
    assert len(set(receivers.came)) == 1
    with pytest.raises(NotificationUnknown):
        resend(SHOP, sent.notification_id, ports, receivers, "ana@shop.example", NOON)


def test_what_was_sent_is_listed_page_by_page_and_forgotten_after_a_month(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "SHOWN", 2)
    receivers = Receivers()
    for number in range(5):
        tell(ports, receivers, data=an_action(number))
        tell(ports, receivers, SHOP, data=an_action(number))
    found: list[str] = []
    while page := listed(CRM, ports, found[-1] if found else ""):
        assert {one.endpoint for one in page} == {"crm"}
        found += [one.notification_id for one in page]
    assert sorted(found) == found
    assert set(found) == {one for name, one, _ in receivers.came if name == "crm"}
    [kept, *_] = ports.documents.scan(flow.NOTIFICATIONS, 1)
    assert kept.document["expires_at"] == NOON + KEPT


def test_a_message_that_is_none_of_ours_is_unreadable(ports: Ports) -> None:
    for data in (b"[]", b"{}", b'{"action_id": 1}', b"\xff"):
        with pytest.raises(Unreadable):
            tell(ports, Receivers(), data=data)


@settings(max_examples=25, deadline=None)
@given(
    order=st.lists(st.tuples(st.sampled_from([CRM, SHOP]), st.integers(0, 2)), max_size=14),
    statuses=st.lists(st.sampled_from([0, 200, 204, 429, 500]), max_size=10),
)
def test_in_any_order_and_number_of_copies_each_thing_is_taken_once_by_each(
    ports: Ports, order: list[tuple[Endpoint, int]], statuses: list[int]
) -> None:
    nothing(ports)
    receivers = Receivers(*statuses)
    taken: dict[tuple[str, str], int] = {}

    def send(endpoint: Endpoint, notification_id: str, body: str, now: datetime) -> int:
        status = receivers(endpoint, notification_id, body, now)
        taken[(endpoint.name, notification_id)] = taken.get((endpoint.name, notification_id), 0) + (
            status in (200, 204)
        )
        return status

    offered = [*order, *((one, number) for _ in range(11) for one in (CRM, SHOP) for number in range(3))]
    for endpoint, number in offered:
        try:
            notify(endpoint, "payment-actions", an_action(number), {"action": "release"}, NOON, ports, send, NOON)
        except Unavailable:
            continue
    assert set(taken.values()) == {1}
    assert len(taken) == 6
