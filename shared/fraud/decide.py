"""From a payment and its history to a decision, and from a stored decision to the same decision again."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.domain.decisions import CHALLENGER_DIGITS, Action, Decision, Fallback, Listed, Outcome, Reason
from shared.domain.events import Initiator, PaymentAssessed, PaymentChanged
from shared.fraud.book import SHIPPED, Book
from shared.fraud.features import CARD_METHOD, EPOCH, NAMES, SCHEMA_VERSION, member
from shared.fraud.history import Known
from shared.fraud.lists import ENTITIES, MEMBERS, listed_in
from shared.fraud.model import Model
from shared.fraud.policy import DEFAULT_THRESHOLDS, hardest
from shared.fraud.rules import Segment

MODEL_REASONS = 4
"""The features that raised the score most, at most so many."""

SPENT = 1.0
"""The propensity of what exploration drew and could not let pass, for the day's amount was spent."""

SMALLEST_WEIGHT = 0.05
"""Log-odds: what adds less is no reason."""


def decide(
    known: Known,
    model: Model | None,
    now: datetime,
    book: Book = SHIPPED,
    *,
    fallback: Fallback = Fallback.NO_MODEL,
    without_history: Outcome | None = None,
    beside: Model | None = None,
    may_lose: Callable[[int], bool] = lambda _: True,
) -> Decision:
    """Judge the payment in `known` by `book`. Without a model, rules alone decide, and `fallback` says why there is none.

    without_history: what the operator wants of such a payment at least, where its history is not known. beside: a model
    that is asked too, and decides nothing. may_lose: whether exploration may let pass so much more today, reference minor
    units; asked of a payment that was drawn, and of no other.
    """
    event = known.attempt.event
    asked = event if isinstance(event, PaymentAssessed) else None
    country = next((str(found) for path in MEMBERS["country"] if (found := member(event, path))), None)
    segment = Segment(
        account=event.account,
        provider=event.provider,
        country=country,
        initiator=event.initiator,
        product=asked.product if asked else None,
    )
    exemption = None
    if asked is not None and _to_authenticate(asked):
        exemption = book.policy.exemption(segment, known.attempt.amount, analyzed=model is not None)
    facts = Decision(
        provider=event.provider,
        account=event.account,
        payment_id=event.payment_id,
        event_id=event.event_id,
        livemode=event.livemode,
        occurred_at=event.occurred_at,
        decided_at=now,
        amount=event.amount,
        features=known.features(),
        history=known.history(),
        schema_version=SCHEMA_VERSION,
        rules_version=book.table.version,
        policy_version=book.policy.version(model.thresholds if model else DEFAULT_THRESHOLDS),
        model_digest=model.digest if model else None,
        fallback=None if model else fallback,
        outcome=Outcome.APPROVE,
        score=None,
        raw_score=None,
        reasons=(),
        request_id=asked.request_id if asked else None,
        request_digest=digest(asked) if asked else None,
        without_history=without_history,
        book_revision=book.revision,
        country=segment.country,
        initiator=segment.initiator,
        listed=(*book.lists.of(event, now), *listed_in(known.documents, now, known.also)),
        product=segment.product,
        sca_exemption=exemption,
        network=event.card.network if event.card else None,
        step=event.step if isinstance(event, PaymentChanged) else None,
    )
    if beside is not None:
        values = {feature.name: feature.value for feature in facts.features}
        score = beside.score([values[name] for name in beside.names]).score
        facts = replace(facts, challenger=beside.digest[:CHALLENGER_DIGITS], challenger_score=round(score, 6))
    decision = _judged(facts, model, book)
    if decision.explored and not may_lose(known.attempt.amount or 0):
        decision = _judged(replace(facts, propensity=SPENT), model, book)
    return decision


def _to_authenticate(asked: PaymentAssessed) -> bool:
    """Whether it is a card payment of a customer who is present, of whose authentication nothing was said yet."""
    by_card = asked.method in (None, "", CARD_METHOD)
    return by_card and asked.initiator is not Initiator.MERCHANT and asked.three_d_secure is None


def _segment(facts: Decision) -> Segment:
    return Segment(
        account=facts.account,
        provider=facts.provider,
        country=facts.country,
        initiator=facts.initiator,
        product=facts.product,
    )


def digest(asked: PaymentAssessed) -> str:
    """By which the same request, asked again, is told from another under its id: of all but when it was asked."""
    told = replace(asked, occurred_at=EPOCH, decision="", email_hash_also=())
    # A request of an earlier release, which knew neither products nor other names, is the same request still.
    content = repr(told).replace(", product=None", "").replace(", email_hash_also=()", "")
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def same_request(asked: PaymentAssessed, stored: str | None) -> bool:
    """Whether `stored` is the digest of this very request, whichever of its names the address went by then: the key of
    pseudonyms may have been changed since."""
    return any(stored == digest(replace(asked, email_hash=name)) for name in (asked.email_hash, *asked.email_hash_also))


