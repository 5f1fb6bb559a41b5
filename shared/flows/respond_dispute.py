"""Answer a dispute: decided, announced, sent step by step, proved. At the provider it happens once, whatever dies in between.

Before the step that counts its intent is written down, and after it what the provider said. Where that is missing, nobody
knows whether the step arrived: the dispute is read back first, and the step repeated only if the provider still waits.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.disputes import deadlines, lifecycle
from shared.disputes.alerts import BY, NOTHING_TAKEN, outcome_of
from shared.disputes.refunds import Advice, MayRefund
from shared.domain import timeline
from shared.domain.answers import Act, Contest, Done, Refused, Standing, Step, StepOutcome
from shared.domain.api import ApiCredentials
from shared.domain.codec import encode
from shared.domain.disputes import GIVEN, AlertAnswered, Answer, AnswerAsked, AnswerState, AnswerTold, Dispute
from shared.domain.errors import Misconfigured, Unavailable, Unreadable
from shared.domain.events import Alert
from shared.domain.evidence import Packet
from shared.domain.money import Money
from shared.domain.privacy import mask
from shared.domain.telemetry import alarm, fact
from shared.flows import cases
from shared.flows.apis import Api
from shared.flows.committing import Decision, Seen, change, write
from shared.flows.filing import dispute_of, key_of
from shared.flows.ports import Key, Message, Ports
from shared.flows.responding import Responder, tells_use
from shared.flows.track_dispute import message

TOPIC = "dispute-actions"
# Longer than a run may take, so that whoever comes after it is alone.
LEASE = timedelta(minutes=10)
# A provider may show what it has taken a little later: until then "it waits" proves nothing.
SHOWN_WITHIN = timedelta(minutes=2)
# How long to leave a provider alone that does not answer: doubled each time.
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=2), timedelta(hours=1)
# Some thirty hours of that, and it is a person's.
MOST_TRIES = 40
_MOST_TOLD = 500
# Who answered, where it was not through us.
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do about a dispute. act: None where only a person can say. by: the rule that says it, with its version. why:
    its reasons, in words. due_at: when, at the earliest at once. chance: of winning, low and high; expected: what an answer is worth
    by that; compelling: the network's own rule that the evidence meets. waits: nothing is decided, and
    it is looked at again when it is due."""

    act: Act | None
    by: str
    why: tuple[str, ...]
    due_at: datetime
    chance: tuple[float, ...] = ()
    expected: Money | None = None
    compelling: str | None = None
    completeness: float | None = None
    code: str | None = "for_a_person"
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """What an answer is made of. responder: the provider's module, for alerts that which refunds; None where there is no API for
    it. guard: whether the payment of an alert may be refunded. judge: what to do. prepare: the evidence as it is now. keep: store a packet under its digest, and so that `load` finds it
    for as long as the dispute may be asked about."""

    responder: Callable[[Dispute], Responder | None]
    api: Callable[[Responder], Api]
    judge: Callable[[Dispute, datetime], Verdict]
    prepare: Callable[[Dispute, datetime], Packet]
    keep: Callable[[Packet], str]
    load: Callable[[str], Packet]
    guard: Callable[[Dispute], Advice] = lambda _: Advice(MayRefund.ASK, None, ("nobody was asked",))


def respond_dispute(asked: AnswerAsked, ports: Ports, clerk: Clerk, clock: Callable[[], datetime]) -> None:
    """Go on with the answer that `asked` names, as far as that goes now.

    Each commit proves that nobody, person or clock, has changed the answer since. A copy of the message finds it held by
    whoever is at it, or finished, and tells again what became of it. A provider that does not answer is asked again later,
    by the clock. Raises Unavailable where documents or messages are; then Pub/Sub tells us again.
    """
    run = _Run(asked, ports, clerk, clock)
    ids = {"provider": asked.provider, "dispute_id": asked.dispute_id}
    dispute, now = run.dispute(), clock()
    answer = run.answer
    if dispute is None or (answer is None and dispute.round != asked.round):
        fact("answer_ignored", reason="another_round", **ids)
        return
    if answer is not None and answer.state in (*GIVEN, AnswerState.PARKED, AnswerState.OVER):
        # Whoever wrote that may have died before the world was told.
        run.tell(dispute)
        return
    unproved = answer is not None and answer.state is AnswerState.SENDING
    if not unproved and not (dispute.round == asked.round and deadlines.is_ours(dispute)):
        fact("answer_ignored", reason="nothing_asked", **ids)
        return
    try:
        if answer is None or answer.state is AnswerState.ASKED or _held_until(dispute, answer, now):
            answer = run.decided(dispute, now)
        if not _may_send(dispute, answer, now):
            fact("answer_waits", **ids)
        elif dispute.round != asked.round:
            run.overtaken(dispute, answer)
        else:
            run.send(dispute, answer, now)
    except _Lost:
        # A person, or another run: it goes on from there.
        fact("answer_lost_to_another", **ids)


