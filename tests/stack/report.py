"""What a run did, read back from what the functions wrote, and held against what the simulated world knows.

Nothing here is taken from the functions' own word for it: deliveries are counted in the warehouse and against what
was sent, payments and disputes in the documents and against the facts, decisions against the truth.
"""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from shared.disputes.alerts import HOLD
from shared.disputes.deadlines import LOOKS
from shared.disputes.outcome_ledger import LEDGER_SQL, asked_for
from shared.disputes.strategy import WORDS
from shared.domain.answers import Act
from shared.domain.decisions import Outcome
from shared.domain.disputes import GIVEN, Answer, AnswerState, Dispute, Rung
from shared.domain.money import Money
from shared.flows.canaries import heard
from shared.flows.decisions import PACKED, of_stored
from shared.flows.evidence import kept
from shared.flows.filing import dispute_of
from shared.flows.judged import Judged as Judgement
from shared.flows.judged import decision_key, entity_key, request_name
from shared.flows.ports import Documents, Key, Snapshot
from shared.flows.record_payment import payment_of
from shared.fraud.features import Entity, Measure
from tests.simulator.chaos import How, Post
from tests.simulator.facts import Attempt, FactKind, ProviderSimulator
from tests.simulator.world import DAY, THIRD_PARTY, Fraud, World
from tests.stack import topology
from tests.stack.checkout import Asked
from tests.stack.desks import is_lost
from tests.stack.player import Player
from tests.stack.stack import Stack

RESAMPLED = 400
LOOKED_FOR = LOOKS[Rung.LOOK_LAST]
PAYMENT_KINDS = (FactKind.AUTHORIZED, FactKind.CAPTURED, FactKind.DECLINED, FactKind.CANCELED, FactKind.REFUNDED)
COUNTED_FOR_EVER = (Entity.CUSTOMER, Entity.CARD)  # which no cap leaves out
AUTHENTIC = (How.FIRST, How.DUPLICATE, How.MONTH_LATE, How.UNREADABLE)


@dataclass(frozen=True, slots=True)
class Judged:
    """One payment that the model scored, and what it really was. score: 0 to 1."""

    at: datetime
    score: float
    outcome: Outcome
    fraud: Fraud | None


@dataclass(frozen=True, slots=True)
class Flagged:
    """`right` of `flagged` payments were fraud, of `frauds` in all."""

    right: int
    flagged: int
    frauds: int

    @property
    def precision(self) -> float:
        """1.0 where nothing was flagged: nobody was wronged."""
        return self.right / self.flagged if self.flagged else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.frauds


