"""Why a payment was decided as it was: in words, with what was known and how fresh, and what would have been decided otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.codec import encode
from shared.domain.decisions import Decision, History, Outcome, Reason
from shared.domain.errors import Rejected
from shared.flows.book_of_rules import kept_book, standing_book
from shared.flows.challengers import line_in
from shared.flows.judged import Judged
from shared.flows.ports import ASKED, Ports
from shared.flows.recompute_decisions import Names, makers
from shared.flows.scorer import CHAMPION
from shared.fraud import model as artifacts
from shared.fraud.book import SHIPPED, Book
from shared.fraud.decide import judged_by, outcome_of_score, recompute
from shared.fraud.features import FEATURES
from shared.fraud.model import Model
from shared.fraud.policy import hardest
from shared.fraud.words import in_words

_ENTITY_OF: Final = {feature.name: getattr(feature, "entity", None) for feature in FEATURES}

# What a book's lists go by stands in no decision: it is read of the event that was decided on.
NAMES_SQL: Final = """SELECT payment_events.card.bin AS bin, payment_events.card.country AS card_country, billing_country,
  email_domain, email_hash, email_hash_also
FROM payment_events
WHERE occurred_at >= @since AND occurred_at < @until AND provider = @provider AND kind IN ('payment', 'assessment')
  AND event_id = @event_id
