"""A filter that asks for what nobody says is taken without a complaint, and then it lets nothing pass: so it is told here."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.backends.local.filters import compiled
from shared.contracts import messages
from shared.domain.events import (
    KINDS,
    AnyEvent,
    CanarySent,
    Finder,
    FraudFound,
    FraudWarned,
    PaymentAssessed,
    PaymentChanged,
    PaymentStep,
    PayoutChanged,
    ResourceChanged,
    ReviewChanged,
)
from shared.flows.event_messages import event_message
from shared.fraud.features import ATTEMPT_STEPS
from terraform.tools import tool, vocabulary
from tests.builders import NOON, a_dispute_event, a_payment_event, an_assessment

TOPOLOGY: dict[str, Any] = json.loads((tool.ROOT / "functions" / "topology.json").read_text())
REST: dict[str, Any] = {
    "event_id": "stripe:acct_1:evt_9",
    "provider": "stripe",
    "account": "acct_1",
    "occurred_at": NOON,
}


def every_kind() -> Iterator[AnyEvent]:
    """One event of each kind, of payments one for each step."""
    yield from (a_payment_event(step) for step in PaymentStep)
    yield an_assessment()
    yield a_dispute_event()
    yield FraudWarned(**REST, warning_id="w", payment_id="pi_1")
    yield FraudFound(**REST, payment_id="pi_1", found_by=Finder.REFUND)
    yield ReviewChanged(**REST, payment_id="pi_1", open=True)
    yield PayoutChanged(**REST, payout_id="po", status="paid")
    yield ResourceChanged(**REST, resource="payment", resource_id="pi_1")
    yield CanarySent(**REST)


def test_every_filter_asks_for_what_messages_carry() -> None:
    assert vocabulary.of_topology(TOPOLOGY) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('attributes.step = "refund_fail"', 'track_dispute: filters for step = "refund_fail", which no message has'),
        ('attributes.kind = "disputes"', 'track_dispute: filters for kind = "disputes", which no message has'),
        ('attributes.provider = "strip"', 'track_dispute: filters for provider = "strip", which no message has'),
        ("attributes:sort", "track_dispute: filters by sort, which no message of its topic carries"),
        ('hasPrefix(attributes.stp, "re")', "track_dispute: filters by stp, which no message of its topic carries"),
        ('attributes.job = "train_model"', "track_dispute: filters by job, which no message of its topic carries"),
        ('attribute.kind = "dispute"', "track_dispute: not a subscription filter that we can read: attribute.kind"),
    ],
)
@pytest.mark.parametrize("place", ["filter", "beside"])
def test_a_word_that_no_message_has_is_told(place: str, text: str, sentence: str) -> None:
    topology = json.loads(json.dumps(TOPOLOGY))
    topology["functions"]["track_dispute"][place] = text if place == "filter" else {"refunds": text}
    [told] = vocabulary.of_topology(topology)
    assert told.startswith(sentence)


def test_the_words_are_those_that_are_published() -> None:
    known = messages.attributes("payment-events")
    published = [event_message(event, NOON).attributes for event in every_kind()]
    assert {name for attributes in published for name in attributes} == set(known)
    assert {attributes["kind"] for attributes in published} == set(KINDS)
    for attributes in published:
        assert all((words := known[name]) is None or value in words for name, value in attributes.items())


# What each function does something with: the right word in the wrong place is told too.
ACTED_UPON: dict[str, Callable[[AnyEvent], bool]] = {
    "record_payment": lambda event: isinstance(event, PaymentChanged | ReviewChanged | CanarySent),
    "score_payment": lambda event: (
        isinstance(event, FraudWarned | FraudFound | PaymentAssessed)
        or event_kind(event) == "dispute"
        or (isinstance(event, PaymentChanged) and event.step in ATTEMPT_STEPS)
    ),
    "track_dispute": lambda event: (
        isinstance(event, FraudWarned | FraudFound)
        or event_kind(event) == "dispute"
        or (isinstance(event, PaymentChanged) and event.step in (PaymentStep.REFUNDED, PaymentStep.REFUND_FAILED))
    ),
    "fetch_resource": lambda event: isinstance(event, ResourceChanged),
}


def event_kind(event: AnyEvent) -> str:
    return event_message(event, NOON).attributes["kind"]


@pytest.mark.parametrize("name", ACTED_UPON)
def test_what_a_function_acts_upon_reaches_it_once_and_nothing_else_does(name: str) -> None:
    function = TOPOLOGY["functions"][name]
    filters = [compiled(text) for text in (function["filter"], *function.get("beside", {}).values())]
    for event in every_kind():
        copies = sum(passes(event_message(event, NOON).attributes) for passes in filters)
        assert copies == int(ACTED_UPON[name](event)), event


def test_every_consumer_of_events_is_among_them() -> None:
    assert set(ACTED_UPON) == {name for name, f in TOPOLOGY["functions"].items() if f.get("topic") == "payment-events"}