@dataclass(frozen=True, slots=True)
class Quality:
    """How well decisions agree with the truth, over payments scored by a model that never saw them.

    ap: average precision of the score; prior: what guessing would get. stopped: precision and recall of decline;
    caught: of everything but approve; each with how many it flagged. ap_between: where nine of ten samples of as many
    payments from these put the AP. recall_by: share of each kind that was not simply approved.
    """

    payments: int
    frauds: int
    ap: float
    ap_between: tuple[float, float]
    prior: float
    ap_third_party: float
    prior_third_party: float
    stopped: "Flagged"
    caught: "Flagged"
    recall_by: Mapping[Fraud, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Turned:
    """Payments that the door kept from their providers, `of` so many of their kind: how many, and their money by currency.
    Only those count that their issuers would have approved: the others came to nothing anyway."""

    payments: int
    of: int
    money: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Door:
    """What came of asking before authorisation, by the simulator's truth, which knows also of what was never made.

    outcomes: how many of each. proved: challenges that were stood. kept: what fraud did not get; by_kind: the same for
    each kind. hindered: good customers who did not get what they came for. answered: seconds, the median and 99th percentile.
    """

    outcomes: Counter[str]
    proved: int
    kept: Turned
    by_kind: Mapping[Fraud, Turned]
    hindered: Turned
    answered: tuple[float, float]


@dataclass(slots=True)
class Answers:
    """Who answered which disputes. All by provider: fought and accepted by the platform, by_people where it could not.
    why: of what the platform decided, how often for which reason. parked: why people had to. outcomes: by whoever answered
    (fought, accepted, by people, nobody) and what became of the dispute.

    ledger: what the warehouse's ledger says of all of them, by currency: `recovered`, `fees` and `net_recovered`.
    won: what was given back to us, of disputes that the platform fought; by_others: of those that people did; disputed: all
    that was asked for, and lost where nobody answers. Money by currency, in minor units. evidence: a document as it was sent.
    """

    fought: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    by_people: Counter[str] = field(default_factory=Counter)
    why: Counter[str] = field(default_factory=Counter)
    parked: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    completeness: list[float] = field(default_factory=list)
    won: Counter[str] = field(default_factory=Counter)
    by_others: Counter[str] = field(default_factory=Counter)
    disputed: Counter[str] = field(default_factory=Counter)
    ledger: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    evidence: Path | None = None


@dataclass(slots=True)
class Warned:
    """What became of issuers' reports, by provider: refunded first, by us or, where we cannot, by_hand; held, because to wait for
    a dispute is expected to cost less; too_late, or nothing was left to refund. money: what was refunded, by currency, in minor
    units."""

    refunded: Counter[str] = field(default_factory=Counter)
    by_hand: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    too_late: Counter[str] = field(default_factory=Counter)
    money: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Report:
    """Counts of everything, the quality of decisions, and `problems`: each a sentence about a broken promise.

    missed: deadlines that check_deadlines alarmed as missed. doubled: answers that reached a provider's desk beside another
    one to the same dispute. unheard: answers that were taken, and the connection broke before that was told. result: a digest of every decision, dispute and answer, the same for the same code and seed.
    """

    deliveries: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    events: int = 0
    payments: Counter[str] = field(default_factory=Counter)
    captured: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    door: Door | None = None
    judged: list[Judged] = field(default_factory=list)
    quality: Quality | None = None
    disputes: Counter[tuple[str, str]] = field(default_factory=Counter)
    reminders: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    answers: "Answers" = field(default_factory=lambda: Answers())
    warned: "Warned" = field(default_factory=lambda: Warned())
    doubled: int = 0
    unheard: int = 0
    acknowledged: tuple[float, float] = (0.0, 0.0)
    injected: Counter[str] = field(default_factory=Counter)
    result: str = ""
    problems: list[str] = field(default_factory=list)


def measure(
    stack: Stack, world: World, post: Post, player: Player, simulators: Mapping[str, ProviderSimulator]
) -> Report:
    """Read everything back. Every disagreement with the world is a problem in the report."""
    report = Report(injected=post.injected)
    _deliveries(report, stack, player, post)
    _payments(report, stack, player, simulators)
    _decisions(report, stack, world, player, simulators)
    _door(report, stack, world, player, simulators)
    _disputes(report, stack, world, player)
    silent = set(simulators) - heard(stack.ports.documents, list(simulators)).keys()
    _check(report, not silent, f"no canary was ever heard through the webhooks of {', '.join(sorted(silent))}")
    report.problems += topology.unheard_of()
    letters = stack.given_up()
    _check(report, not letters, f"{len(letters)} messages were given up on (dead letters)")
    return report


def _add(report: Report, told: Sequence[str]) -> None:
    """To the digest of the result."""
    report.result = hashlib.sha256("\n".join([report.result, *sorted(told)]).encode()).hexdigest()[:12]


def _check(report: Report, holds: bool, sentence: str) -> None:
    if not holds:
        report.problems.append(sentence)


def _deliveries(report: Report, stack: Stack, player: Player, post: Post) -> None:
    sent = player.sent
    rows = stack.ports.warehouse.query(
        "SELECT outcome, COUNT(*) AS total, COUNT(DISTINCT delivery_id) AS distinct_total FROM deliveries GROUP BY outcome"
    )
    report.deliveries.update({row["outcome"]: row["total"] for row in rows})
    report.duplicates = sum(row["total"] - row["distinct_total"] for row in rows)
    keys = stack.ports.warehouse.query(
        "SELECT provider, key_id, COUNT(*) AS total FROM deliveries, UNNEST(key_ids) AS key_id GROUP BY provider, key_id"
    )
    report.keys.update({f"{row['provider']} {row['key_id']}": row["total"] for row in keys})
    [events] = stack.ports.warehouse.query("SELECT COUNT(*) AS total FROM payment_events")
    report.events = events["total"]
    accepted, forged = sent.count(*AUTHENTIC, accepted=True), sent.count(How.FORGED, accepted=False)
    report.deliveries["forged"] = forged
    told = sum(total for outcome, total in report.deliveries.items() if outcome != "forged")
    for sentence, is_, should_be in (
        ("deliveries were acknowledged and are not in the warehouse", told, accepted),
        ("forgeries were sent and not refused", forged, post.injected[How.FORGED.value]),
        ("forgeries were accepted", sent.count(How.FORGED, accepted=True), 0),
        ("authentic deliveries were refused", sent.count(*AUTHENTIC, accepted=False), 0),
        (
            "broken deliveries were not kept as unparsed",
            report.deliveries["unparsed"],
            post.injected[How.UNREADABLE.value],
        ),
        ("copies were not recognised", len(sent.bodies), told - report.duplicates),
    ):
        _check(report, is_ == should_be, f"{sentence}: {is_} instead of {should_be}")
    cuts = statistics.quantiles(sent.seconds, n=100, method="inclusive")
    report.acknowledged = (cuts[49], cuts[98])


def _door(
    report: Report, stack: Stack, world: World, player: Player, simulators: Mapping[str, ProviderSimulator]
) -> None:
    asked = list(player.asked.values())
    _check(report, bool(asked), "nobody asked before authorisation")
    if not asked:
        return
    report.door = door(asked, world.truth)
    away = [one.attempt for one in asked if not one.let_through]
    names = {Key("payments", f"{one.provider}:{simulators[one.provider].payment_id(one)}"): one.id for one in away}
    reached = [names[key] for key, snapshot in _read(stack.ports.documents, list(names)) if snapshot is not None]
    _check(
        report, not reached, f"{len(reached)} payments that were turned away reached a provider, such as {reached[:3]}"
    )
    without = [one.attempt.id for one in asked if one.fallback and one.fallback != ("no_model",)]
    _check(report, not without, f"{len(without)} requests were answered without their history, such as {without[:3]}")
    [stored] = stack.ports.warehouse.query(
        "SELECT COUNT(DISTINCT request_id) AS total FROM fraud_decisions WHERE request_id IS NOT NULL"
    )
    _check(
        report,
        stored["total"] == len(asked),
        f"{len(asked)} requests were decided, {stored['total']} reached the warehouse",
    )
    wrong = miscounted(stack.ports.documents)
    _check(report, not wrong, f"{len(wrong)} histories do not count each payment once, such as {wrong[:3]}")


def amounts(by_currency: Mapping[str, int]) -> str:
    return ", ".join(str(Money(minor, currency)) for currency, minor in sorted(by_currency.items()))


def door(asked: Sequence[Asked], truth: Mapping[str, Fraud]) -> Door:
    """Of at least one request."""
    cuts = statistics.quantiles([one.seconds for one in asked] * 2, n=100, method="inclusive")

    def turned(kinds: frozenset[Fraud | None] | frozenset[Fraud]) -> Turned:
        of_kind = [one for one in asked if one.attempt.decline_code is None and truth.get(one.attempt.id) in kinds]
        money: Counter[str] = Counter()
        for one in of_kind:
            if not one.let_through:
                money[one.attempt.amount.currency] += one.attempt.amount.minor
        return Turned(sum(not one.let_through for one in of_kind), len(of_kind), money)

    return Door(
        outcomes=Counter(one.outcome.value for one in asked),
        proved=sum(one.outcome is Outcome.CHALLENGE and one.let_through for one in asked),
        kept=turned(frozenset(Fraud)),
        by_kind={kind: turned(frozenset({kind})) for kind in Fraud},
        hindered=turned(frozenset({None})),
        answered=(cuts[49], cuts[98]),
    )


def miscounted(documents: Documents) -> list[str]:
    """Customers and cards whose histories do not count each payment once, at whichever door: beside the decisions."""
    paid: Counter[tuple[Entity, str]] = Counter()
    for snapshot in _all(documents, "decisions"):
        judged = Judgement.of(snapshot)
        paid.update({name: 1 for name in judged.counted if name[0] in COUNTED_FOR_EVER} if judged else {})
    told = {entity_key(entity, value): count for (entity, value), count in paid.items()}
    return [
        key.id
        for key, snapshot in _read(documents, list(told))
        if snapshot is None or snapshot.document["ever"][Measure.PAYMENTS] != told[key]
    ]


def _all(documents: Documents, collection: str) -> Iterator[Snapshot]:
    after = ""
    while snapshots := documents.scan(collection, 200, after):
        after = snapshots[-1].key.id
        yield from snapshots


def _payments(report: Report, stack: Stack, player: Player, simulators: Mapping[str, ProviderSimulator]) -> None:
    attempts: dict[Key, Attempt] = {}
    kinds: dict[str, set[FactKind]] = {}
    refunds: Counter[str] = Counter()
    for fact in player.facts:
        attempt = fact.attempt
        refunds_it = fact.kind is FactKind.DISPUTE_LOST and simulators[attempt.provider].habits.refunds_what_is_lost
        if refunds_it:
            refunds[attempt.id] = attempt.amount.minor
        if fact.kind not in PAYMENT_KINDS:
            continue
        attempts[Key("payments", f"{attempt.provider}:{simulators[attempt.provider].payment_id(attempt)}")] = attempt
        kinds.setdefault(attempt.id, set()).add(fact.kind)
        if fact.kind is FactKind.REFUNDED:
            refunds[attempt.id] += (fact.amount or attempt.amount).minor
    lost, wrong = [], []
    for key, snapshot in _read(stack.ports.documents, list(attempts)):
        attempt, payment = attempts[key], payment_of(snapshot)
        if not kinds[attempt.id] & simulators[attempt.provider].habits.named_when:
            continue  # told under another name, or not at all
        if payment is None:
            lost.append(attempt.id)
            continue
        report.payments[payment.state.value] += 1
        if payment.captured:
            report.captured[payment.captured.currency] += payment.captured.minor
        captured = attempt.amount.minor if FactKind.CAPTURED in kinds[attempt.id] else 0
        if (_minor(payment.captured), _minor(payment.refunded)) != (captured, refunds[attempt.id]):
            wrong.append(attempt.id)
    _check(report, not lost, f"{len(lost)} payments were lost, such as {lost[:3]}")
    _check(report, not wrong, f"{len(wrong)} payments have the wrong captured or refunded money, such as {wrong[:3]}")


def _read(documents: Documents, keys: Sequence[Key]) -> Iterator[tuple[Key, Snapshot | None]]:
    for start in range(0, len(keys), 200):
        some = keys[start : start + 200]
        yield from zip(some, documents.get(some), strict=True)


def _minor(money: Money | None) -> int:
    return money.minor if money else 0


def _decisions(
    report: Report, stack: Stack, world: World, player: Player, simulators: Mapping[str, ProviderSimulator]
) -> None:
    attempts: dict[Key, Attempt] = {}
    for fact in player.facts:
        habits = simulators[fact.attempt.provider].habits
        if fact.kind in {FactKind.CAPTURED, FactKind.DECLINED} & habits.named_when and not habits.names_nobody:
            name = simulators[fact.attempt.provider].payment_id(fact.attempt)
            attempts[Key("decisions", f"{fact.attempt.provider}:{name}")] = fact.attempt
    # What was turned away has no name at its provider, and will never have an outcome: only the simulator knows what it was.
    away = [one.attempt for one in player.asked.values() if not one.let_through]
    attempts |= {decision_key(one.provider, request_name(one.id)): one for one in away}
    found = dict(_read(stack.ports.documents, list(attempts)))
    led = {key: _led_to(key, snapshot) for key, snapshot in found.items()}
    found |= dict(_read(stack.ports.documents, [key for key in led.values() if key not in found]))
    undecided, twice, told = [], [], []
    for key, attempt in attempts.items():
        snapshot = found[led[key]]
        if snapshot is None or PACKED not in snapshot.document:
            undecided.append(attempt.id)
            continue
        decision = of_stored(snapshot.document)
        if (attempt.id in player.asked) is not (decision.request_id is not None):
            twice.append(attempt.id)
        told.append(f"{decision.provider} {decision.payment_id} {decision.outcome} {decision.raw_score}")
        report.decisions[decision.outcome.value] += 1
        if decision.model_digest is not None and player.trained_at is not None and attempt.at >= player.trained_at:
            # A rule that declines by itself leaves no score: it is as sure as can be.
            score = float(decision.outcome is Outcome.DECLINE) if decision.score is None else decision.score
            report.judged.append(Judged(attempt.at, score, decision.outcome, world.truth.get(attempt.id)))
    _add(report, told)
    _check(report, not undecided, f"{len(undecided)} payments have no decision, such as {undecided[:3]}")
    _check(report, not twice, f"{len(twice)} payments were not known as those assessed, such as {twice[:3]}")
    [stored] = stack.ports.warehouse.query("SELECT COUNT(DISTINCT event_id) AS total FROM fraud_decisions")
    published = sum(report.decisions.values())
    _check(
        report,
        stored["total"] >= published,
        f"{published} decisions were made, {stored['total']} reached the warehouse",
    )
    _check(report, not player.not_trained, f"no model was trained: {player.not_trained}")
    judge_the_model(report)


def judge_the_model(report: Report) -> None:
    """Its quality over what it scored; a model that scored nothing or stopped no fraud has kept no promise."""
    frauds = sum(one.fraud is not None for one in report.judged)
    decided = 0 < frauds < len(report.judged)
    _check(report, decided, f"the model scored {len(report.judged)} payments, {frauds} of them fraud")
    if decided:
        report.quality = quality(report.judged)
        _check(report, report.quality.ap > report.quality.prior, "the model ranks fraud no better than guessing")
        _check(report, report.quality.caught.right > 0, "the model let every fraud pass")


def _led_to(key: Key, snapshot: Snapshot | None) -> Key:
    """Where the decision of a payment with several names is kept."""
    other = snapshot.document.get("same_as") if snapshot else None
    return Key("decisions", f"{key.id.partition(':')[0]}:{other}") if other else key


def quality(judged: Sequence[Judged]) -> Quality:
    """Of payments with at least one fraud and one honest among them."""
    from sklearn.metrics import average_precision_score

    frauds = [one.fraud is not None for one in judged]
    third = [one for one in judged if one.fraud is None or one.fraud in THIRD_PARTY]
    third_frauds = [one.fraud is not None for one in third]
    recall_by = {}
    for kind in Fraud:
        of_kind = [one for one in judged if one.fraud is kind]
        recall_by[kind] = (sum(one.outcome is not Outcome.APPROVE for one in of_kind), len(of_kind))
    return Quality(
        payments=len(judged),
        frauds=sum(frauds),
        ap=float(average_precision_score(frauds, [one.score for one in judged])),
        ap_between=_between(frauds, [one.score for one in judged]),
        prior=sum(frauds) / len(judged),
        ap_third_party=float(average_precision_score(third_frauds, [one.score for one in third]))
        if any(third_frauds)
        else 0.0,
        prior_third_party=sum(third_frauds) / len(third),
        stopped=_flagged(judged, frozenset({Outcome.DECLINE})),
        caught=_flagged(judged, frozenset(Outcome) - {Outcome.APPROVE}),
        recall_by=recall_by,
    )


def _between(frauds: Sequence[bool], scores: Sequence[float]) -> tuple[float, float]:
    """The AP's 5th and 95th percentile over samples with replacement, the same for the same payments."""
    import numpy as np
    from sklearn.metrics import average_precision_score

    truth, score, draw = np.array(frauds), np.array(scores), np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLED):
        sample = draw.integers(0, len(truth), len(truth))
        if truth[sample].any():
            found.append(average_precision_score(truth[sample], score[sample]))
    low, high = np.quantile(found, (0.05, 0.95))
    return float(low), float(high)


