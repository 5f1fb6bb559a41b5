"""Cards, customers, devices and addresses on a list, for real on SQLite: what is said of them decides, and is no history."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.codec import decode, encode
from shared.domain.decisions import Action, Decision, HistoryState, Listed, Outcome
from shared.domain.errors import Rejected
from shared.domain.events import PaymentAssessed, PaymentChanged
from shared.flows.assess_payment import settle
from shared.flows.book_of_rules import publish_book
from shared.flows.listing import LONGEST_ENTRY, ListedEntity, list_entity, listed_entities, listed_entity, take_back
from shared.flows.ports import Documents, Key, Ports, Write
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.book import Contents
from shared.fraud.decide import recompute
from shared.fraud.lists import LONGEST_SNOOZE, Entry
from tests.builders import DAY, MINUTE, NOON, SECOND, a_card, a_payment_event, an_assessment
from tests.flows.counting import Counting
from tests.flows.test_assess_payment import assess
from tests.flows.test_book_of_rules import a_rule
from tests.local import everything, published, wipe

COLLECTIONS = ("decisions", "feature_state", "lists", "known_frauds", "assessments", "registry", "rule_books")
MICROSECOND = timedelta(microseconds=1)
OF_ITS_KIND = {"card": "fp_1", "customer": "cus_1", "device": "dev_1", "ip": "203.0.113.7"}


def an_entry(**changes: Any) -> Entry:
    made: dict[str, Any] = {
        "action": Action.BLOCK,
        "kind": "card",
        "value": "fp_1",
        "until": NOON + 30 * DAY,
        "owner": "risk",
        "reason": "a mule",
    }
    return Entry(**made | changes)


def put(ports: Ports, at: datetime = NOON, **changes: Any) -> ListedEntity:
    return list_entity(ports, an_entry(**changes), at, author="ana")


def back(ports: Ports, at: datetime = NOON, action: Action = Action.BLOCK, rule: str | None = None) -> ListedEntity:
    return take_back(ports, "card", "fp_1", action, rule, at, author="ben", reason="a mistake")


def score(ports: Ports, *events: PaymentChanged) -> list[Decision]:
    scorer = Scorer(use_model=False)
    for event in events:
        score_payment(event, ports, event.occurred_at, scorer)
    return [decode(msgspec.json.encode(row), Decision) for row in published(ports, "fraud-decisions")]


def state(ports: Ports, name: str = "card:fp_1") -> dict[str, Any]:
    return everything(ports, COLLECTIONS).get(Key("feature_state", name), {})


@pytest.mark.parametrize(("kind", "value"), OF_ITS_KIND.items())
def test_whoever_is_blocked_is_declined_at_either_door_and_the_decision_says_by_what(
    kind: str, value: str, ports: Ports
) -> None:
    put(ports, kind=kind, value=value)
    [told] = score(ports, a_payment_event())
    asked = assess(ports, an_assessment(merchant_reference="another")).decision
    for decision in (told, asked):
        assert decision.outcome is Outcome.DECLINE
        assert decision.listed == (Listed(action=Action.BLOCK, kind=kind),)
        assert [reason.code for reason in decision.reasons] == [f"block_{kind}"]
        assert encode(recompute(decision, None)) == encode(decision)


def test_whoever_is_allowed_passes_what_a_rule_would_review(ports: Ports) -> None:
    publish_book(ports, Contents(rules=(a_rule(),)), NOON, after=None, author="ana", why="a wave")
    put(ports, action=Action.ALLOW)
    [passed, reviewed] = score(
        ports, a_payment_event(), a_payment_event(payment_id="pi_2", card=a_card(fingerprint="2"))
    )
    assert [passed.outcome, reviewed.outcome] == [Outcome.APPROVE, Outcome.REVIEW]


def test_an_entry_says_nothing_any_more_at_its_instant(ports: Ports) -> None:
    put(ports)
    until = NOON + 30 * DAY
    last, first = score(
        ports,
        a_payment_event(payment_id="pi_1", occurred_at=until - MICROSECOND),
        a_payment_event(payment_id="pi_2", occurred_at=until),
    )
    assert (last.outcome, first.outcome, first.listed) == (Outcome.DECLINE, Outcome.APPROVE, ())
    assert listed_entity(ports.documents, "card", "fp_1").standing(until - MICROSECOND) != {}
    assert listed_entity(ports.documents, "card", "fp_1").standing(until) == {}


def test_whom_only_a_list_names_was_never_seen_and_neither_once_it_is_taken_back(ports: Ports) -> None:
    for kind, value in OF_ITS_KIND.items():
        put(ports, kind=kind, value=value)
    back(ports)
    [decision] = score(ports, a_payment_event())
    assert {one.state for one in decision.history} == {HistoryState.NEW}
    assert [one.kind for one in decision.listed] == ["customer", "device", "ip"]
    assert {one.value for one in decision.features if one.name.startswith(("card_", "since_"))} == {None}


LISTINGS: tuple[Callable[[Ports, datetime], object], ...] = (
    lambda ports, at: put(ports, at, until=at + 300 * DAY),
    lambda ports, at: put(ports, at, action=Action.ALLOW, until=at + 2 * DAY),
    lambda ports, at: put(ports, at, kind="device", value="dev_1", until=at + MINUTE),
    lambda ports, at: put(ports, at, kind="ip", value="203.0.113.7", until=at + LONGEST_ENTRY),
    lambda ports, at: put(ports, at, kind="customer", value="cus_1", until=at + DAY),
)


def _or_not(listing: Callable[[], object]) -> None:
    try:
        listing()
    except Rejected as error:
        assert "nothing of this kind" in str(error)  # noqa: PT017 - whether it stands is the strategy's draw


@given(
    st.lists(st.tuples(st.integers(0, 40 * 1440), st.integers(0, 5), st.booleans()), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 40 * 1440), st.integers(0, len(LISTINGS))), max_size=8),
)
@settings(max_examples=15, deadline=None)
def test_however_entities_are_listed_and_taken_back_between_payments_their_history_is_what_it_would_have_been(
    shared_ports: Ports, payments: Sequence[tuple[int, int, bool]], listings: Sequence[tuple[int, int]]
) -> None:
    def event(number: int) -> PaymentChanged:
        minute, card, late = payments[number]
        at = NOON + (minute - 30 * 1440 * late) * MINUTE
        return a_payment_event(
            payment_id=f"pi_{number}",
            event_id=f"stripe:a:{number}",
            occurred_at=at,
            card=a_card(fingerprint=f"fp_{card}"),
        )

    def run(listed: bool) -> tuple[list[Decision], dict[Key, dict[str, Any]]]:
        steps: list[tuple[int, Callable[[], object]]] = [
            (payments[number][0], partial(score_payment, event(number), shared_ports, NOON, Scorer(use_model=False)))
            for number in range(len(payments))
        ]
        for minute, which in listings if listed else ():
            at = NOON + minute * MINUTE
            act = LISTINGS[which] if which < len(LISTINGS) else back
            steps += [(minute, partial(_or_not, partial(act, shared_ports, at)))] * 2
        for _, step in sorted(steps, key=lambda one: one[0]):
            step()
        decisions = [decode(msgspec.json.encode(row), Decision) for row in published(shared_ports, "fraud-decisions")]
        return decisions, wipe(shared_ports, COLLECTIONS)

    without, plain = run(listed=False)
    with_lists, listed = run(listed=True)
    assert [(one.features, one.history) for one in with_lists] == [(one.features, one.history) for one in without]
    for key, document in listed.items():
        if key.collection == "feature_state":
            kept = {name: value for name, value in document.items() if name not in ("listed", "expires_at")}
            assert kept == {name: value for name, value in plain.get(key, {}).items() if name != "expires_at"}
            assert document["expires_at"] >= max(document.get("listed", {}).values(), default=document["expires_at"])
    for decision in with_lists:
        assert encode(recompute(decision, None)) == encode(decision)


@given(st.permutations(range(4)), st.lists(st.integers(0, 3), max_size=4))
@settings(max_examples=10, deadline=None)
def test_entries_on_one_entity_stand_beside_each_other_in_any_order_and_however_often_they_are_sent(
    shared_ports: Ports, order: list[int], repeated: list[int]
) -> None:
    rules = ("known_fraud_on_card", "card_testing_on_device")
    entries: list[dict[str, Any]] = [
        {"action": Action.BLOCK},
        {"action": Action.ALLOW, "until": NOON + DAY},
        *({"action": Action.SNOOZE, "rule": rule} for rule in rules),
    ]
    for place in (*order, *repeated):
        put(shared_ports, **entries[place])
    documents = wipe(shared_ports, COLLECTIONS)
    names = {"allow", "block", *(f"snooze:{rule}" for rule in rules)}
    assert set(documents[Key("feature_state", "card:fp_1")]["listed"]) == names
    assert len(documents[Key("lists", "card:fp_1")]["changes"]) == 4


@pytest.mark.parametrize("late", [timedelta(0), 100 * DAY])
def test_an_entry_outlives_the_history_beside_it_whichever_comes_first(late: timedelta, ports: Ports) -> None:
    score(ports, a_payment_event(occurred_at=NOON - 200 * DAY))
    put(ports, until=NOON + LONGEST_ENTRY)
    assert state(ports)["expires_at"] == NOON + LONGEST_ENTRY
    put(ports, kind="device", value="dev_2", until=NOON + LONGEST_ENTRY)
    score(ports, a_payment_event(payment_id="pi_2", device_id="dev_2", occurred_at=NOON - late))
    for name in ("card:fp_1", "device:dev_2"):
        assert state(ports, name)["expires_at"] >= NOON + LONGEST_ENTRY
        assert state(ports, name)["listed"] == {"block": NOON + LONGEST_ENTRY}


class Beside:
    """`inner`, where somebody else does `first` before the first commit."""

    def __init__(self, inner: Documents, first: Callable[[], object]) -> None:
        self._inner, self._first = inner, [first]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, writes: Sequence[Write]) -> None:
        while self._first:
            self._first.pop()()
        self._inner.commit(writes)


@pytest.mark.parametrize("days_late", [0, 34])
def test_a_payment_that_is_counted_at_the_same_moment_loses_neither_itself_nor_the_entry(
    days_late: int, ports: Ports
) -> None:
    payment = a_payment_event(occurred_at=NOON - days_late * DAY)
    long = {"until": NOON + LONGEST_ENTRY}
    beside = replace(ports, documents=Beside(ports.documents, lambda: put(ports, **long)))
    score_payment(payment, beside, NOON, Scorer(use_model=False))
    beside = replace(ports, documents=Beside(ports.documents, lambda: score(ports, a_payment_event(payment_id="pi_2"))))
    put(beside, action=Action.ALLOW, **long)
    document = state(ports)
    assert document["ever"]["payments"] == 2
    assert set(document["listed"]) == {"block", "allow"}
    assert document["expires_at"] >= NOON + LONGEST_ENTRY


def test_two_who_list_one_entity_at_once_both_stand_and_both_are_in_the_audit(ports: Ports) -> None:
    beside = replace(ports, documents=Beside(ports.documents, lambda: put(ports, action=Action.ALLOW)))
    entity = put(beside)
    assert [change.action for change in entity.changes] == [Action.ALLOW, Action.BLOCK]
    assert set(state(ports)["listed"]) == {"allow", "block"}


def test_lists_cost_a_decision_no_read_and_no_commit(ports: Ports) -> None:
    put(ports)
    counting = Counting(ports.documents)
    score(replace(ports, documents=counting), a_payment_event())
    assert (counting.reads, counting.commits) == (1, 1)


def test_a_request_that_is_counted_late_keeps_what_lists_said_when_it_was_answered(ports: Ports) -> None:
    put(ports)
    answered = assess(ports, an_assessment()).decision
    [row] = published(ports, "payment-events")
    wipe(ports, ("decisions",))
    back(ports, NOON + SECOND)
    settle(decode(msgspec.json.encode(row), PaymentAssessed), ports)
    [told] = [decode(msgspec.json.encode(row), Decision) for row in published(ports, "fraud-decisions")]
    assert (told.outcome, told.listed) == (Outcome.DECLINE, answered.listed)


def test_a_snoozed_rule_says_nothing_for_whom_it_is_snoozed_and_the_decision_says_so(ports: Ports) -> None:
    rules = (a_rule(), a_rule("other", outcome=Outcome.CHALLENGE))
    publish_book(ports, Contents(rules=rules), NOON, after=None, author="ana", why="a wave")
    put(ports, action=Action.SNOOZE, rule="any_amount", until=NOON + LONGEST_SNOOZE)
    until = NOON + LONGEST_SNOOZE
    snoozed, other, over = score(
        ports,
        a_payment_event(occurred_at=until - MICROSECOND),
        a_payment_event(payment_id="pi_2", card=a_card(fingerprint="fp_2"), occurred_at=until - MICROSECOND),
        a_payment_event(payment_id="pi_3", occurred_at=until),
    )
    assert snoozed.listed == (Listed(action=Action.SNOOZE, kind="card", rule="any_amount"),)
    assert [reason.code for reason in snoozed.reasons] == ["snoozed_any_amount", "other"]
    assert [one.outcome for one in (snoozed, other, over)] == [Outcome.CHALLENGE, Outcome.REVIEW, Outcome.REVIEW]


def test_a_rule_is_snoozed_for_a_class_in_the_book(ports: Ports) -> None:
    entry = an_entry(action=Action.SNOOZE, kind="country", value="DE", rule="any_amount")
    contents = Contents(rules=(a_rule(),), entries=(entry,))
    publish_book(ports, contents, NOON, after=None, author="ana", why="a partner")
    [decision] = score(ports, a_payment_event())
    assert (decision.outcome, decision.listed) == (
        Outcome.APPROVE,
        (Listed(action=Action.SNOOZE, kind="country", rule="any_amount"),),
    )
    for wrong in (replace(entry, rule="nobody"), replace(entry, until=NOON + LONGEST_SNOOZE + SECOND)):
        with pytest.raises(Rejected, match=r"not in the book|180 days"):
            publish_book(ports, replace(contents, entries=(wrong,)), NOON, after=1, author="ana", why="a partner")


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::/64", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
    ],
)
def test_an_address_is_listed_as_its_history_is_kept(value: str, kept: str, ports: Ports) -> None:
    assert put(ports, kind="ip", value=value).value == kept
    assert listed_entity(ports.documents, "ip", value).changes != ()
    ip = kept.removesuffix("::/64") + (":9::9" if "/" in kept else "")
    assert [one.outcome for one in score(ports, a_payment_event(ip=ip))] == [Outcome.DECLINE]


def test_who_said_what_and_when_is_kept_and_forgotten_with_the_entity(ports: Ports) -> None:
    put(ports)
    put(ports, NOON + DAY, reason="a gang", until=NOON + 60 * DAY)
    entity = back(ports, NOON + 2 * DAY)
    assert [(one.at, one.author, one.reason, one.until) for one in entity.changes] == [
        (NOON, "ana", "a mule", NOON + 30 * DAY),
        (NOON + DAY, "ana", "a gang", NOON + 60 * DAY),
        (NOON + 2 * DAY, "ben", "a mistake", None),
    ]
    assert everything(ports, COLLECTIONS)[Key("lists", "card:fp_1")]["expires_at"] == NOON + 460 * DAY
    put(ports, kind="device", value="dev:1")
    assert [one.value for one in listed_entities(ports.documents, after="", limit=9)] == ["fp_1", "dev:1"]
    assert [one.value for one in listed_entities(ports.documents, after="card:fp_1", limit=9)] == ["dev:1"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "country", "value": "DE"}, "stand in the book"),
        ({"kind": "shoe", "value": "43"}, "there are: card, customer, device, ip"),
        ({"value": "4242424242424242"}, "card's number"),
        ({"kind": "customer", "value": "ana@music.example"}, "card's number or an e-mail"),
        ({"kind": "ip", "value": "2001:db8::/48"}, "by its /64"),
        ({"kind": "ip", "value": "somewhere"}, "an address"),
        ({"until": NOON}, "lies ahead"),
        ({"until": NOON + LONGEST_ENTRY + MICROSECOND}, "365 days"),
        ({"action": Action.SNOOZE, "rule": "known_fraud_on_card", "until": NOON + LONGEST_SNOOZE + SECOND}, "180 days"),
        ({"action": Action.SNOOZE, "rule": "nobody"}, "called nobody"),
    ],
)
def test_what_cannot_be_listed_is_answered_and_nothing_is_written(
    changes: dict[str, Any], says: str, ports: Ports
) -> None:
    with pytest.raises(Rejected, match=says):
        put(ports, **changes)
    assert everything(ports, COLLECTIONS) == {}


def test_what_does_not_stand_is_not_taken_back(ports: Ports) -> None:
    put(ports, until=NOON + DAY)
    for at, action in ((NOON, Action.ALLOW), (NOON + DAY, Action.BLOCK)):
        with pytest.raises(Rejected, match="nothing of this kind"):
            back(ports, at, action)


def test_one_entity_has_twenty_entries_at_most(ports: Ports) -> None:
    rules = tuple(a_rule(f"rule_{number}") for number in range(21))
    publish_book(ports, Contents(rules=rules), NOON, after=None, author="ana", why="a wave")
    for rule in rules[:20]:
        put(ports, action=Action.SNOOZE, rule=rule.code)
    with pytest.raises(Rejected, match="no more"):
        put(ports, action=Action.SNOOZE, rule="rule_20")
    assert len(state(ports)["listed"]) == 20
