"""From what was told of a dispute, in whatever order, to where it stands."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate, takewhile
from typing import Any, TypeVar

from shared.disputes.case import known
from shared.disputes.deadlines import action_key, is_awaiting, schedule
from shared.disputes.queue import place_of
from shared.disputes.reason_codes import is_network_code, look_up
from shared.disputes.response_times import response_time
from shared.domain import timeline
from shared.domain.answers import Act
from shared.domain.codec import encode
from shared.domain.disputes import (
    GIVEN,
    Answer,
    AnsweredBy,
    AnswerState,
    Case,
    Dispute,
    DisputeFact,
    DisputeUpdate,
    Rung,
    members,
    told,
)
from shared.domain.events import (
    Alert,
    DisputeChanged,
    DisputeReason,
    DisputeStage,
    DisputeStatus,
    FraudWarned,
)
from shared.domain.instants import plausible
from shared.domain.money import Money, total_of

T = TypeVar("T")

# Of two facts at one instant the one further down the road is the newer.
_STAGES = {stage: rank for rank, stage in enumerate(DisputeStage)}
_STATUSES = {
    status: rank
    for rank, status in enumerate(
        (
            DisputeStatus.NEEDS_RESPONSE,
            DisputeStatus.UNDER_REVIEW,
            DisputeStatus.EXPIRED,
            DisputeStatus.CLOSED,
            DisputeStatus.PREVENTED,
            DisputeStatus.WON,
            DisputeStatus.ACCEPTED,
            DisputeStatus.LOST,
        )
    )
}


def fact_of(event: DisputeChanged, heard_at: datetime) -> DisputeFact:
    """What the timeline keeps of `event`."""
    needs_nothing = event.autodefended and event.status is DisputeStatus.NEEDS_RESPONSE
    proven = "amount" not in event.unsigned
    # An instant of no century of ours is a deadline that cannot be read.
    respond_by = event.respond_by if event.respond_by and plausible(event.respond_by) else None
    return DisputeFact(
        occurred_at=event.occurred_at.astimezone(UTC),
        heard_at=heard_at,
        payment_id=event.payment_id,
        payment_aliases=event.payment_aliases,
        answer_id=event.answer_id,
        stage=event.stage,
        # Somebody answers in our name: nobody here has to.
        status=DisputeStatus.UNDER_REVIEW if needs_nothing else event.status,
        status_unknown=event.status_unknown or None,
        final=event.final,
        amount=event.amount if proven else None,
        moved=event.moved if proven and "moved" not in event.unsigned else None,
        reason=event.reason,
        reason_code=(event.reason_code or "").strip() or None,
        network=event.network,
        respond_by=respond_by.astimezone(UTC) if respond_by else None,
        respond_by_text=event.respond_by_text or (str(event.respond_by) if event.respond_by != respond_by else None),
        can_respond=event.can_respond,
        provider_status=event.provider_status,
        evidence_submitted=event.evidence_submitted,
        arn=event.arn,
        contest_fee=event.contest_fee,
        fees=event.fees if proven and "fees" not in event.unsigned else None,
        autodefended=event.autodefended or None,
        unsigned=event.unsigned,
        livemode=event.livemode or None,
        alert=event.alert,
    )


def alert_of(warned: FraudWarned) -> DisputeChanged:
    """An issuer's report as the alert that it is. It claims nothing by itself, for the report does. One that says that the
    payment is refunded or disputed by now (`actionable`) asks for nothing any more."""
    over = warned.actionable is False
    return DisputeChanged(
        event_id=warned.event_id,
        provider=warned.provider,
        account=warned.account,
        occurred_at=warned.occurred_at,
        delivery_id=warned.delivery_id,
        livemode=warned.livemode,
        unsigned=warned.unsigned,
        dispute_id=f"{Alert.REPORT}:{warned.warning_id}",
        payment_id=warned.payment_id,
        payment_aliases=warned.payment_aliases,
        stage=DisputeStage.INQUIRY,
        status=DisputeStatus.CLOSED if over else DisputeStatus.NEEDS_RESPONSE,
        amount=warned.amount,
        network=warned.network,
        provider_status=warned.fraud_type,
        alert=Alert.REPORT,
    )


def record(dispute: Dispute, event: DisputeChanged, now: datetime) -> Dispute:
    """`dispute` with `event` among its facts. The same dispute, when the fact is known."""
    known = dispute.facts.get(event.event_id)
    fact = fact_of(event, known.heard_at if known else now)
    if known is not None:
        # One message, perhaps read again by an adapter that was mended since: whichever tells more.
        fact = max(known, fact, key=lambda one: (members(one), encode(one)))
        dispute = replace(dispute, facts={**dispute.facts, event.event_id: fact})
    facts, fits = timeline.add(dispute.facts, event.event_id, fact, _worth)
    full = () if fits else (_FULL,)
    return settle(
        replace(
            dispute,
            facts=facts,
            account=min(dispute.account, event.account),
            inconsistent=(*dispute.inconsistent, *full),
        )
    )


def settle(dispute: Dispute) -> Dispute:
    """`dispute` with everything that follows from its facts, actions and link computed anew.

    The provider's word is its latest fact that tells a status, by its own time, so that an opening that arrives
    late reopens nothing while a newer one does. A deadline belongs to a stage, and to the round of it that is
    open: one that had passed when the provider asked again is not the one it asks for now. Where an answer is asked for
    and no deadline is named, there is an estimate instead. A message that names another deadline and no status that we
    know asks for an answer: silence must not lose a case.
    """
    if not dispute.facts:
        return dispute
    facts = _asking(_in_order(dispute))
    stage = _last(facts, lambda fact: fact.stage)
    word = next((fact for fact in reversed(facts) if fact.status), None)
    told_status = word.status if word else None
    here = [fact for fact in facts if fact.stage in (stage, None)]
    round_began, heard_of = _round_began(here, told_status)
    deadline = max(
        (
            fact
            for fact in here
            if fact.respond_by and (fact.occurred_at >= round_began or fact.respond_by > round_began)
        ),
        key=lambda fact: ("respond_by" not in fact.unsigned, here.index(fact)),
        default=None,
    )
    network = _last(facts, lambda fact: fact.network)
    # A provider's own word, told later, does not take the place of the network's code.
    codes = [fact.reason_code for fact in reversed(facts) if fact.reason_code]
    reason_code = next((code for code in codes if is_network_code(network, code)), next(iter(codes), None))
    reasons = [fact.reason for fact in facts if fact.reason]
    listed = look_up(network, reason_code)
    moves = [fact.moved for fact in facts if fact.moved]
    moved, one_currency = total_of(moves)
    this_round = [fact for fact in here if fact.occurred_at >= round_began]
    told_can = _last(this_round, lambda fact: fact.can_respond)
    wants_answer = told_status is DisputeStatus.NEEDS_RESPONSE and told_can is not False
    respond_by = deadline.respond_by if deadline else None
    alert = _last(facts, lambda fact: fact.alert)
    # Nobody waits for an answer to a report, so that it has no deadline either.
    is_estimated = deadline is None and wants_answer and alert is not Alert.REPORT
    if is_estimated:
        respond_by = round_began + response_time(network, stage)
    round_, answered = _answered(dispute, stage, min(round_began, heard_of))
    troubles = ({_FULL} & set(dispute.inconsistent)) | (set() if one_currency else {_CURRENCIES})
    settled = replace(
        dispute,
        payment_id=dispute.linked_to or next(iter(names_in(facts)), None),
        stage=stage,
        status=told_status,
        status_since=round_began if told_status else None,
        won_before=any(fact.status is DisputeStatus.WON and fact.occurred_at < round_began for fact in facts),
        told_status=told_status,
        status_unknown=_last(
            facts, lambda fact: bool(fact.status_unknown) if fact.status_unknown or fact.status else None
        )
        is True,
        answer_id=_last(here, lambda fact: fact.answer_id),
        final=word.final if word else True,
        expired_cause=None,
        amount=_last(facts, lambda fact: fact.amount),
        moved=moved,
        withdrawn=_withdrawn(moves),
        fees=_last(facts, lambda fact: fact.fees),
        reason=next((reason for reason in reversed(reasons) if reason is not DisputeReason.OTHER), None)
        or (listed.reason if listed else None)
        or (reasons[-1] if reasons else None),
        reason_code=reason_code,
        network=network,
        respond_by=respond_by,
        respond_by_text=deadline.respond_by_text if deadline else _last(this_round, lambda fact: fact.respond_by_text),
        deadline_estimated=is_estimated,
        deadline_unsigned=bool(deadline and "respond_by" in deadline.unsigned),
        deadline_heard_at=min(
            (fact.heard_at for fact in here if fact.respond_by == deadline.respond_by)
            if deadline
            else (fact.heard_at for fact in this_round),
            default=None,
        ),
        can_respond=told_can is not False,
        answered_by=_answered_by(word, can_respond=told_can is not False),
        contest_fee=_last(here, lambda fact: fact.contest_fee),
        provider_status=_last(facts, lambda fact: fact.provider_status),
        evidence_submitted=any(fact.evidence_submitted for fact in here),
        livemode=any(fact.livemode for fact in facts),
        alert=alert,
        round=round_,
        arn=_last(facts, lambda fact: fact.arn),
        first_at=min(fact.occurred_at for fact in facts),
        last_at=max(fact.occurred_at for fact in facts),
        heard_at=min(fact.heard_at for fact in facts),
        inconsistent=tuple(sorted(troubles)),
    )
    if alert is not None:
        settled = replace(settled, status=_of_alert(settled))
    elif answered is not None and told_status is DisputeStatus.NEEDS_RESPONSE:
        # The provider has our answer, and may tell of it late or never.
        accepted = answered.act is Act.ACCEPT
        status = DisputeStatus.ACCEPTED if accepted else DisputeStatus.UNDER_REVIEW
        settled = replace(
            settled,
            status=status,
            status_since=answered.answered_at,
            evidence_submitted=settled.evidence_submitted or not accepted,
        )
    expiry = settled.actions.get(action_key(settled, Rung.EXPIRE))
    # What another dispute is told of expires as that one.
    if expiry is not None and settled.same_as is None and is_awaiting(settled) and not settled.deadline_estimated:
        settled = replace(
            settled, status=DisputeStatus.EXPIRED, status_since=settled.respond_by, expired_cause=expiry.cause
        )
    return replace(settled, next_action_at=schedule(settled), queue=place_of(settled))


def _of_alert(alert: Dispute) -> DisputeStatus | None:
    """Refunded, it is settled before it was filed, whatever else is told; answered otherwise it is over, for what the issuer
    files then is a dispute of its own."""
    given = [one for one in alert.answers.values() if one.state in GIVEN]
    if any(one.act is Act.ACCEPT for one in given):
        return DisputeStatus.PREVENTED
    return DisputeStatus.CLOSED if given and alert.told_status is DisputeStatus.NEEDS_RESPONSE else alert.told_status


def asked_since(dispute: Dispute) -> datetime | None:
    """Since when the provider asks for an answer: by its own clock, or by ours when it was heard, whichever tells the earlier
    instant. None where it asks for none. What is given from then on is an answer to the present round."""
    if dispute.told_status is not DisputeStatus.NEEDS_RESPONSE:
        return None
    here = [fact for fact in _asking(_in_order(dispute)) if fact.stage in (dispute.stage, None)]
    return min(_round_began(here, dispute.told_status))


def _answered(dispute: Dispute, stage: DisputeStage | None, since: datetime) -> tuple[str, Answer | None]:
    """The name of this round's answer, and that answer if it has been given.

    A round has as many given answers of its stage before it as its name says. One that was given since the provider asks
    (`asked_since`) is an answer to that, however often the provider repeats that it waits; one from before is not, if it
    stopped in between.
    """
    given = [one for one in dispute.answers.values() if one.stage is stage and one.state in GIVEN and one.answered_at]
    before = [one for one in given if one.answered_at and one.answered_at < since]
    return f"{stage or 'unknown'}/{len(before)}", next((one for one in given if one not in before), None)


def _asking(facts: Iterable[DisputeFact]) -> list[DisputeFact]:
    """`facts`, oldest first, where those that are the first to name a deadline, and tell no status, ask for an answer."""
    named: set[datetime | None] = {None}
    asking = []
    for fact in facts:
        asks = fact.status is None and fact.respond_by not in named
        asking.append(replace(fact, status=DisputeStatus.NEEDS_RESPONSE, final=True) if asks else fact)
        named.add(fact.respond_by)
    return asking


def _answered_by(word: DisputeFact | None, *, can_respond: bool) -> AnsweredBy | None:
    """Who answers, by the provider's last `word`; nobody where no answer is taken."""
    if word is not None and word.autodefended:
        return AnsweredBy.PROVIDER
    return AnsweredBy.US if word is not None and can_respond else None