def _flagged(judged: Sequence[Judged], outcomes: frozenset[Outcome]) -> Flagged:
    flagged = [one for one in judged if one.outcome in outcomes]
    right = sum(one.fraud is not None for one in flagged)
    return Flagged(right, len(flagged), sum(one.fraud is not None for one in judged))


def _disputes(report: Report, stack: Stack, world: World, player: Player) -> None:
    tracked: dict[tuple[str, str], Dispute] = {}
    alerts: list[Dispute] = []
    for snapshot in _all(stack.ports.documents, "disputes"):
        dispute = dispute_of(snapshot)
        if dispute is not None and dispute.alert is None:
            tracked[dispute.provider, dispute.dispute_id] = dispute
        elif dispute is not None:
            alerts.append(dispute)
    judge_the_refunds(report, player, alerts)
    for dispute in tracked.values():
        report.disputes[str(dispute.stage), str(dispute.status)] += 1
    _add(report, [f"{one.provider} {one.dispute_id} {one.stage} {one.status}" for one in tracked.values()])
    lost = set(player.disputes) - set(tracked)
    _check(report, not lost, f"{len(lost)} disputes were lost")
    expired = sorted(key for key, one in tracked.items() if _expired(one))
    report.missed = _alarmed(stack)
    _check(report, not expired, f"{len(expired)} deadlines were missed, such as {expired[:3]}")
    _check(
        report,
        report.missed == len(expired),
        f"{report.missed} deadlines were alarmed as missed, {len(expired)} disputes say so",
    )
    judge_the_answers(report, stack, player, tracked)
    _ledger(report, stack, world, tracked)
    report.reminders.update(reminder.rung.value for _, reminder in player.reminders)
    twice = Counter(reminder.action_id for _, reminder in player.reminders)
    again = sum(count - 1 for count in twice.values())
    _check(report, again == 0, f"{again} reminders were sent twice")
    # check_deadlines looks for the payment for a day; one that is told a month late is not found by then.
    unlinked = [
        one.dispute_id
        for key, one in tracked.items()
        if one.linked_to is None and one.heard_at is not None and _captured(player, key) <= one.heard_at + LOOKED_FOR
    ]
    _check(report, not unlinked, f"{len(unlinked)} disputes know no payment, such as {unlinked[:3]}")


