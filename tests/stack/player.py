"""Plays the simulated world against a running stack, in virtual time: the providers, the scheduler and the people.

One step of the clock at a time: what providers send within the step leaves, signed, at its end, in `waves`; then, every
few hours, the scheduler ticks, disputes are answered at their providers' desks, and people answer where the platform cannot. Our checkout is part of the
waves: it asks about an attempt at the attempt's own time, and what it turns away its provider never tells of. Whatever
decides is done before what could change its mind is sent: the same seed gives the same decisions and the same model.
"""

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from shared.domain.answers import Act
from shared.domain.codec import decode, encode, utc_text
from shared.domain.disputes import AnswerState, AnswerTold, DisputeReminder, Rung
from shared.domain.events import Alert
from shared.flows.scorer import CHAMPION
from shared.fraud.features import FREE_MAIL
from shared.runtime.disputes import PATH
from tests.simulator.chaos import How, Post, Sending
from tests.simulator.facts import Attempt, Fact, FactKind, ProviderSimulator, SignedRequest
from tests.simulator.service import usage_message
from tests.simulator.world import DAY, HOUR, World
from tests.stack.checkout import Asked, Checkout
from tests.stack.desks import Desks
from tests.stack.identity import identity
from tests.stack.sender import Answered, Sender
from tests.stack.stack import TEAM, Stack

STEP = 4 * HOUR
"""Long enough to keep several requests in flight, short enough that the last reminder, six hours before a deadline,
leaves two hours to act on it."""
ACTS_WITHIN = timedelta(minutes=40)
TRAINS_WITHIN = 120.0

SOMEBODY = "ana@shop.example"

# Which reminder makes the team act, by the dispute's luck: some wait for the last.
_ACTS_ON = ((0.6, Rung.WEEK), (0.8, Rung.THREE_DAYS), (0.93, Rung.DAY), (1.0, Rung.SIX_HOURS))
_LADDER = (Rung.WEEK, Rung.THREE_DAYS, Rung.DAY, Rung.SIX_HOURS)


@dataclass(frozen=True, slots=True)
class Asking:
    """The checkout asks about the attempt that `fact` begins."""

    fact: Fact

    @property
    def at(self) -> datetime:
        return self.fact.at


T = TypeVar("T", bound=Asking | Sending)


def waves(sendings: Iterable[T]) -> list[list[T]]:
    """`sendings` in groups, each to be sent when the functions are done with the one before.

    In a group no two speak of the same payment, card, person, device or address, so that what a decision sees of them
    does not depend on who was quicker; and two that do keep their order.
    """
    after: dict[str, int] = {}
    grouped: list[list[T]] = []
    for sending in sendings:
        named = _named_by(sending.fact.attempt)
        wave = max(after.get(name, 0) for name in named)
        after |= dict.fromkeys(named, wave + 1)
        if wave == len(grouped):
            grouped.append([])
        grouped[wave].append(sending)
    return grouped


def _named_by(attempt: Attempt) -> list[str]:
    """Of mail domains those that are no one's in particular have no history."""
    domain = attempt.email.rpartition("@")[2]
    names = (attempt.id, attempt.customer, attempt.card.token, attempt.device, attempt.ip)
    return [name for name in (*names, None if domain in FREE_MAIL else domain) if name]


