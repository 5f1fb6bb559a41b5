"""Whom a night of training calls: nobody on an ordinary one, whatever comes twice, late or as a job of its own."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from shared.domain.telemetry import told_instead
from shared.flows.champions import TRAINED
from shared.flows.nights import IN_A_ROW, Night, Verdict, remember, tell_last
from shared.flows.ports import Create, Documents
from shared.flows.train_model import on_request
from shared.flows.training_job import Elsewhere
from tests.builders import DAY, HOUR, NOON
from tests.local import local_ports

REFUSED, WORSE, PASSED, LACKING = Verdict.REFUSED, Verdict.WORSE, Verdict.PASSED, Verdict.LACKING


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    return local_ports(tmp_path).documents


@pytest.fixture
def calls() -> Iterator[list[tuple[str, object, object]]]:
    """What somebody was called for: the alarm, its reason, and how many nights."""
    told: list[tuple[str, object, object]] = []
    with told_instead(lambda _, event, fields: told.append((event, fields["reason"], fields.get("nights")))):
        yield told


def night(documents: Documents, verdict: Verdict, at: datetime) -> Night:
    made = remember(documents, Night(trained_at=at, night=at, verdict=verdict, digest="d", objections="so it is"))
    tell_last(documents, at)
    return made


def nights(documents: Documents, *verdicts: Verdict, since: datetime = NOON) -> list[int]:
    return [night(documents, verdict, since + place * DAY).refused for place, verdict in enumerate(verdicts)]


def test_a_night_on_which_the_new_model_is_merely_no_better_calls_nobody(
    documents: Documents, calls: Sequence[object]
) -> None:
    assert nights(documents, REFUSED, PASSED, *[REFUSED] * (IN_A_ROW - 1), PASSED, REFUSED) == [
        1,
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        0,
        1,
    ]
    assert calls == []


def test_a_model_that_is_worse_beyond_chance_calls_somebody_at_once(
    documents: Documents, calls: Sequence[object]
) -> None:
    nights(documents, PASSED, WORSE, WORSE)
    assert calls == [("model_refused", "worse", 1), ("model_refused", "worse", 2)]


def test_refusals_in_a_row_call_somebody_and_again_after_as_many_more(
    documents: Documents, calls: Sequence[object]
) -> None:
    nights(documents, *[REFUSED] * (2 * IN_A_ROW + 1))
    assert calls == [("model_refused", "in_a_row", IN_A_ROW), ("model_refused", "in_a_row", 2 * IN_A_ROW)]


def test_a_night_that_is_told_twice_or_late_counts_once(documents: Documents, calls: Sequence[object]) -> None:
    for place in range(IN_A_ROW - 1):
        assert night(documents, REFUSED, NOON + place * DAY).refused == place + 1
        assert night(documents, REFUSED, NOON + place * DAY + HOUR).refused == place + 1
    for verdict in (PASSED, REFUSED):
        night(documents, verdict, NOON)  # days late
    assert calls == []
    for _ in range(2):
        assert night(documents, REFUSED, NOON + IN_A_ROW * DAY).refused == IN_A_ROW
    assert calls == [("model_refused", "in_a_row", IN_A_ROW)]


@pytest.mark.parametrize(
    "the_same_night",
    [[LACKING, REFUSED], [REFUSED, LACKING, REFUSED], [PASSED, REFUSED, WORSE], [LACKING, LACKING, REFUSED]],
)
def test_a_night_that_came_to_several_things_counts_once_where_it_was_refused(
    documents: Documents, calls: Sequence[object], the_same_night: Sequence[Verdict]
) -> None:
    nights(documents, *[REFUSED] * 3)
    for place, verdict in enumerate(the_same_night):
        last = night(documents, verdict, NOON + 3 * DAY + place * HOUR)
    before = 0 if PASSED in the_same_night else 3
    assert last.refused == before + 1
    assert nights(documents, *[REFUSED] * (IN_A_ROW - before - 1), since=NOON + 4 * DAY)[-1] == IN_A_ROW
    assert calls[-1] == ("model_refused", "in_a_row", IN_A_ROW)


def test_a_night_that_comes_to_something_else_is_news(documents: Documents, calls: Sequence[object]) -> None:
    for verdict in (LACKING, LACKING, WORSE, WORSE):
        night(documents, verdict, NOON)
    assert calls == [("training_refused", "so it is", None), ("model_refused", "worse", 1)]


def test_too_little_data_calls_somebody_and_neither_counts_nor_ends_the_row(
    documents: Documents, calls: Sequence[object]
) -> None:
    assert nights(documents, REFUSED, LACKING, REFUSED) == [1, 1, 2]
    assert calls == [("training_refused", "so it is", None)]


def test_a_challenger_that_somebody_asks_for_changes_nothing_but_when_training_ended_last(
    documents: Documents, calls: Sequence[object]
) -> None:
    before = night(documents, REFUSED, NOON)
    # On the day of the next night, before it.
    aside = remember(documents, Night(trained_at=NOON + DAY - HOUR))
    assert (aside.refused, aside.night, aside.trained_at) == (1, before.night, NOON + DAY - HOUR)
    later = remember(documents, Night(trained_at=NOON + DAY + HOUR))
    assert night(documents, REFUSED, NOON + DAY).refused == 2
    [kept] = documents.get([TRAINED])
    assert kept is not None
    assert kept.document["trained_at"] == later.trained_at


def test_a_release_before_said_only_when_training_ended(documents: Documents, calls: Sequence[object]) -> None:
    documents.commit([Create(TRAINED, {"trained_at": NOON})])
    tell_last(documents, NOON)
    assert calls == []
    assert night(documents, REFUSED, NOON + DAY).refused == 1


class Started:
    """Jobs that start, and are never heard of again."""

    def settled(self, tick: str) -> bool:
        return False

    def start(self, tick: str, arguments: Sequence[str]) -> None:
        pass


NONE_HERE = Elsewhere(-1, Started())


def test_what_a_job_found_is_told_by_the_next_nights_tick(tmp_path: Path) -> None:
    ports = local_ports(tmp_path)
    remember(ports.documents, Night(trained_at=NOON, night=NOON, verdict=WORSE, objections="worse than the champion"))
    told = []
    challenger = json.dumps({"as_challenger": True}).encode()
    # The tick, its copy, a challenger that somebody asks for, and the night after a job that died.
    for after, asked in ((DAY, b"{}"), (DAY, b"{}"), (DAY, challenger), (2 * DAY, b"{}")):
        with told_instead(lambda _, event, fields: told.append((event, fields.get("objections")))):
            on_request(ports, NOON + after, asked, NONE_HERE)
    started = ("training_job_started", None)
    assert told == [started, ("model_refused", "worse than the champion"), started, started, started]


def test_a_night_of_days_ago_is_not_told_any_more(documents: Documents, calls: Sequence[object]) -> None:
    remember(documents, Night(trained_at=NOON, night=NOON, verdict=WORSE))
    tell_last(documents, NOON + 3 * DAY)
    assert calls == []


def test_a_release_before_told_without_noting_it(documents: Documents, calls: Sequence[object]) -> None:
    documents.commit([Create(TRAINED, {"trained_at": NOON, "night": NOON, "verdict": "worse", "refused": 3})])
    for _ in range(2):
        tell_last(documents, NOON + DAY)
    assert calls == [("model_refused", "worse", 3)]
    assert night(documents, REFUSED, NOON + DAY).refused == 4