def reunited(disputes: Iterable[Dispute]) -> list[Dispute]:
    """`disputes`, all those of one payment, where what was told under a name of the payment, and names none, is told of
    the only dispute that there is besides.

    A provider's later message may name the payment alone and leave open that it does (Adyen's CHARGEBACK_REVERSED).
    Nothing says of which dispute it tells while there are several: then it stands by itself. An alert is none of them.
    """
    found = list(disputes)
    strays = [one for one in found if not names_in(one.facts.values())]
    others = [one for one in found if one not in strays]
    heirs = [one.dispute_id for one in others if one.alert is None]
    heir = heirs[0] if len(heirs) == 1 else None
    told = [
        (event_id, replace(fact, told_as=stray.dispute_id))
        for stray in strays
        for event_id, fact in stray.facts.items()
        if heir is not None
    ]
    return [
        *(_with_told(one, told if one.dispute_id == heir else ()) for one in others),
        *(settle(replace(stray, same_as=heir)) for stray in strays),
    ]


def _with_told(dispute: Dispute, told: Iterable[tuple[str, DisputeFact]]) -> Dispute:
    """`dispute` with its own facts and those `told` of it under another name."""
    facts = {event_id: fact for event_id, fact in dispute.facts.items() if fact.told_as is None}
    for event_id, fact in told:
        facts, _ = timeline.add(facts, event_id, fact, _worth)
    return settle(replace(dispute, facts=facts)) if facts != dispute.facts else dispute