@dataclass(slots=True)
class Sent:
    """What happened on the wire. `bodies`: distinct accepted ones. `told`: what we could read of each attempt, and when
    we first could."""

    answers: Counter[tuple[How, int]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    accepted_at: list[tuple[datetime, str]] = field(default_factory=list)
    refused_at: list[datetime] = field(default_factory=list)
    told: dict[str, dict[FactKind, datetime]] = field(default_factory=dict)
    bodies: set[tuple[str, bytes]] = field(default_factory=set)

    def note(self, sending: Sending, answer: Answered, now: datetime) -> None:
        self.answers[sending.how, answer.status] += 1
        if answer.failed:
            return
        self.seconds.append(answer.seconds)
        if answer.accepted:
            self.accepted_at.append((now, sending.provider))
            self.bodies.add((sending.provider, sending.body))
            if sending.how is not How.UNREADABLE:
                self.told.setdefault(sending.fact.attempt.id, {}).setdefault(sending.fact.kind, now)
        else:
            self.refused_at.append(now)

    def count(self, *how: How, accepted: bool) -> int:
        return sum(
            number
            for (kind, status), number in self.answers.items()
            if kind in how and (200 <= status < 300) is accepted and 0 < status < 500
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """When the operators do what, as offsets from the story's start.

    train: the model is fitted on all before, and decides from then on. rotate: providers begin to sign with their
    next key. kill: `record_payment` is killed in the middle of its work. keep: what stands then is kept for people to look at.
    """

    train: timedelta
    rotate: timedelta
    kill: timedelta
    keep: timedelta
    training: Mapping[str, object] = field(default_factory=dict)


class Player:
    """`facts` are those that providers told of so far; `disputes`, by the ids that providers give them, those among
    them; `reminders`, `told`: what the team received; `parked`: disputes that only people can answer, and why;
    `by_people`: those that they answered, and the reminder on which they did; `can_be_answered`: disputes whose provider
    takes an answer, of which we could hear; `won`: those that were decided for us; `not_taken`: what was taken at a desk and
    is none of the world's answers; `asked`: what the checkout asked, by attempt; `given_back`: what was refunded because its
    issuer had warned of it, by us and by_hand; `paid_twice`: of that, what was disputed or refunded already."""

    def __init__(
        self,
        stack: Stack,
        world: World,
        post: Post,
        simulators: Mapping[str, ProviderSimulator],
        desks: Desks,
        plan: Plan,
    ) -> None:
        self.sent = Sent()
        self.facts: list[Fact] = []
        self.disputes: dict[tuple[str, str], Fact] = {}
        self.reminders: list[tuple[datetime, DisputeReminder]] = []
        self.told: list[tuple[datetime, AnswerTold]] = []
        self.parked: dict[tuple[str, str], AnswerTold] = {}
        self.by_people: dict[tuple[str, str], Rung] = {}
        self.can_be_answered: set[tuple[str, str]] = set()
        self.won: set[tuple[str, str]] = set()
        self.not_taken: list[str] = []
        self.asked: dict[str, Asked] = {}
        self.given_back: dict[str, bool] = {}
        self.paid_twice: list[str] = []
        self._warned: dict[tuple[str, str], Attempt] = {}
        self.trained_at: datetime | None = None
        self.not_trained = ""
        self.ticks = 0
        self.desks = desks
        self._busy = False
        self._opened: dict[tuple[str, str], str] = {}
        self._stack, self._world, self._post, self._simulators, self._plan = stack, world, post, simulators, plan
        self._sender = Sender(stack.urls["webhook"])
        self._checkout = Checkout(stack.urls["assess_payment"], stack.settings, simulators)
        self._dashboard = Sender(stack.urls["manage_dispute"], at_once=1)

    def play(self, outages: Iterable[tuple[timedelta, timedelta]], show: Callable[[datetime, str], None]) -> None:
        """The whole story, and then whatever still waits: late retries, undelivered messages, rows to be stored."""
        start, plan = self._world.start, self._plan
        due: list[tuple[datetime, Callable[[datetime], None]]] = [
            (start + plan.train, self._train),
            (start + plan.rotate, self._rotate),
            *((start + begin, self._go_down) for begin, _ in outages),
            *((start + end, self._come_back) for _, end in outages),
        ]
        due.sort(key=lambda entry: entry[0])
        now = start
        while now < self._world.end or self._post.waiting:
            now += STEP
            while due and due[0][0] <= now:
                due.pop(0)[1](now)
            self._stack.set_clock(now)
            self._send(now)
            if now - STEP < start + plan.kill <= now:  # what it has just been sent is not done
                self._kill()
            self._tick(now)
            if (now - start) % DAY < STEP:
                self._stack.tick("canary")
                self._stack.drain()
                self._stack.store()
            if now - STEP < start + plan.keep <= now:
                self._stack.tick("monitor_model")
                self._stack.drain()
                self._stack.store()
                self._stack.keep()
            show(
                now,
                f"{len(self.facts):,} facts, {len(self.sent.seconds):,} deliveries, {len(self.reminders)} reminders",
            )
        self._stack.drain()
        self._stack.store()
        self._sender.close()
        self._checkout.close()
        self._dashboard.close()

    # -- providers ----------------------------------------------------------------------------------------------

    def _send(self, now: datetime) -> None:
        happened = list(self._world.until(now))
        said = self._hear(happened)
        asking = [Asking(fact) for fact in happened if self._checkout.asks(fact)]
        due: list[Asking | Sending] = [*asking, *self._post.until(now)]
        for wave in waves(sorted(due, key=lambda one: one.at)):
            self._settle()
            self._ask([one.fact for one in wave if isinstance(one, Asking)], now)
            sendings = self._still_true([one for one in wave if isinstance(one, Sending)])
            requests = [sending.request(self._simulators[sending.provider], now) for sending in sendings]
            for sending, answer in zip(sendings, self._sender.send_all(requests), strict=True):
                self.sent.note(sending, answer, now)
                self._busy = self._busy or answer.accepted
                if answer.failed:
                    self._post.retry(sending, now)
        self.facts += [fact for fact in said if not self._turned_away(fact)]

    def _ask(self, begun: Sequence[Fact], now: datetime) -> None:
        """Each at its own time, which is the door's only clock."""
        for fact in begun:
            self._stack.set_clock(fact.at)
            asked = self._checkout.ask(fact, self._world.proves(fact.attempt))
            self.asked[fact.attempt.id] = asked
            (self._world.let_through if asked.let_through else self._world.turn_away)(fact.attempt)
            self._busy = True
        if begun:
            self._stack.set_clock(now)

    def _still_true(self, sendings: Iterable[Sending]) -> list[Sending]:
        """Those of payments that were made."""
        kept = []
        for sending in sendings:
            if self._turned_away(sending.fact):
                self._post.withdraw(sending)
            else:
                kept.append(sending)
        return kept

    def _turned_away(self, fact: Fact) -> bool:
        asked = self.asked.get(fact.attempt.id)
        return asked is not None and not asked.let_through

    def _settle(self) -> None:
        """Wait until the functions are done with what they were sent."""
        if self._busy:
            self._stack.drain()
            self._busy = False

    def _hear(self, happened: list[Fact]) -> list[Fact]:
        """What happened, as far as the providers would say it. A dispute opens at its provider's desk, and the service tells
        what it knows of the subscriber."""
        said = self._post.take(happened)
        for fact in said:
            if fact.dispute is not None:
                self.disputes.setdefault(self._named(fact), fact)
        self.won |= {self._named(fact) for fact in happened if fact.kind is FactKind.DISPUTE_WON}
        for fact in happened:
            if fact.kind is FactKind.FRAUD_WARNED:
                simulator = self._simulators[fact.attempt.provider]
                self._warned[fact.attempt.provider, simulator.payment_id(fact.attempt)] = fact.attempt
                self.desks.warn(fact, simulator)
            if fact.kind is FactKind.DISPUTE_OPENED and fact.dispute is not None:
                self._opened[self._named(fact)] = fact.dispute.id
                simulator = self._simulators[fact.attempt.provider]
                if simulator.habits.takes_answers:
                    self.can_be_answered.add(self._named(fact))
                self.desks.open(fact, simulator)
                self._stack.tell("keep_evidence", "usage-evidence", usage_message(self._world, fact))
                self._busy = True
        return said

    def _named(self, fact: Fact) -> tuple[str, str]:
        """The dispute of `fact`, as our events name it."""
        assert fact.dispute is not None, f"{fact.kind} is no news of a dispute"
        return fact.attempt.provider, self._simulators[fact.attempt.provider].dispute_id(fact.dispute)

    # -- the scheduler and the team -----------------------------------------------------------------------------

    def _tick(self, now: datetime) -> None:
        """check_deadlines runs on all that came, and answers go to their providers. Then people read what they were told;
        those whose turn it is answer at once, within minutes."""
        self._settle()
        self._stack.tick("check_deadlines")
        self._stack.drain()
        self.ticks += 1
        answers = self._taken() + self._refunded()
        waiting = self._stack.take(TEAM)
        for message in waiting:
            if message.attributes["action"] == "answer_told":
                answers += self._read(decode(message.data, AnswerTold), now)
        for message in waiting:
            if message.attributes["action"] == "remind":
                reminder = decode(message.data, DisputeReminder)
                self.reminders.append((now, reminder))
                answers += self._act_on(reminder, now)
        if answers:
            self._stack.set_clock(now + ACTS_WITHIN)
            self._send(now + ACTS_WITHIN)

    def _taken(self) -> int:
        """The world goes on with what its providers were told."""
        answers = 0
        for provider, taken in self.desks.news():
            dispute = self._opened[provider, taken.dispute_id]
            act = self._world.accept if taken.act is Act.ACCEPT else self._world.answer
            if act(dispute, taken.at):
                answers += 1
            else:
                self.not_taken.append(f"{provider} {taken.dispute_id}")
        return answers

    def _refunded(self) -> int:
        """Who was warned of has the money back, and the world goes on with that."""
        refunds = list(self.desks.refunded())
        for provider, refund in refunds:
            self._give_back(provider, refund.payment_id, refund.at, by_hand=False)
        return len(refunds)

    def _give_back(self, provider: str, payment_id: str, at: datetime, *, by_hand: bool) -> bool:
        attempt = self._warned[provider, payment_id]
        if not self._world.give_back(attempt, at):
            if not by_hand:
                self.paid_twice.append(f"{provider} {payment_id}")
            return False
        self.given_back[attempt.id] = by_hand
        return True

    def _read(self, told: AnswerTold, now: datetime) -> bool:
        """Whether somebody acted at once: what is to be refunded, and not by us."""
        self.told.append((now, told))
        if told.state is not AnswerState.PARKED:
            return False
        if not told.dispute_id.startswith(Alert.REPORT):
            self.parked[told.provider, told.dispute_id] = told
            return False
        at, refunds = now + timedelta(minutes=5), told.code == "no_api" and told.payment_id is not None
        if not refunds or not self._give_back(told.provider, told.payment_id or "", at, by_hand=True):
            return False
        self._write_down((told.provider, told.dispute_id), at, Act.ACCEPT)
        return True

    def _act_on(self, reminder: DisputeReminder, now: datetime) -> bool:
        """Whether somebody answered at the provider's own pages, and wrote that down."""
        named = (reminder.provider, reminder.dispute_id)
        opened = self.disputes.get(named)
        if opened is None or opened.dispute is None or named not in self.parked:
            return False
        at = now + timedelta(minutes=5)
        if not self._in_turn(opened.dispute.id, reminder) or not self._world.answer(opened.dispute.id, at):
            return False
        self.by_people[named] = reminder.rung
        self._write_down(named, at)
        return True

    def _in_turn(self, dispute_id: str, reminder: DisputeReminder) -> bool:
        """Whether this reminder makes somebody act. Nobody waits for a deadline that is only guessed."""
        if reminder.deadline_estimated:
            return True
        luck = self._world.luck_of(dispute_id)
        acts_on = next(rung for most, rung in _ACTS_ON if luck < most)
        return _LADDER.index(reminder.rung) >= _LADDER.index(acts_on)

    def _write_down(self, named: tuple[str, str], at: datetime, act: Act = Act.SUBMIT) -> None:
        """Raises RuntimeError where it is not taken: there is nothing that a person could do about that."""
        self._stack.set_clock(at)
        record = {
            "provider": named[0],
            "dispute_id": named[1],
            "reason": "answered on the provider's own pages",
            "act": act.value,
            "at": utc_text(at),
        }
        headers = {"Content-Type": "application/json", **identity(SOMEBODY)}
        answer = self._dashboard.send(SignedRequest(f"{PATH}/record", headers, json.dumps(record).encode()))
        if answer.status != 200:
            raise RuntimeError(f"manage_dispute answers {answer.status} about {named}: {answer.body!r}")

    # -- the operators ------------------------------------------------------------------------------------------

    def _train(self, now: datetime) -> None:
        self._stack.drain()
        self._stack.store()
        self._stack.tick("train_model", encode(self._plan.training))
        self._stack.drain()
        until = time.monotonic() + TRAINS_WITHIN
        log = self._stack.home / "logs" / "train_model.log"
        while self._stack.ports.documents.get([CHAMPION]) == [None]:
            refused = re.search(
                r'"event":"(?:training_refused|request_failed|model_trained".*"promoted":false).*',
                log.read_text(encoding="utf-8"),
            )
            if refused or time.monotonic() > until:
                # Rules alone go on deciding, as they would in earnest.
                self.not_trained = refused[0][:600] if refused else f"no champion; see {log}"
                return
            time.sleep(0.1)
        for name in ("score_payment", "assess_payment"):
            self._stack.stop(name)
            self._stack.start(name, PAYIN_MODEL="champion")
        self.trained_at = now

    def _rotate(self, now: datetime) -> None:
        for simulator in self._simulators.values():
            simulator.rotate()

    def _kill(self) -> None:
        self._stack.stop("record_payment", signal.SIGKILL)
        self._stack.start("record_payment")

    def _go_down(self, now: datetime) -> None:
        self._stack.stop("webhook")

    def _come_back(self, now: datetime) -> None:
        self._stack.start("webhook")
