"""By what disputes are decided: published a version at a time, taken up by the next decision, and named by it."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.disputes.strategy import SHIPPED, SOONEST, Costs, Count, Outcomes, Strategy, decide
from shared.domain.codec import decode, encode
from shared.domain.errors import Rejected
from shared.domain.events import DisputeReason
from shared.flows.ports import Ports, Replace
from shared.flows.revisions import Overtaken
from shared.flows.strategies import (
    STRATEGIES,
    StandingStrategy,
    Undecidable,
    kept_strategy,
    publish_strategy,
    rehearse,
    standing_strategy,
)
from tests.builders import MINUTE, NOON, SECOND, a_dispute_event, dispute_after
from tests.flows.counting import Counting

CAREFUL = replace(
    SHIPPED, costs={"EUR": Costs(answer=100, accept_below=0, programme_item=800, dispute_fee=1500, refund_below=0)}
)


def publish(ports: Ports, strategy: Strategy = CAREFUL, after: int = 0) -> int:
    return publish_strategy(ports, strategy, NOON, after=after, author="ana@shop.example", why="nothing is given away")


def at(strategy: StandingStrategy, ports: Ports, now: datetime) -> int:
    return strategy.at(ports.documents, now).version


def test_what_is_shipped_is_version_0_and_what_is_published_counts_from_there_and_stays(ports: Ports) -> None:
    assert standing_strategy(ports.documents) == SHIPPED
    assert publish(ports) == 1
    assert publish(ports, SHIPPED, after=1) == 2
    assert standing_strategy(ports.documents) == replace(SHIPPED, version=2)
    assert kept_strategy(ports.documents, 1) == replace(CAREFUL, version=1)
    assert kept_strategy(ports.documents, 0) == SHIPPED
    assert kept_strategy(ports.documents, 3) is None
    newest, first = STRATEGIES.history(ports.documents, before=None, limit=5)
    assert (newest.revision, newest.after, first.author, first.why) == (
        2,
        1,
        "ana@shop.example",
        "nothing is given away",
    )


def test_of_two_people_who_change_one_version_the_second_is_told_and_nothing_changes(ports: Ports) -> None:
    publish(ports)
    with pytest.raises(Overtaken, match="the strategy is at revision 1 by now"):
        publish(ports, SHIPPED)
    assert standing_strategy(ports.documents).version == 1


def test_nobody_changes_it_without_a_name_or_a_reason(ports: Ports) -> None:
    with pytest.raises(Rejected, match="an author and a reason"):
        publish_strategy(ports, CAREFUL, NOON, after=0, author="ana", why="")
    assert standing_strategy(ports.documents) == SHIPPED


def test_however_many_are_decided_it_is_looked_for_once_a_minute(ports: Ports) -> None:
    documents, strategy = Counting(ports.documents), StandingStrategy()
    counted = replace(ports, documents=documents)
    assert {at(strategy, counted, NOON + second * SECOND) for second in range(60)} == {0}
    assert documents.reads == 1
    publish(ports)
    assert at(strategy, counted, NOON + 59 * SECOND) == 0
    assert at(strategy, counted, NOON + MINUTE) == 1
    assert documents.reads == 2


def test_one_that_cannot_be_read_is_alarmed_and_the_one_before_goes_on(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    strategy = StandingStrategy()
    publish(ports)
    assert at(strategy, ports, NOON) == 1
    [found] = ports.documents.get([STRATEGIES.standing])
    assert found is not None
    newer = {**found.document, "revision": 2, "contents": '{"priors": {"fraud": 0.5}}'}
    ports.documents.commit([Replace(STRATEGIES.standing, newer, found.version)])
    assert at(strategy, ports, NOON + MINUTE) == 1
    assert at(StandingStrategy(), ports, NOON) == 0
    assert [entry.message for entry in caplog.records if entry.levelname == "ERROR"] == ["strategy_not_loaded"] * 2


TINY = [
    Strategy(weight=1e-300, priors=dict.fromkeys(DisputeReason, 1e-300)),
    Strategy(weight=1e-5, priors={**SHIPPED.priors, DisputeReason.OTHER: 5e-324}),
]


@pytest.mark.parametrize("strategy", TINY)
def test_one_that_does_not_decide_every_dispute_is_not_published(ports: Ports, strategy: Strategy) -> None:
    with pytest.raises(
        Undecidable, match=r"no dispute could be decided by priors\.(fraud|other) .*e-3\d\d with the weight"
    ):
        publish(ports, strategy)
    assert standing_strategy(ports.documents) == SHIPPED


def test_where_one_decides_nothing_all_the_same_what_is_shipped_decides_and_somebody_is_called(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    STRATEGIES.publish(ports.documents, encode(TINY[0]), NOON, after=None, author="ana", why="before it was rehearsed")
    dispute, strategy = dispute_after(a_dispute_event()), StandingStrategy()
    verdict = strategy.decided(
        ports.documents,
        NOON,
        lambda rules: decide(
            dispute, packet_completeness=1.0, compelling=None, outcomes=Outcomes(), strategy=rules, now=NOON
        ),
    )
    assert verdict.by == "strategy/0"
    assert verdict.p_win == pytest.approx(SHIPPED.priors[DisputeReason.FRAUD])
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == ["strategy_not_loaded"]
    assert strategy.decided(ports.documents, NOON, lambda rules: rules.version) == 1


amounts = st.integers(0, 10**9)
hours = st.integers(SOONEST // timedelta(hours=1), 720).map(lambda number: timedelta(hours=number))


@given(
    st.builds(
        Strategy,
        priors=st.fixed_dictionaries({reason: st.floats(0.001, 0.999) for reason in DisputeReason}),
        weight=st.floats(0.1, 1e4),
        costs=st.dictionaries(
            st.sampled_from(["EUR", "JPY", "KWD"]),
            st.builds(Costs, **{one.name: amounts for one in fields(Costs)}),
        ),
        announced=hours,
        buffer=hours,
    )
)
def test_what_is_kept_is_read_as_it_was_written(strategy: Strategy) -> None:
    assert decode(encode(strategy), Strategy) == strategy


@settings(max_examples=30, deadline=None)
@given(
    st.builds(
        Strategy,
        priors=st.fixed_dictionaries({reason: st.floats(0.001, 0.999) for reason in DisputeReason}),
        weight=st.floats(0.1, 1e4),
        completeness=st.floats(0, 1),
        unproven=st.floats(0, 0.5, exclude_min=True, exclude_max=True),
    ),
    st.sampled_from([Count(), Count(won=10**7), Count(lost=10**7), Count(won=1, lost=10**7)]),
)
def test_what_may_be_published_decides_whatever_became_of_our_disputes(strategy: Strategy, count: Count) -> None:
    rehearse(strategy, NOON)
    verdict = decide(
        dispute_after(a_dispute_event()),
        packet_completeness=1.0,
        compelling=None,
        outcomes=Outcomes(counts={("fraud", "visa", "stripe"): count}),
        strategy=strategy,
        now=NOON,
    )
    assert verdict.p_win is not None
    assert verdict.interval is not None
    assert 0 <= verdict.interval[0] <= verdict.p_win <= verdict.interval[1] <= 1