def recompute(decision: Decision, model: Model | None, book: Book = SHIPPED) -> Decision:
    """`decision` again, from what it recorded: equal to it, to the byte, whatever payment it was linked to since.

    Of a release with other features too, by the names that it stored. Raises ValueError when it was made by another model
    or book than those given here, and when what they look at was not stored.
    """
    made_by = (decision.model_digest, decision.rules_version, decision.policy_version)
    policy = book.policy.version(model.thresholds if model else DEFAULT_THRESHOLDS)
    if made_by != (model.digest if model else None, book.table.version, policy):
        raise ValueError(f"decision on {decision.event_id} was made by other versions: {made_by}")
    try:
        return _judged(decision, model, book)
    except KeyError as missing:
        raise ValueError(f"decision on {decision.event_id} stored no feature {missing}") from missing


def judged_by(
    decision: Decision, model: Model | None, book: Book, named: object | None = None, beside: Iterable[Listed] = ()
) -> Decision:
    """`decision` as `model` and `book` would have made it, of the same features, at its time.

    named: what the payment says of itself, with the members that `shared.fraud.lists.MEMBERS` names, by which the book's
    lists are asked anew; None: what they said then stands. What stood in documents of histories stands either way. beside:
    what is said besides. Whom the day's amount for exploration left out is left out again. A history that was not known in
    time is not known here, and no model is asked of it.
    """
    if decision.fallback in (Fallback.STORE_SLOW, Fallback.STORE_DOWN):
        model = None
    listed = decision.listed
    if named is not None:
        kept = (one for one in listed if one.kind in ENTITIES)
        listed = (*book.lists.of(named, decision.decided_at), *kept)
    listed = (*listed, *(one for one in beside if one not in listed))
    facts = replace(
        decision,
        listed=listed,
        rules_version=book.table.version,
        policy_version=book.policy.version(model.thresholds if model else DEFAULT_THRESHOLDS),
        model_digest=model.digest if model else None,
        book_revision=book.revision,
    )
    return _judged(facts, model, book)


def outcome_of_score(facts: Decision, score: float, model: Model, book: Book) -> Outcome:
    """What `model` alone would do at `score`, by the thresholds that `book` has for such a payment."""
    authenticated = any(one.value == 1 for one in facts.features if one.name == "three_d_secure_passed")
    return book.policy.thresholds(model.thresholds, _segment(facts), authenticated=authenticated).outcome(score)


def _judged(facts: Decision, model: Model | None, book: Book) -> Decision:
    values = {feature.name: feature.value for feature in facts.features}
    segment = _segment(facts)
    holding, snoozed = book.table.judge(values, segment), {listed.rule for listed in facts.listed if listed.rule}
    rules = [rule for rule in holding if rule.code not in snoozed]
    by_rules = hardest(rule.outcome for rule in rules)
    reasons = [
        Reason(source="list", code=f"{listed.action}_{listed.kind}") for listed in facts.listed if not listed.rule
    ]
    reasons += [Reason(source="list", code=f"snoozed_{rule.code}") for rule in holding if rule.code in snoozed]
    reasons += [Reason(source="rule", code=rule.code) for rule in rules]
    if facts.without_history is not None:
        by_rules = hardest([by_rules, facts.without_history])
        reasons.append(Reason(source="fallback", code=str(facts.fallback)))
    raw = score = None
    by_model = Outcome.APPROVE
    if model is not None:
        scored = model.score([values[name] for name in model.names])
        raw, score = scored.raw, scored.score
        by_model = outcome_of_score(facts, score, model, book)
        reasons += _reasons(model.names, scored.contributions)
    lists = {listed.action for listed in facts.listed}
    outcome, propensity, explored = hardest([by_rules, by_model]), None, None
    if Action.BLOCK in lists:
        outcome = Outcome.DECLINE
    elif Action.ALLOW in lists:
        # Not against hard evidence: who is on a list of ours may still have a stolen card.
        outcome = by_rules if by_rules is Outcome.DECLINE else Outcome.APPROVE
    elif not rules and by_model is not Outcome.APPROVE and book.policy.exploration.takes(values["amount"]):
        exploration = book.policy.exploration
        explored = exploration.draws(f"{facts.provider}:{facts.request_id or facts.payment_id}")
        propensity = exploration.share if explored else 1 - exploration.share
        if facts.propensity == SPENT:
            explored, propensity = False, SPENT
        if explored:
            outcome = Outcome.APPROVE
            reasons.append(Reason(source="exploration", code=f"instead_of_{by_model}"))
    return replace(
        facts,
        outcome=outcome,
        score=score,
        raw_score=raw,
        reasons=tuple(reasons),
        shadow=tuple(rule.code for rule in book.table.shadows(values, segment) if rule.code not in snoozed),
        propensity=propensity,
        explored=explored,
        # Only of what neither rules nor the model would have stopped, whatever lists and exploration say.
        sca_exemption=facts.sca_exemption if hardest([by_rules, by_model, outcome]) is Outcome.APPROVE else None,
    )


def _reasons(names: Sequence[str], contributions: Sequence[float]) -> list[Reason]:
    """What raised the score most, the strongest first."""
    raised = sorted(((-weight, index) for index, weight in enumerate(contributions) if weight >= SMALLEST_WEIGHT))
    return [Reason(source="model", code=names[index], weight=-weight) for weight, index in raised[:MODEL_REASONS]]


if len(set(NAMES)) != len(NAMES):
    raise ValueError("two features have one name")