def names_in(facts: Iterable[DisputeFact]) -> tuple[str, ...]:
    """Every name that `facts`, oldest first, give the payment: ids before aliases, the latest first."""
    newest = list(facts)[::-1]
    ids = [fact.payment_id for fact in newest if fact.payment_id]
    aliases = [alias for fact in newest for alias in fact.payment_aliases if alias]
    return tuple(dict.fromkeys(ids + aliases))


def names(dispute: Dispute) -> tuple[str, ...]:
    """Every name by which the provider has called the disputed payment."""
    return names_in(_in_order(dispute))


def update_of(
    dispute: Dispute, case: Case | None, *, update_id: str, event_id: str | None, occurred_at: datetime
) -> DisputeUpdate:
    """`dispute` as a row of `dispute_updates`."""
    answer = dispute.answer if dispute.answer and dispute.answer.words else None
    return DisputeUpdate(
        update_id=update_id,
        event_id=event_id,
        occurred_at=occurred_at,
        revision=_known(dispute, case),
        payment_known=dispute.linked_to is not None,
        flags=case.flags if case else (),
        answer=answer.act if answer else None,
        answer_state=_as_told(answer.state) if answer else None,
        answer_by=answer.by if answer else None,
        answered_at=answer.answered_at if answer else None,
        packet=answer.packet if answer and answer.answered_at else None,
        **{name: getattr(dispute, name) for name in _COPIED},
    )