def judge_the_refunds(report: Report, player: Player, alerts: Sequence[Dispute]) -> None:
    """What we say was refunded is what the providers' desks gave back, each payment once and none that was disputed."""
    found, said = report.warned, Counter[tuple[str, str]]()
    for one in alerts:
        answer = one.answer
        if answer is None or answer.state not in GIVEN:
            found.too_late[one.provider] += answer is None or answer.state is not AnswerState.PARKED
        elif answer.act is Act.ACCEPT:
            by_us = answer.state is AnswerState.TAKEN
            (found.refunded if by_us else found.by_hand)[one.provider] += 1
            said[one.provider, one.payment_id or ""] += by_us
        else:
            (found.held if HOLD in answer.why else found.too_late)[one.provider] += 1
    at_desks = Counter((name, one.payment_id) for name, refunds in player.desks.refunds.items() for one in refunds)
    _check(
        report,
        +said == at_desks,
        f"refunds are known to one side only, such as {[*(said - at_desks), *(at_desks - said)][:3]}",
    )
    _check(report, not player.paid_twice, f"{len(player.paid_twice)} were paid twice, such as {player.paid_twice[:3]}")
    for fact in player.facts:
        if fact.kind is FactKind.REFUNDED and fact.attempt.id in player.given_back:
            found.money[fact.attempt.amount.currency] += fact.attempt.amount.minor
    _add(
        report,
        [f"{one.provider} {one.dispute_id} {one.status} {one.answer.act if one.answer else None}" for one in alerts],
    )