LIMIT 1"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A reason. weight: what the feature added to the model's log-odds of fraud."""

    source: str
    code: str
    words: str
    weight: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knew:
    """A member of the vector. entity: whose history it is of; freshness: how long before the payment that entity was last
    seen, None where it was not known."""

    name: str
    value: float | None
    entity: str | None
    freshness: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSaid:
    """A rule that held. live: it counted; else it stood in shadow. outcome, sql: as the book that judged has it; None where
    that book is not here."""

    code: str
    live: bool
    outcome: Outcome | None
    sql: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Otherwise:
    """What the same payment would have been answered. book_revision: None is what is shipped. changed: whether the outcome is
    another one. gone, new: reasons that it has no longer, and those that it had not."""

    outcome: Outcome
    score: float | None
    book_revision: int | None
    model_digest: str | None
    changed: bool
    gone: tuple[Why, ...]
    new: tuple[Why, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """by_rules, by_model: what each alone said; None where it was not asked, or is not here. recomputed: whether computing it again
    gives the same bytes; None where what made it is not here. payment_id: as its provider calls it, where that is known."""

    decision: Decision
    payment_id: str
    linked_event_id: str | None
    reasons: tuple[Why, ...]
    rules: tuple[RuleSaid, ...]
    by_rules: Outcome | None
    by_model: Outcome | None
    known: tuple[Knew, ...]
    entities: tuple[History, ...]
    recomputed: bool | None
    otherwise: Otherwise | None = None


def explain(ports: Ports, judged: Judged) -> Explained:
    """What was decided, and by what. Reads the book and the model that the decision names. Raises Unavailable."""
    decision = judged.decision
    model, book = _made_by(ports, decision)
    held = [reason.code for reason in decision.reasons if reason.source == "rule"]
    by_code = {rule.code: rule for rule in book.contents.rules} if book else {}
    rules = [
        RuleSaid(
            code=code,
            live=live,
            outcome=rule.outcome if (rule := by_code.get(code)) else None,
            sql=rule.sql if rule else None,
        )
        for live, codes in ((True, held), (False, decision.shadow))
        for code in codes
    ]
    alone = [rule.outcome for rule in rules if rule.live and rule.outcome is not None]
    return Explained(
        decision=decision,
        payment_id=judged.told.payment_id,
        linked_event_id=judged.link.event_id if judged.link else None,
        reasons=tuple(_why(decision, reason) for reason in decision.reasons),
        rules=tuple(rules),
        by_rules=hardest(alone) if book is not None else None,
        by_model=_by_model(decision, model, book),
        known=tuple(_knew(decision)),
        entities=decision.history,
        recomputed=_recomputed(decision, model, book),
    )


def otherwise(ports: Ports, decision: Decision, *, rules: str | None, model: str | None) -> Otherwise:
    """What another book or another model, or both, would have decided, of the same features.

    rules: a revision's number, `shipped`, or `standing` for the book of now; None: the one that decided. model: a digest or
    the beginning of one, `champion`, `challenger`, or `none` for rules alone; None: the one that decided. Raises Rejected for
    what is not here.
    """
    its_model, its_book = _made_by(ports, decision)
    book = its_book if rules is None else _book(ports, rules)
    if book is None:
        raise Rejected("the book that decided is not here any more: name one", reason="no_book")
    other = its_model if model is None else _model(ports, model)
    if model is None and other is None and decision.model_digest is not None:
        raise Rejected("the model that decided is not here any more: name one", reason="no_model")
    names = _names(ports, decision) if rules is not None and book.contents.entries else None
    try:
        would = judged_by(decision, other, book, names)
    except KeyError as missing:
        raise Rejected(f"the decision stored no feature {missing}", reason="other_schema") from missing
    before = {(reason.source, reason.code) for reason in decision.reasons}
    after = {(reason.source, reason.code) for reason in would.reasons}
    return Otherwise(
        outcome=would.outcome,
        score=would.score,
        book_revision=book.revision,
        model_digest=other.digest if other else None,
        changed=would.outcome is not decision.outcome,
        gone=tuple(_why(decision, one) for one in decision.reasons if (one.source, one.code) not in after),
        new=tuple(_why(would, one) for one in would.reasons if (one.source, one.code) not in before),
    )


def _made_by(ports: Ports, decision: Decision) -> tuple[Model | None, Book | None]:
    model_of, book_of = makers(ports)
    try:
        return model_of(decision), book_of(decision)
    except ValueError:
        return model_of(decision), None


def _why(decision: Decision, reason: Reason) -> Why:
    return Why(source=reason.source, code=reason.code, weight=reason.weight, words=in_words(reason, decision))


def _by_model(decision: Decision, model: Model | None, book: Book | None) -> Outcome | None:
    if model is None or book is None or decision.score is None:
        return None
    return outcome_of_score(decision, decision.score, model, book)


def _recomputed(decision: Decision, model: Model | None, book: Book | None) -> bool | None:
    if book is None or (model is None and decision.model_digest is not None):
        return None
    try:
        return encode(recompute(decision, model, book)) == encode(decision)
    except ValueError:
        return None


def _knew(decision: Decision) -> Iterator[Knew]:
    seen: dict[str, datetime | None] = {one.entity: one.last_seen_at for one in decision.history}
    for feature in decision.features:
        entity = _ENTITY_OF.get(feature.name)
        last = seen.get(entity) if entity is not None else None
        yield Knew(
            name=feature.name,
            value=feature.value,
            entity=str(entity) if entity is not None else None,
            freshness=decision.occurred_at - last if last is not None else None,
        )


def _book(ports: Ports, rules: str) -> Book:
    match rules:
        case "shipped":
            return SHIPPED
        case "standing":
            return standing_book(ports.documents)
        case _ if rules.isascii() and rules.isdigit():
            if (kept := kept_book(ports.documents, int(rules))) is not None:
                return kept
            raise Rejected(f"there is no revision {rules} that can be read", reason="no_book")
        case _:
            raise Rejected(f"{rules!r} is no book: a revision's number, shipped or standing", reason="no_book")


def _model(ports: Ports, model: str) -> Model | None:
    if model == "none":
        return None
    line = line_in(ports.documents.get([CHAMPION])[0])
    named: dict[str, Any] = {"champion": line.current, "challenger": line.challenger}
    if model in named:
        if named[model] is None:
            raise Rejected(f"there is no {model}", reason="no_model")
        digest = named[model].digest
    else:
        begun = line.called(model)
        digest = begun[0] if len(begun) == 1 else model
    if len(digest) != 64:
        raise Rejected(f"{model!r} is no model: a digest, champion, challenger or none", reason="no_model")
    return artifacts.load(ports.models.load(digest), digest)


def _names(ports: Ports, decision: Decision) -> Names:
    at = decision.occurred_at
    asked = {
        "provider": decision.provider,
        "event_id": decision.event_id,
        "since": at,
        "until": at + timedelta(seconds=1),
    }
    rows = ports.warehouse.query(NAMES_SQL, asked, bound=ASKED)
    if not rows:
        raise Rejected(
            "the event that was decided on is not in the warehouse, so its lists cannot be asked", reason="no_event"
        )
    return Names.of(rows[0])
