"""What is injected is counted, comes from the seed, and is what it says."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from shared.domain.errors import Unreadable
from shared.providers import names
from tests.providers.kits import a_fact, a_kit
from tests.simulator.chaos import CALM, Chaos, How, Post, Sending, broken_copy
from tests.simulator.facts import Attempt, Fact, FactKind, Habits, SignedRequest, SimulatedDispute
from tests.simulator.world import DAY, SCALES, World


class Plain:
    """A provider that says each fact in one body and signs with a word."""

    name = "stripe"
    habits = Habits()

    def environment(self) -> dict[str, str]:
        return {}

    def requests(self, fact: Fact) -> list[bytes]:
        return [json.dumps({"id": fact.attempt.id, "kind": fact.kind.value, "at": fact.at.isoformat()}).encode()]

    def sign(self, body: bytes, at: datetime) -> SignedRequest:
        return SignedRequest("/stripe", {"signed": at.isoformat()}, body)

    def forge(self, body: bytes, at: datetime) -> SignedRequest:
        return SignedRequest("/stripe", {"signed": "no"}, body)

    def rotate(self) -> None:
        pass

    def payment_id(self, attempt: Attempt) -> str:
        return attempt.id

    def dispute_id(self, dispute: SimulatedDispute) -> str:
        return dispute.id


def sendings(chaos: Chaos, seed: int = 3) -> tuple[Post, list[Sending], list[Fact]]:
    world = World(SCALES["short"], 5, ["stripe"])
    facts = list(world.until(world.end))
    post = Post(chaos, seed, {"stripe": Plain()}, world.end)
    assert post.take(facts) == facts
    return post, list(post.until(world.end + 60 * DAY)), facts


def test_a_calm_internet_delivers_every_body_once_in_order() -> None:
    post, sent, facts = sendings(CALM)
    assert [one.fact for one in sent] == facts
    assert not post.injected


def test_what_was_injected_is_what_was_counted() -> None:
    post, sent, facts = sendings(Chaos())
    by_how = Counter(one.how for one in sent)
    for how in (How.DUPLICATE, How.MONTH_LATE, How.FORGED, How.UNREADABLE):
        assert by_how[how] == post.injected[how.value] > 0
    assert sum(one.skew != timedelta() for one in sent if one.how is How.FIRST) <= post.injected["skewed"]
    # Nothing is lost: whatever has no first delivery comes a month late.
    arriving = {one.body for one in sent if one.how in (How.FIRST, How.MONTH_LATE)}
    assert len(arriving) == len(facts)


def test_the_same_seed_makes_the_same_chaos() -> None:
    assert sendings(Chaos())[1] == sendings(Chaos())[1]
    assert sendings(Chaos(), seed=4)[1] != sendings(Chaos())[1]


def test_sendings_leave_in_order_of_time_and_none_before_its_fact() -> None:
    _, sent, _ = sendings(Chaos())
    assert [one.at for one in sent] == sorted(one.at for one in sent)
    assert all(one.at > one.fact.at for one in sent)


def test_a_dispute_is_never_first_told_a_month_late() -> None:
    _, sent, _ = sendings(replace(CALM, month_late=1.0))
    first = {one.body for one in sent if one.how is How.FIRST}
    disputes = [one for one in sent if one.fact.kind is FactKind.DISPUTE_OPENED]
    assert disputes
    assert all(one.body in first for one in disputes)


def test_a_forgery_is_not_signed_and_a_retry_is_signed_again() -> None:
    post, [sending, *_], _ = sendings(CALM)
    now = sending.at + DAY
    assert replace(sending, how=How.FORGED).request(Plain(), now).headers == {"signed": "no"}
    post.retry(sending, now)
    [again] = list(post.until(now + DAY))
    assert again.at > now
    assert again.body == sending.body
    assert again.request(Plain(), again.at).headers == {"signed": again.at.isoformat()}


def test_retries_come_ever_less_often() -> None:
    post, [sending, *_], _ = sendings(CALM)
    now, waits = sending.at, []
    for _ in range(6):
        post.retry(sending, now)
        [sending] = list(post.until(now + DAY))
        waits.append(sending.at - now)
        now = sending.at
    assert waits == sorted(waits)
    assert waits[0] == timedelta(minutes=5)
    assert waits[-1] == timedelta(hours=6)


@pytest.mark.parametrize("name", names())
def test_a_broken_copy_is_authentic_and_cannot_be_read(name: str, tmp_path: Path) -> None:
    kit = a_kit(name, tmp_path)
    for body in kit.simulator.requests(a_fact(FactKind.CAPTURED)) + kit.simulator.requests(a_fact(FactKind.DECLINED)):
        delivery = kit.signed(broken_copy(kit.simulator, body))
        verdict = kit.verify(delivery)
        try:
            assert kit.normalize(delivery, verdict).unreadable
        except Unreadable:
            continue


def test_what_was_done_to_a_sending_that_never_left_is_not_counted() -> None:
    post, sent, _ = sendings(Chaos())
    for one in sent:
        post.withdraw(one)
    assert sum(post.injected.values()) == 0
