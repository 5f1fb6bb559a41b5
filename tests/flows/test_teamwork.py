"""What people keep among themselves about disputes, and that a list costs what it shows."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import timeline
from shared.domain.disputes import Dispute
from shared.domain.errors import Rejected, UsedOtherwise
from shared.domain.events import DisputeStatus
from shared.flows.answering import AnswerTaken, DisputeUnknown, hold, mark, submit
from shared.flows.audit import Errand, audited, records
from shared.flows.dispute_desk import view
from shared.flows.filing import key_of
from shared.flows.ports import Create, Ports
from shared.flows.teamwork import (
    LONGEST,
    MOST_COMMENTS,
    MOST_VIEWS,
    NotKept,
    assign,
    comment,
    comments,
    in_queue,
    keep_view,
    views,
)
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_dispute_event
from tests.flows.counting import Counting
from tests.local import published

ANA, BO = "ana@shop.example", "bo@shop.example"


@pytest.fixture
def opened(ports: Ports) -> Dispute:
    event = a_dispute_event(status=DisputeStatus.NEEDS_RESPONSE, respond_by=NOON + 9 * DAY)
    track_dispute(event, ports, NOON)
    return view(ports.documents, event.provider, event.dispute_id)


def stored(ports: Ports, one: Dispute, number: int, assignee: str = "") -> None:
    """Another like it, as it is written."""
    other = replace(one, dispute_id=f"dp_{number:05}", queue=f"2026-04-01/{number:08}", assignee=assignee)
    ports.documents.commit([Create(key_of(other.provider, other.dispute_id), timeline.compact(other))])


def names(found: list[Dispute]) -> list[str]:
    return [one.dispute_id for one in found]


def test_whose_it_is_stands_in_every_list(ports: Ports, opened: Dispute) -> None:
    named = (opened.provider, opened.dispute_id)
    assert assign(ports, [named], f" {ANA.upper()} ") == 1
    assert assign(ports, [named, named], ANA) == 0
    assert names(in_queue(ports.documents, {"assignee": ANA, "status": "needs_response"}, 9)) == [opened.dispute_id]
    assert in_queue(ports.documents, {"assignee": ""}, 9) == []
    assert assign(ports, [named], "") == 1
    assert names(in_queue(ports.documents, {"assignee": ""}, 9)) == [opened.dispute_id]


def test_whose_it_is_outlives_what_the_provider_tells_next(ports: Ports, opened: Dispute) -> None:
    assign(ports, [(opened.provider, opened.dispute_id)], ANA)
    track_dispute(a_dispute_event(event_id="evt_2", respond_by=NOON + 8 * DAY, occurred_at=NOON + HOUR), ports, NOON)
    now = view(ports.documents, opened.provider, opened.dispute_id)
    assert now.assignee == ANA
    assert now.queue != opened.queue


def test_several_are_given_at_once_or_none_of_them(ports: Ports, opened: Dispute) -> None:
    with pytest.raises(DisputeUnknown):
        assign(ports, [(opened.provider, opened.dispute_id), ("stripe", "dp_nobody")], ANA)
    for to in ("ana", "a b@shop.example", "x" * 65 + "@shop.example"):
        with pytest.raises(NotKept):
            assign(ports, [(opened.provider, opened.dispute_id)], to)
    with pytest.raises(NotKept):
        assign(ports, [("stripe", f"dp_{n}") for n in range(51)], ANA)
    assert view(ports.documents, opened.provider, opened.dispute_id).assignee == ""


def test_fifty_are_given_in_one_read_and_one_commit(ports: Ports, opened: Dispute) -> None:
    for number in range(50):
        stored(ports, opened, number)
    documents = Counting(ports.documents)
    own = replace(ports, documents=documents)
    assert assign(own, [(opened.provider, f"dp_{number:05}") for number in range(50)], ANA) == 50
    assert (documents.reads, documents.commits) == (1, 1)


def test_a_list_is_one_query_of_as_many_as_it_shows(ports: Ports, opened: Dispute) -> None:
    for number in range(300):
        stored(ports, opened, number, assignee=(ANA, BO, "")[number % 3])
    documents = Counting(ports.documents)
    seen: list[str] = []
    after = None
    while page := in_queue(documents, {"assignee": ANA, "status": "needs_response"}, 40, after):
        seen += names(page)
        after = (page[-1].queue or "", f"{page[-1].provider}:{page[-1].dispute_id}")
    assert seen == [f"dp_{number:05}" for number in range(0, 300, 3)]
    assert (documents.reads, documents.documents) == (4, 100)


def test_a_comment_is_kept_once_and_names_nobody(ports: Ports, opened: Dispute) -> None:
    named = (ports, opened.provider, opened.dispute_id)
    comment(*named, "f-2", BO, "write to customer@music.example", NOON + HOUR)
    comment(*named, "f-1", ANA, "look at the login", NOON)
    comment(*named, "f-1", ANA, "look at the login", NOON + DAY)
    for by, text in ((ANA, "look at the invoice"), (BO, "look at the login")):
        with pytest.raises(UsedOtherwise, match="nothing was changed"):
            comment(*named, "f-1", by, text, NOON + DAY)
    told = comments(ports.documents, opened.provider, opened.dispute_id)
    assert [(one.by, one.text) for one in told] == [(ANA, "look at the login"), (BO, "write to [e-mail]")]


def test_comments_are_bounded_and_about_something(ports: Ports, opened: Dispute) -> None:
    for text in ("", "  \n ", "x" * (LONGEST + 1)):
        with pytest.raises(NotKept):
            comment(ports, opened.provider, opened.dispute_id, "f", ANA, text, NOON)
    with pytest.raises(DisputeUnknown):
        comment(ports, "stripe", "dp_nobody", "f", ANA, "hello", NOON)
    for number in range(MOST_COMMENTS):
        comment(ports, opened.provider, opened.dispute_id, f"f-{number}", ANA, "hello", NOON)
    with pytest.raises(NotKept):
        comment(ports, opened.provider, opened.dispute_id, "one-more", ANA, "hello", NOON)
    comment(ports, opened.provider, opened.dispute_id, "f-0", ANA, "hello", NOON)


def test_everybody_has_lists_of_their_own(ports: Ports) -> None:
    keep_view(ports, ANA, "Late ones", {"due": "over"})
    keep_view(ports, ANA, "Late ones", {"due": "over", "who": "me"})
    assert views(ports.documents, ANA) == {"Late ones": {"due": "over", "who": "me"}}
    assert views(ports.documents, BO) == {}
    keep_view(ports, ANA, "Late ones", None)
    assert views(ports.documents, ANA) == {}
    for number in range(MOST_VIEWS):
        keep_view(ports, ANA, f"view {number}", {})
    for name in ("one more", "", "x" * 61):
        with pytest.raises(NotKept):
            keep_view(ports, ANA, name, {})


def test_what_people_do_among_themselves_is_audited(ports: Ports, opened: Dispute) -> None:
    own = audited(ports, Errand(who=BO, why="for ana", what="dispute assign", at=NOON))
    assign(own, [(opened.provider, opened.dispute_id)], ANA)
    [made] = records(ports.documents, NOON - DAY, 9)
    assert (made.who, made.what, made.changes[0].name) == (
        BO,
        "dispute assign",
        f"disputes:{opened.provider}:{opened.dispute_id}",
    )


def test_who_decides_on_what_has_changed_meanwhile_is_told_and_nothing_is_done(ports: Ports, opened: Dispute) -> None:
    seen = mark(opened)
    named = (ports, opened.provider, opened.dispute_id)
    hold(*named, BO, "they call back", NOON, NOON + DAY, looked_at=seen)
    after = view(ports.documents, opened.provider, opened.dispute_id)
    assert published(ports, "dispute-updates") != []
    with pytest.raises(AnswerTaken, match="held, by bo") as error:
        submit(*named, ANA, "worth it", NOON + HOUR, looked_at=seen)
    assert error.value.reason == "changed_meanwhile"
    assert view(ports.documents, opened.provider, opened.dispute_id) == after
    assert published(ports, "dispute-updates") == []
    now = submit(*named, ANA, "worth it", NOON + timedelta(hours=2), looked_at=mark(after))
    assert now.answer is not None
    assert now.answer.by == ANA
    assert issubclass(AnswerTaken, Rejected)