def _as_told(state: AnswerState) -> AnswerState:
    """On its way it is still what was announced: what becomes of it is told when that is known."""
    return AnswerState.ANNOUNCED if state is AnswerState.SENDING else state


def _known(dispute: Dispute, case: Case | None) -> int:
    """How much is known of all that a row tells: none of these numbers ever falls, and one rises when the row changes."""
    own = len(dispute.actions) + (dispute.linked_to is not None)
    own += sum(answer.words for answer in dispute.answers.values())
    if case is None:
        return own + told(dispute.facts.values())
    return own + known(case)


_COPIED = (
    *(
        "provider",
        "account",
        "dispute_id",
        "payment_id",
        "stage",
        "status",
        "told_status",
        "status_unknown",
        "answer_id",
    ),
    *("final", "expired_cause"),
    *("amount", "moved", "reason", "reason_code", "network", "respond_by", "deadline_unsigned", "deadline_estimated"),
    *("can_respond", "answered_by", "contest_fee", "same_as"),
    *("status_since", "won_before", "withdrawn", "fees", "alert", "livemode"),
)


def _in_order(dispute: Dispute) -> list[DisputeFact]:
    """What was told of `dispute`, oldest first."""
    return [dispute.facts[event_id] for event_id in sorted(dispute.facts, key=lambda id_: _order(id_, dispute))]


def _order(event_id: str, dispute: Dispute) -> tuple[Any, ...]:
    fact = dispute.facts[event_id]
    stage = _STAGES[fact.stage] if fact.stage else -1
    status = _STATUSES[fact.status] if fact.status else -1
    return fact.occurred_at, stage, status, fact.final, event_id


def _worth(event_id: str, fact: DisputeFact) -> tuple[bool, datetime, str]:
    return bool(fact.status or fact.respond_by or fact.moved), fact.occurred_at, event_id


def _round_began(facts: Sequence[DisputeFact], told_status: DisputeStatus | None) -> tuple[datetime, datetime]:
    """Since when the provider has said `told_status` without a break, by its own time; and when we first heard it say so.

    Its clock and ours differ: what we did after we had heard it was done after it had said so, whatever its clock tells.
    """
    newest = reversed([fact for fact in facts if fact.status])
    same = list(takewhile(lambda fact: fact.status is told_status, newest)) or facts[-1:]
    return same[-1].occurred_at, min(fact.heard_at for fact in same)


def _withdrawn(moves: Sequence[Money]) -> Money | None:
    """The most that was gone at once, of what moved one after the other, in the first one's currency."""
    if not moves:
        return None
    currency = moves[0].currency
    balance = accumulate((move.minor for move in moves if move.currency == currency), initial=0)
    return Money(-min(balance), currency)


def _last(facts: Sequence[DisputeFact], told: Callable[[DisputeFact], T | None]) -> T | None:
    return next((value for fact in reversed(facts) if (value := told(fact)) is not None), None)


_CURRENCIES, _FULL = "currency_disagreement", "timeline_full"
