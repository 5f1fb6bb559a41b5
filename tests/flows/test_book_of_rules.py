"""The book of rules: published a revision at a time, read by the next decision, and kept for all that it decided."""

import json
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from shared.domain.decisions import Action, Decision, Listed, Outcome
from shared.domain.errors import Rejected
from shared.flows.book_of_rules import BOOK, BOOKS, kept_book, publish_book, restore_book, standing_book
from shared.flows.decisions import of_stored
from shared.flows.ports import Key, Ports, Replace
from shared.flows.recompute_decisions import Recomputed, recompute_decisions
from shared.flows.revisions import LARGEST, Overtaken
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.fraud.book import FORMER_RULES, SHIPPED, SHIPPED_RULES, Book, Contents
from shared.fraud.lists import Entry
from shared.fraud.parsing import parse
from shared.fraud.policy import Costs, Exemptions, Limits, Policy, Thresholds
from shared.fraud.rules import LastChange, Rule, Scope, State
from tests.builders import DAY, HOUR, MINUTE, NOON, a_payment_event
from tests.flows.counting import Counting
from tests.local import published

STRICT = Thresholds(challenge=0.1, review=0.2, decline=0.3)
OWN: Any = {"owner": "risk", "reason": "cards of a breach"}


def a_rule(code: str = "any_amount", sql: str = "amount >= 0", **changes: Any) -> Rule:
    made: dict[str, Any] = {"outcome": Outcome.REVIEW, "state": State.LIVE, **OWN} | changes
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
    entry = Entry(action=action, kind="email_domain", value=domain, until=NOON + days * DAY, **OWN)
    contents = Contents(rules=(a_rule(),), entries=(entry,))
    publish_book(ports, contents, NOON, after=None, author="ana", why="a wave")
    decision = decided(ports, Scorer(use_model=False), 0)
    assert decision.outcome is outcome
    assert decision.listed == ((Listed(action=action, kind="email_domain"),) if days > 0 else ())
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 1, 0, 0)


def test_a_list_does_not_let_pass_what_a_rule_declines(ports: Ports) -> None:
    entry = Entry(action=Action.ALLOW, kind="country", value="DE", until=NOON + DAY, **OWN)
    rules = (a_rule(outcome=Outcome.DECLINE),)
    publish_book(ports, Contents(rules=rules, entries=(entry,)), NOON, after=None, author="ana", why="a partner")
    assert decided(ports, Scorer(use_model=False), 0).outcome is Outcome.DECLINE


UNOWNED = a_rule("old", owner="", reason="")
UNSEEN = {"owner": "\u200b\u3164", "reason": "\u2800"}


def of_before(ports: Ports, *rules: Rule) -> None:
    """A book that was published when nobody asked who owns what in it: its parts are as they were stored then."""
    parts: list[dict[str, Any]] = [msgspec.to_builtins(rule) for rule in rules]
    for part in parts:
        del part["changed"]
    contents = msgspec.json.encode({"rules": parts, "entries": [], "policy": {}})
    BOOKS.publish(ports.documents, contents, NOON, after=None, author="ana", why="long ago")


def stands(ports: Ports) -> Contents:
    return standing_book(ports.documents).contents


def signed(ports: Ports) -> dict[str, tuple[int, str] | None]:
    return {rule.code: _by(rule.changed) for rule in stands(ports).rules}


def _by(change: LastChange | None) -> tuple[int, str] | None:
    return (change.revision, change.author) if change else None


@pytest.mark.parametrize("words", [{"owner": ""}, {"reason": ""}, {"owner": " ", "reason": "\t"}, UNSEEN])
@pytest.mark.parametrize(
    ("part", "named"),
    [
        (a_rule("loose"), "book.rules[1] loose"),
        (
            Entry(action=Action.BLOCK, kind="country", value="DE", until=NOON + DAY, **OWN),
            "book.entries[0] (block by country)",
        ),
        (
            Entry(action=Action.SNOOZE, kind="bin", value="424242", rule="any_amount", until=NOON + DAY, **OWN),
            "book.entries[0] (snooze by bin)",
        ),
        (Limits(name="trial", costs=Costs(), **OWN), "book.policy.limits[0] trial"),
        (Exemptions(name="eea", low_value=True, **OWN), "book.policy.exemptions[0] eea"),
    ],
    ids=["rule", "entry", "snooze", "limits", "exemptions"],
)
def test_whatever_is_new_in_a_book_has_an_owner_and_a_reason_of_its_own(
    ports: Ports, part: Any, named: str, words: dict[str, str]
) -> None:
    def of(part: Rule | Entry | Limits | Exemptions) -> Contents:
        match part:
            case Rule():
                return Contents(rules=(a_rule(), part))
            case Entry():
                return Contents(rules=(a_rule(),), entries=(part,))
            case Limits():
                return Contents(policy=Policy(limits=(part,)))
            case Exemptions():
                return Contents(policy=Policy(exemptions=(part,)))

    missing = re.escape(f"{named}: give its {' and its '.join(sorted(words))}")
    with pytest.raises(Rejected, match=missing):
        publish_book(ports, of(replace(part, **words)), NOON, after=None, author="ana", why="a wave")
    assert ports.documents.get([BOOK]) == [None]
    assert publish_book(ports, of(part), NOON, after=None, author="ana", why="a wave") == 1


