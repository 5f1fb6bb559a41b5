"""The book of rules: published a revision at a time, read by the next decision, and kept for all that it decided."""

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.decisions import Action, Decision, Listed, Outcome
from shared.domain.errors import Rejected
from shared.flows.book_of_rules import BOOK, kept_book, publish_book
from shared.flows.decisions import of_stored
from shared.flows.ports import Key, Ports, Replace
from shared.flows.recompute_decisions import Recomputed, recompute_decisions
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.book import SHIPPED, Contents
from shared.fraud.lists import Entry
from shared.fraud.parsing import parse
from shared.fraud.rules import Rule, Scope, State
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event
from tests.flows.counting import Counting
from tests.local import published


def a_rule(code: str = "any_amount", sql: str = "amount >= 0", **changes: Any) -> Rule:
    made: dict[str, Any] = {"outcome": Outcome.REVIEW, "state": State.LIVE} | changes
    return Rule(code=code, sql=sql, tree=parse(sql), **made)


def publish(ports: Ports, *rules: Rule, after: int | None = None) -> int:
    return publish_book(ports, Contents(rules=rules), NOON, after=after, author="ana", why="a wave")


def decided(ports: Ports, scorer: Scorer, minute: int) -> Decision:
    at = NOON + minute * MINUTE
    score_payment(a_payment_event(payment_id=f"pi_{minute}", occurred_at=at), ports, at, scorer)
    [row] = [row for row in published(ports, "fraud-decisions") if row["payment_id"] == f"pi_{minute}"]
    [stored] = ports.documents.get([Key("decisions", f"stripe:pi_{minute}")])
    assert stored is not None
    ports.warehouse.append("fraud_decisions", [row])
    return of_stored(stored.document)


def test_without_a_book_what_is_shipped_decides_and_with_one_it_does_within_a_minute(ports: Ports) -> None:
    scorer = Scorer(use_model=False)
    first = decided(ports, scorer, 0)
    assert (first.outcome, first.rules_version, first.book_revision) == (
        Outcome.APPROVE,
        SHIPPED.table.version,
        None,
    )
    assert publish(ports, a_rule()) == 1
    second = decided(ports, scorer, 1)
    assert (second.outcome, second.book_revision) == (Outcome.REVIEW, 1)
    assert second.rules_version != first.rules_version


def test_a_rule_in_shadow_is_told_and_changes_nothing_and_a_draft_is_not_told(ports: Ports) -> None:
    publish(ports, a_rule(state=State.SHADOW), a_rule("draft", state=State.DRAFT))
    decision = decided(ports, Scorer(use_model=False), 0)
    assert (decision.outcome, decision.reasons, decision.shadow) == (Outcome.APPROVE, (), ("any_amount",))


def test_a_rule_judges_the_segments_of_its_scope_only(ports: Ports) -> None:
    publish(ports, a_rule(scope=Scope(providers=("adyen",))), a_rule("here", scope=Scope(providers=("stripe",))))
    assert [reason.code for reason in decided(ports, Scorer(use_model=False), 0).reasons] == ["here"]


def test_a_book_that_cannot_be_read_is_alarmed_and_the_one_before_goes_on(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    publish(ports, a_rule())
    scorer = Scorer(use_model=False)
    decided(ports, scorer, 0)
    [found] = ports.documents.get([BOOK])
    assert found is not None
    broken = {**found.document, "revision": 2, "contents": '{"rules": [{"code": 1}]}'}
    ports.documents.commit([Replace(BOOK, broken, found.version)])
    assert decided(ports, scorer, 2).book_revision == 1
    assert "book_not_loaded" in [record.message for record in caplog.records]


def test_the_book_is_read_along_with_a_payment_once_a_minute(ports: Ports) -> None:
    counting = Counting(ports.documents)
    scorer = Scorer(use_model=False)
    for minute in (0, 1, 2):
        decided(replace(ports, documents=counting), scorer, minute)
    # One of ours a payment, and the test's own look at the decision.
    assert counting.reads == 6
    assert scorer.keys(NOON + 2 * MINUTE) == []
    assert scorer.keys(NOON + 3 * MINUTE) == [BOOK]


def test_every_decision_is_computed_again_by_the_book_that_made_it(ports: Ports) -> None:
    scorer = Scorer(use_model=False)
    decided(ports, scorer, 0)
    publish(ports, a_rule())
    decided(ports, scorer, 2)
    publish(ports, after=1)
    decided(ports, scorer, 4)
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(3, 3, 0, 0)


def test_who_changes_an_old_revision_is_told_and_nothing_changes(ports: Ports) -> None:
    publish(ports, a_rule())
    with pytest.raises(Rejected, match="at revision 1 by now"):
        publish(ports, a_rule("other"))
    assert publish(ports, a_rule("other"), after=1) == 2
    kept = kept_book(ports.documents, 1)
    assert kept is not None
    assert [rule.code for rule in kept.contents.rules] == ["any_amount"]


@pytest.mark.parametrize(
    "rules", [(a_rule(), a_rule()), (replace(a_rule(), tree=[">=", "nobody", 1]),)], ids=["two of one code", "no tree"]
)
def test_a_book_by_which_nobody_can_judge_is_refused(ports: Ports, rules: tuple[Rule, ...]) -> None:
    with pytest.raises(Rejected):
        publish(ports, *rules)
    assert ports.documents.get([BOOK]) == [None]


@pytest.mark.parametrize(
    ("action", "days", "outcome"),
    [
        (Action.BLOCK, 1, Outcome.DECLINE),
        (Action.BLOCK, -1, Outcome.REVIEW),
        (Action.ALLOW, 1, Outcome.APPROVE),
        (Action.ALLOW, -1, Outcome.REVIEW),
    ],
)
def test_a_list_names_who_is_stopped_and_who_is_let_pass_until_its_day(
    ports: Ports, action: Action, days: int, outcome: Outcome
) -> None:
    domain = a_payment_event().email_domain
    assert domain
    entry = Entry(action=action, kind="email_domain", value=domain, until=NOON + days * DAY)
    contents = Contents(rules=(a_rule(),), entries=(entry,))
    publish_book(ports, contents, NOON, after=None, author="ana", why="a wave")
    decision = decided(ports, Scorer(use_model=False), 0)
    assert decision.outcome is outcome
    assert decision.listed == ((Listed(action=action, kind="email_domain"),) if days > 0 else ())
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 1, 0, 0)


def test_a_list_does_not_let_pass_what_a_rule_declines(ports: Ports) -> None:
    entry = Entry(action=Action.ALLOW, kind="country", value="DE", until=NOON + DAY)
    rules = (a_rule(outcome=Outcome.DECLINE),)
    publish_book(ports, Contents(rules=rules, entries=(entry,)), NOON, after=None, author="ana", why="a partner")
    assert decided(ports, Scorer(use_model=False), 0).outcome is Outcome.DECLINE