def _held_until(dispute: Dispute, answer: Answer, now: datetime) -> bool:
    return answer.state is AnswerState.HELD and deadlines.is_due(dispute, answer, now)


def _decided_as(verdict: Verdict) -> AnswerState:
    if verdict.act is not None:
        return AnswerState.ANNOUNCED
    return AnswerState.HELD if verdict.waits else AnswerState.PARKED


def _may_send(dispute: Dispute, answer: Answer, now: datetime) -> bool:
    if answer.state is AnswerState.ANNOUNCED:
        return deadlines.is_due(dispute, answer, now)
    return answer.state is AnswerState.SENDING and (answer.lease_until is None or answer.lease_until <= now)


def contest_of(dispute: Dispute, act: Act, key: str, packet: Packet | None, *, acknowledged: bool = False) -> Contest:
    """What a provider's module is told of the answer to the present round of `dispute`."""
    return Contest(
        key=key,
        act=act,
        dispute_id=dispute.dispute_id,
        answer_id=dispute.answer_id or dispute.dispute_id,
        account=dispute.account,
        livemode=dispute.livemode,
        payment_id=dispute.payment_id,
        stage=dispute.stage,
        reason=dispute.reason,
        reason_code=dispute.reason_code,
        network=dispute.network,
        amount=dispute.amount,
        respond_by=dispute.respond_by,
        packet=packet,
        acknowledged=acknowledged,
        fee=dispute.contest_fee,
    )


class _Lost(Exception):
    """Somebody else has changed the answer meanwhile, and goes on with it."""