def test_a_book_of_before_decides_is_read_and_stays_as_it_was_in_the_next_one(ports: Ports) -> None:
    of_before(ports, UNOWNED)
    assert [reason.code for reason in decided(ports, Scorer(use_model=False), 0).reasons] == ["old"]
    assert publish(ports, *stands(ports).rules, a_rule("new"), after=1) == 2
    assert stands(ports).rules[0] == UNOWNED
    assert signed(ports) == {"old": None, "new": (2, "ana")}
    assert recompute_decisions(ports, NOON + HOUR, 10, DAY) == Recomputed(1, 1, 0, 0)


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        (replace(UNOWNED, state=State.SHADOW), True),
        (replace(UNOWNED, state=State.RETIRED), True),
        (replace(UNOWNED, outcome=Outcome.DECLINE), False),
        (replace(UNOWNED, scope=Scope(countries=("DE",))), False),
        (replace(UNOWNED, state=State.RETIRED, sql="amount >= 1", tree=parse("amount >= 1")), False),
        (replace(UNOWNED, outcome=Outcome.DECLINE, **OWN), True),
        (replace(UNOWNED, code="as_it_was"), False),
    ],
    ids=["shadow", "retired", "harder", "elsewhere", "retired and other", "owned", "another name"],
)
def test_a_rule_that_nobody_owned_may_be_taken_out_of_force_and_is_changed_by_whoever_owns_it(
    ports: Ports, changed: Rule, taken: bool
) -> None:
    of_before(ports, UNOWNED)
    if taken:
        assert publish(ports, changed, after=1) == 2
        assert signed(ports) == {"old": (2, "ana")}
    else:
        with pytest.raises(Rejected, match="give its owner and its reason"):
            publish(ports, changed, after=1)


def test_a_rule_that_nobody_owned_is_let_decide_again_by_whoever_owns_it(ports: Ports) -> None:
    of_before(ports, replace(UNOWNED, state=State.SHADOW))
    with pytest.raises(Rejected, match=re.escape("book.rules[0] old: give its owner")):
        publish(ports, UNOWNED, after=1)
    assert publish(ports, replace(UNOWNED, **OWN), after=1) == 2


def test_what_had_an_owner_does_not_lose_it(ports: Ports) -> None:
    publish(ports, a_rule())
    with pytest.raises(Rejected, match="give its owner"):
        publish(ports, a_rule(owner=""), after=1)


def test_each_part_of_a_book_says_who_changed_it_last_and_when_whatever_was_sent(ports: Ports) -> None:
    entry = Entry(action=Action.BLOCK, kind="country", value="DE", until=NOON + DAY, **OWN)
    policy = Policy(limits=(Limits(name="all", costs=Costs(), **OWN),), exemptions=(Exemptions(name="eea", **OWN),))
    first = Contents(rules=(a_rule(), a_rule("other")), entries=(entry,), policy=policy)
    publish_book(ports, first, NOON, after=None, author="ana", why="a wave")
    forged = LastChange(revision=7, author="eve", at=NOON - DAY)
    rules = (replace(a_rule(), changed=forged), a_rule("other", outcome=Outcome.DECLINE, changed=forged))
    publish_book(ports, replace(first, rules=rules), NOON + HOUR, after=1, author="ben", why="stricter")
    by_ana = LastChange(revision=1, author="ana", at=NOON)
    by_ben = LastChange(revision=2, author="ben", at=NOON + HOUR)
    now = stands(ports)
    assert [rule.changed for rule in now.rules] == [by_ana, by_ben]
    assert [part.changed for part in (now.entries[0], now.policy.limits[0], now.policy.exemptions[0])] == [by_ana] * 3