def _expired(dispute: Dispute) -> bool:
    """Whether a deadline passed; a later word of the provider ends the state, but not what was done about it."""
    return any(action.rung is Rung.EXPIRE for action in dispute.actions.values())


def judge_the_answers(report: Report, stack: Stack, player: Player, tracked: Mapping[tuple[str, str], Dispute]) -> None:
    """Each dispute was answered once, by whom we say it was; what we say was sent lies there byte by byte."""
    found = report.answers
    given: dict[tuple[str, str], Answer] = {}
    for key, dispute in tracked.items():
        found.outcomes[_who(dispute), str(dispute.status)] += 1
        for one in dispute.answers.values():
            found.by_people[dispute.provider] += one.state is AnswerState.ELSEWHERE
            if one.state is not AnswerState.TAKEN:
                continue
            given[key] = one
            (found.accepted if one.act is Act.ACCEPT else found.fought)[dispute.provider] += 1
            found.why.update(word for word in WORDS if word in one.why)
            if one.act is Act.SUBMIT and one.completeness is not None:
                found.completeness.append(one.completeness)
    found.by_people = +found.by_people
    found.parked.update(one.told or one.why[-1] for one in player.parked.values())
    at_desks = Counter((name, one.dispute_id) for name, taken in player.desks.taken.items() for one in taken)
    report.doubled = at_desks.total() - len(at_desks)
    report.unheard = sum(is_lost(one) for taken in player.desks.taken.values() for one in taken)
    _check(report, report.doubled == 0, f"{report.doubled} answers were sent twice")
    _check(report, not player.not_taken, f"{len(player.not_taken)} answers were late, such as {player.not_taken[:3]}")
    odd = sorted(given.keys() ^ at_desks.keys())
    _check(report, not odd, f"{len(odd)} answers are known to one side only, such as {odd[:3]}")
    silent = sorted(player.can_be_answered - at_desks.keys() - player.by_people.keys())
    _check(report, not silent, f"{len(silent)} disputes that take an answer got none, such as {silent[:3]}")
    for key, fact in player.disputes.items():
        found.disputed[fact.attempt.amount.currency] += fact.attempt.amount.minor
        if key in player.won:
            money = found.won if key in at_desks else found.by_others
            money[fact.attempt.amount.currency] += fact.attempt.amount.minor
    _evidence(report, stack, player, given)
    _add(report, [" ".join((*key, str(one.act), one.by, one.packet or "")) for key, one in given.items()])