@dataclass
class _Run:
    """One go at one answer, `answer` as it was when we last wrote or read it."""

    asked: AnswerAsked
    ports: Ports
    clerk: Clerk
    clock: Callable[[], datetime]
    answer: Answer | None = None

    def dispute(self) -> Dispute | None:
        [found] = self.ports.documents.get([key_of(self.asked.provider, self.asked.dispute_id)])
        dispute = dispute_of(found)
        self.answer = dispute.answers.get(self.asked.round) if dispute else None
        return dispute

    def save(self, after: Answer, *, tells: bool = False) -> Answer:
        """Put `after` in the place of the answer that we last saw. Raises _Lost if that is another one by now. tells: the
        world is to be told of it."""
        key = key_of(self.asked.provider, self.asked.dispute_id)
        seen_changes = self.answer.changes if self.answer else 0
        mine = replace(after, changes=seen_changes + 1, words=after.words + tells)

        def decide(seen: Seen) -> Decision[bool]:
            before = dispute_of(seen[key])
            known = before.answers.get(self.asked.round) if before else None
            if before is None or (known.changes if known else 0) != seen_changes:
                return Decision(False)
            settled = lifecycle.settle(replace(before, answers={**before.answers, self.asked.round: mine}))
            return Decision(True, [write(key, seen[key], timeline.compact(settled))])

        if not change(self.ports.documents, [key], decide):
            raise _Lost
        self.answer = mine
        return mine

    def decided(self, dispute: Dispute, now: datetime) -> Answer:
        """What is to be done about `dispute`, announced, or handed to a person."""
        has_api = self.clerk.responder(dispute) is not None
        if has_api or dispute.alert is not None:
            verdict = self._judged(dispute, now)
        else:
            why = f"{dispute.provider} takes answers on its own pages only"
            verdict = Verdict(act=None, by="no_api", why=(why,), due_at=now, code="no_api")
        if verdict.act is Act.ACCEPT and not has_api:
            why = f"{dispute.provider} is not asked for refunds by us: refund it there, and record it"
            verdict = replace(verdict, act=None, why=(*verdict.why, why), code="no_api")
        before = dispute.answer
        decided = Answer(
            state=_decided_as(verdict),
            stage=dispute.stage,
            act=verdict.act,
            by=verdict.by,
            why=verdict.why,
            chance=verdict.chance,
            expected=verdict.expected,
            compelling=verdict.compelling,
            completeness=verdict.completeness,
            at=now,
            due_at=verdict.due_at if verdict.act or verdict.waits else None,
            wake_at=max(verdict.due_at, now) if verdict.act or verdict.waits else None,
            attempt=before.attempt if before else 0,
            words=before.words if before else 0,
            code=verdict.code if verdict.act in (None, Act.DECLINE) else None,
            supplied=before.supplied if before else {},
        )
        answer = self.save(decided, tells=True)
        self.tell(dispute)
        return answer

    def _judged(self, dispute: Dispute, now: datetime) -> Verdict:
        """What the clerk says; what it cannot judge by itself a person has to."""
        try:
            return self.clerk.judge(dispute, now)
        except (Misconfigured, Unreadable) as error:
            return Verdict(act=None, by="clerk", why=(str(error),), due_at=now, code=error.reason)

    def send(self, dispute: Dispute, answer: Answer, now: datetime) -> None:
        """Have the announced answer at the provider, or as far as it goes."""
        responder = self.clerk.responder(dispute)
        assert answer.act is not None
        sending = replace(
            answer, state=AnswerState.SENDING, wake_at=now + LEASE, lease_until=now + LEASE, tries=answer.tries + 1
        )
        try:
            answer = self.save(sending)
            if dispute.alert is not None and answer.sent_at is None and not self._refunds(dispute, answer):
                return
            if responder is None:
                raise Unreadable(f"there is no API of {dispute.provider} for this", reason="no_api")
            with_packet = answer.act is Act.SUBMIT or tells_use(responder)
            contest, answer = self._contest(dispute, answer, now, with_packet=with_packet)
            if problems := responder.problems(contest):
                self._end(dispute, answer, AnswerState.PARKED, code="would_be_refused", told="; ".join(problems))
                return
            self._play(dispute, responder, contest, answer)
        except (Misconfigured, Unreadable) as error:
            self._end(dispute, self.answer or answer, AnswerState.PARKED, code=error.reason, told=str(error))

    def _refunds(self, alert: Dispute, answer: Answer) -> bool:
        """Whether the payment of `alert` is to be refunded now, and may be. Asked at the last moment: what went back or was
        disputed since is not paid again."""
        advice = self.clerk.guard(alert)
        if advice.settled is not None:
            answer = replace(answer, act=Act.DECLINE, why=(*answer.why, *advice.why))
        if answer.act is Act.ACCEPT and advice.may is MayRefund.YES:
            return True
        if answer.act is Act.ACCEPT and advice.underway_until is not None and answer.by.startswith(f"{BY}/"):
            # Another alert of the payment was decided at the same time: what becomes of it is known when this is decided anew.
            again_at = self.clock() + FIRST_WAIT
            held = replace(
                answer, state=AnswerState.HELD, act=None, due_at=again_at, wake_at=again_at, lease_until=None
            )
            self.save(held)
            return False
        if answer.act is Act.ACCEPT:
            self._end(alert, answer, AnswerState.PARKED, code="refund_in_doubt", told="; ".join(advice.why))
        else:
            code = advice.settled or answer.code
            self._end(alert, answer, AnswerState.TAKEN, answered_at=self.clock(), code=code)
        return False

    def overtaken(self, dispute: Dispute, answer: Answer) -> None:
        """The provider went on before anybody heard whether it has the answer: it takes none to that any more, and what it would
        say of the dispute is said of another round."""
        self._end(dispute, answer, AnswerState.OVER, code="overtaken")

    def _contest(self, dispute: Dispute, answer: Answer, now: datetime, *, with_packet: bool) -> tuple[Contest, Answer]:
        packet = None
        if with_packet and answer.packet is None:
            packet = self.clerk.prepare(dispute, now)
            answer = self.save(replace(answer, packet=self.clerk.keep(packet), completeness=packet.completeness))
        elif with_packet:
            # What was begun is ended with the same bytes.
            packet = self.clerk.load(answer.packet or "")
        assert answer.act is not None
        name = f"{dispute.provider}/{dispute.dispute_id}/{self.asked.round}/{answer.attempt}/{answer.act}"
        key = hashlib.sha256(name.encode()).hexdigest()[:40]
        agreed = answer.acknowledged_by is not None
        return contest_of(dispute, answer.act, key, packet, acknowledged=agreed), answer

    def _play(self, dispute: Dispute, responder: Responder, contest: Contest, answer: Answer) -> None:
        api = self.clerk.api(responder)
        try:
            credentials = api.credentials(livemode=contest.livemode)
            standing = self._standing(responder, contest, api, credentials)
        except Unavailable as error:
            self._later(dispute, answer, error.reason)
            return
        step = responder.next_step(contest, answer.done, credentials)
        if not self._goes_on(dispute, standing, answer, repeatable=step is not None and step.keyed):
            return
        while step is not None:
            if step.final:
                self._last(dispute, responder, contest, step, answer, api, credentials)
                return
            try:
                outcome = responder.read_step(contest, step, api.send(step.request))
            except Unavailable as error:
                self._later(dispute, answer, error.reason)
                return
            if isinstance(outcome, Refused):
                self._refused(dispute, answer, outcome)
                return
            answer = self.save(replace(answer, done={**answer.done, step.name: outcome.value}))
            step = responder.next_step(contest, answer.done, credentials)
        raise Unreadable("an answer without a last step", reason="endless_answer")

    @staticmethod
    def _standing(responder: Responder, contest: Contest, api: Api, credentials: ApiCredentials) -> Standing:
        """What the provider says of the dispute now. Raises Unavailable."""
        read = api.send(responder.standing_request(contest, credentials))
        try:
            return responder.read_standing(contest, read)
        except Unreadable as error:
            # A page of somebody's proxy, perhaps, and not for ever.
            raise Unavailable(str(error), reason=error.reason) from error

    def _goes_on(self, dispute: Dispute, standing: Standing, answer: Answer, *, repeatable: bool) -> bool:
        """Whether there is anything left to send, by what the provider says of the dispute. repeatable: the step that counts is
        the same request once more, so that the provider need not say whether it has it."""
        now = self.clock()
        if standing is Standing.ANSWERED and answer.sent_at is not None:
            self._end(dispute, answer, AnswerState.TAKEN, answered_at=answer.sent_at)
        elif standing is Standing.ANSWERED:
            # What it says is the provider's to tell.
            others = replace(answer, act=None, by=ELSEWHERE, why=("the provider has an answer that is not ours",))
            self._end(dispute, others, AnswerState.ELSEWHERE, answered_at=now)
        elif standing is Standing.OVER:
            self._end(dispute, answer, AnswerState.OVER, code=NOTHING_TAKEN)
        elif answer.sent_at is None:
            return True
        elif standing is Standing.UNKNOWN and not repeatable:
            self._end(dispute, answer, AnswerState.PARKED, code="outcome_unknown")
        elif now - answer.sent_at < SHOWN_WITHIN:
            self._later(dispute, answer, "not_shown_yet")
        else:
            return True
        return False

    def _last(
        self,
        dispute: Dispute,
        responder: Responder,
        contest: Contest,
        step: Step,
        answer: Answer,
        api: Api,
        credentials: ApiCredentials,
    ) -> None:
        """The step that counts."""
        sent_before = answer.sent_at is not None
        answer = self.save(replace(answer, intent=step.name, sent_at=self.clock()))
        try:
            outcome: StepOutcome = responder.read_step(contest, step, api.send(step.request, once=not step.keyed))
        except (Unavailable, Unreadable) as error:
            # It may have arrived. Whoever comes next reads the dispute back.
            self._later(dispute, answer, error.reason)
            return
        if isinstance(outcome, Done):
            done = {**answer.done, step.name: outcome.value}
            taken = replace(answer, done=done, reference=outcome.value or None)
            self._end(dispute, taken, AnswerState.TAKEN, answered_at=self.clock())
        elif sent_before and answer.tries < MOST_TRIES // 2:
            # Most providers refuse a second answer as they refuse a late one: the first may have arrived, and be shown soon.
            self._later(dispute, answer, outcome.code)
        else:
            # Nothing of this one was taken, so whatever answer there is by now is another's.
            clean = replace(answer, intent=None, sent_at=None)
            if not outcome.stands or self._stands_open(responder, contest, api, credentials):
                self._refused(dispute, clean, outcome)
            else:
                self._goes_on(dispute, Standing.ANSWERED, clean, repeatable=False)

    def _stands_open(self, responder: Responder, contest: Contest, api: Api, credentials: ApiCredentials) -> bool:
        """Whether the provider says that it still waits, although it has refused our answer as one too many."""
        try:
            return self._standing(responder, contest, api, credentials) is Standing.WAITS
        except Unavailable:
            return False

    def _refused(self, dispute: Dispute, answer: Answer, outcome: Refused) -> None:
        refused = replace(answer, attempt=answer.attempt + 1)
        self._end(dispute, refused, AnswerState.PARKED, code=outcome.code, told=outcome.told)

    def _later(self, dispute: Dispute, answer: Answer, reason: str) -> None:
        """The clock asks again after a while, the sooner the nearer the deadline; too often, and it is a person's."""
        if answer.tries >= MOST_TRIES:
            self._end(dispute, answer, AnswerState.PARKED, code=reason)
            return
        now = self.clock()
        wait = deadlines.in_time(dispute, min(FIRST_WAIT * 2 ** (answer.tries - 1), LONGEST_WAIT), now)
        self.save(replace(answer, wake_at=now + wait, lease_until=None))
        fact(
            "answer_delayed",
            provider=dispute.provider,
            dispute_id=dispute.dispute_id,
            reason=reason,
            tries=answer.tries,
            wait_seconds=wait.total_seconds(),
        )

    def _end(
        self,
        dispute: Dispute,
        answer: Answer,
        state: AnswerState,
        *,
        answered_at: datetime | None = None,
        code: str | None = None,
        told: str | None = None,
    ) -> None:
        ended = replace(
            answer,
            state=state,
            answered_at=answered_at,
            wake_at=None,
            lease_until=None,
            code=code,
            told=mask(told)[:_MOST_TOLD] if told else None,
        )
        self.save(ended, tells=True)
        self.tell(dispute)

    def tell(self, dispute: Dispute) -> None:
        """The world: a row of the dispute, and people. The same for every repeat."""
        now_written = told(dispute, self.asked.round, self.ports)
        self.ports.bus.publish(now_written.messages)
        ids = {"provider": dispute.provider, "dispute_id": dispute.dispute_id}
        answer = now_written.answer
        # Of a report that is for a person to look at they are told; nobody is called, for nobody waits.
        is_called_for = dispute.alert is not Alert.REPORT or answer.act is not None
        if answer.state is AnswerState.PARKED and is_called_for:
            alarm("answer_parked", code=answer.code, attempt=answer.attempt, **ids)
        else:
            fact("dispute_answered", outcome=answer.state, act=answer.act, tries=answer.tries, **ids)