def test_what_is_taken_back_is_as_it_was_signed_also_where_nobody_owned_it(ports: Ports) -> None:
    of_before(ports, UNOWNED)
    publish(ports, a_rule(), after=1)
    assert restore_book(ports, 1, NOON + HOUR, after=2, author="ben", why="it was right") == 3
    assert signed(ports) == {"old": None}
    restore_book(ports, 2, NOON + HOUR, after=3, author="ben", why="it was not")
    assert signed(ports) == {"any_amount": (2, "ana")}


@pytest.mark.parametrize(
    ("sent", "by_ben"),
    [("abc", ""), ("bac", "b"), ("cab", "c"), ("bca", "bc"), ("ac", ""), ("dabc", "d"), ("cb", "c"), ("aabc", "a")],
)
def test_whoever_puts_limits_or_exemptions_before_others_signs_them_for_the_first_decides(
    ports: Ports, sent: str, by_ben: str
) -> None:
    def of(names: str) -> Contents:
        limits = tuple(Limits(name=name, costs=Costs(), **OWN) for name in names)
        return Contents(policy=Policy(limits=limits, exemptions=tuple(Exemptions(name=name, **OWN) for name in names)))

    publish_book(ports, of("abc"), NOON, after=None, author="ana", why="a wave")
    publish_book(ports, of(sent), NOON + HOUR, after=1, author="ben", why="this one first")
    policy = stands(ports).policy
    for parts in (policy.limits, policy.exemptions):
        assert "".join(one.name for one in parts) == sent
        assert "".join(one.name for one in parts if _by(one.changed) == (2, "ben")) == by_ben


@pytest.mark.parametrize("after", [None, 99])
def test_whose_book_is_overtaken_hears_that_before_what_is_wrong_in_it(ports: Ports, after: int | None) -> None:
    publish(ports, a_rule())
    for rule in (UNOWNED, replace(a_rule(), tree=[">=", "nobody", 1])):
        with pytest.raises(Overtaken, match="at revision 1 by now"):
            publish(ports, rule, after=after)


def test_a_book_of_before_that_is_as_long_as_may_be_is_changed_and_taken_back_to_the_byte(ports: Ports) -> None:
    rule = {"code": "old", "outcome": "review", "sql": "amount >= 0", "tree": [">=", "amount", 0], "state": "live"}
    entry = {"action": "block", "kind": "email_domain", "until": "2027-01-01T00:00:00Z", "rule": None}
    listed = [entry | {"value": f"d{n:05}.example", "owner": "", "reason": ""} for n in range(3968)]
    old = msgspec.json.encode({"rules": [rule], "entries": listed, "policy": {}})
    assert LARGEST - 1_000 < len(old) <= LARGEST
    BOOKS.publish(ports.documents, old, NOON, after=None, author="ana", why="long ago")
    stood = stands(ports)
    shadowed = replace(stood, rules=(replace(stood.rules[0], state=State.SHADOW),))
    assert publish_book(ports, shadowed, NOON, after=1, author="ben", why="harm") == 2
    assert stands(ports).entries == stood.entries
    assert restore_book(ports, 1, NOON, after=2, author="ben", why="no harm") == 3
    kept = BOOKS.now(ports.documents)
    assert kept is not None
    assert kept["contents"] == old.decode()


def test_who_wrote_a_part_is_in_no_version(ports: Ports) -> None:
    limits = Limits(name="all", costs=Costs(), **OWN)
    contents = Contents(rules=(a_rule(),), policy=Policy(limits=(limits,)))
    publish_book(ports, contents, NOON, after=None, author="ana", why="a wave")
    book, unsigned = standing_book(ports.documents), Book(contents)
    assert book.table.version == unsigned.table.version
    assert [rule.version for rule in book.contents.rules] == [rule.version for rule in contents.rules]
    assert book.policy.version(STRICT) == unsigned.policy.version(STRICT)


def test_every_part_that_releases_shipped_has_an_owner_and_a_reason() -> None:
    former = json.loads(FORMER_RULES.read_bytes())
    told = [rule for rules in former.values() for rule in rules] + json.loads(SHIPPED_RULES.read_bytes())
    assert [rule["code"] for rule in told if not (rule.get("owner") and rule.get("reason"))] == []