def _ledger(report: Report, stack: Stack, world: World, tracked: Mapping[tuple[str, str], Dispute]) -> None:
    """The money of disputes as the warehouse tells it, each dispute once."""
    rows = stack.ports.warehouse.query(LEDGER_SQL, asked_for(world.start, world.end + DAY, test_data=True))
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("recovered", "fees", "net_recovered")}
    for row in rows:
        for name, by_currency in sums.items():
            if row[name]:
                by_currency[row["currency"]] += int(row[name])
    report.answers.ledger = sums
    listed = sum(int(row["disputes"]) for row in rows)
    there_are = sum(one.same_as is None and one.alert is None for one in tracked.values())
    _check(report, listed == there_are, f"the ledger has {listed} disputes of {there_are}")


def _who(dispute: Dispute) -> str:
    """Who answered it, and how."""
    for one in dispute.answers.values():
        if one.state is AnswerState.TAKEN:
            return "accepted" if one.act is Act.ACCEPT else "fought"
        if one.state is AnswerState.ELSEWHERE:
            return "by people"
    return "nobody"


def _evidence(report: Report, stack: Stack, player: Player, given: Mapping[tuple[str, str], Answer]) -> None:
    """Every packet that was sent is there still. The most complete one of those that won is written for people to look at."""
    best: tuple[bool, float, str] | None = None
    for (provider, dispute_id), answer in sorted(given.items()):
        if answer.packet is None:
            continue
        packet = kept(answer.packet, stack.ports)  # proves each byte by its name
        rank = ((provider, dispute_id) in player.won, packet.completeness, dispute_id)
        documents = [one for one in packet.documents if one.media_type == "application/pdf"]
        if documents and (best is None or rank > best):
            best = rank
            report.answers.evidence = stack.home / f"evidence-{provider}-{dispute_id}.pdf".replace(":", "-")
            page = documents[0].data
    if report.answers.evidence is not None:
        report.answers.evidence.write_bytes(page)


def _alarmed(stack: Stack) -> int:
    """Deadlines that the product itself says were missed: what would wake somebody."""
    log = (stack.home / "logs" / "check_deadlines.log").read_bytes()
    return log.count(b'"event":"deadline_missed"')


def _captured(player: Player, dispute: tuple[str, str]) -> datetime:
    """When we could first know the disputed payment; Klarna's authorization is all that is told of one."""
    opened = player.disputes[dispute]
    told = player.sent.told.get(opened.attempt.id, {})
    return told.get(FactKind.CAPTURED) or told.get(FactKind.AUTHORIZED) or opened.at