@dataclass(frozen=True, slots=True)
class Told:
    """What the world is told of `answer`, as it stands."""

    answer: Answer
    messages: Sequence[Message]


def told(dispute: Dispute, round_: str, ports: Ports) -> Told:
    """What is to be told of the answer to `round_`, a row of the dispute and a word to people: of the dispute and its case as
    they stand at one instant, so that no two rows of one revision differ."""
    stands_in = [Key(cases.COLLECTION, f"{dispute.provider}:{name}") for name in dispute.filed_under[-1:]]
    found, *filed = ports.documents.get([key_of(dispute.provider, dispute.dispute_id), *stands_in])
    now = dispute_of(found)
    if now is None or round_ not in now.answers:
        raise ValueError("nothing is told of an answer that is not there")
    if now.filed_under != dispute.filed_under:
        return told(now, round_, ports)
    answer = now.answers[round_]
    action_id = f"{now.provider}:{now.dispute_id}/{round_}/answer/{answer.words}"
    row = lifecycle.update_of(
        now,
        cases.stored(filed[0]) if filed else None,
        update_id=action_id,
        event_id=None,
        occurred_at=answer.answered_at or answer.at,
    )
    people = AnswerTold(
        action_id=action_id,
        provider=now.provider,
        account=now.account,
        dispute_id=now.dispute_id,
        payment_id=now.payment_id,
        state=answer.state,
        act=answer.act,
        by=answer.by,
        why=answer.why,
        due_at=answer.due_at,
        respond_by=now.respond_by,
        amount=now.amount,
        code=answer.code,
        told=answer.told,
    )
    to_people = Message(TOPIC, encode(people), {"provider": now.provider, "action": "answer_told"})
    return Told(answer, [message(row), to_people, *_to_network(now, answer)])


def _to_network(alert: Dispute, answer: Answer) -> list[Message]:
    """What became of an alert, for whoever tells its network; an issuer's report wants no answer."""
    outcome = outcome_of(answer)
    if alert.alert is None or alert.alert is Alert.REPORT or outcome is None:
        return []
    answered = AlertAnswered(
        action_id=f"{alert.provider}:{alert.dispute_id}/outcome",
        alert=alert.alert,
        alert_id=alert.dispute_id.removeprefix(f"{alert.alert}:"),
        outcome=outcome,
        provider=alert.provider,
        account=alert.account,
        payment_id=alert.payment_id,
        refund=answer.reference,
        answered_at=answer.answered_at or answer.at,
        respond_by=alert.respond_by,
    )
    return [Message(TOPIC, encode(answered), {"provider": alert.provider, "action": "alert_answered"})]
