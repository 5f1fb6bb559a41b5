"""What only Square has: texts of 500 characters, keys of 45, types that take files alone; its own library as the oracle."""

import json
from dataclasses import replace

import pytest
import square
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.providers.square import answer
from tests.simulator.answering import (
    NOON,
    PNG,
    Caller,
    a_document,
    a_packet,
    accepting,
    multipart_parts,
    play,
)
from tests.simulator.answering.square import EXAMPLE, KEY, SquareDesk
from tests.simulator.desks import open_desk


def test_every_text_goes_as_square_names_it() -> None:
    desk = SquareDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        play(Caller(answer, running.url, KEY), EXAMPLE)
    told = set(desk.taken[0].told.values())
    assert "CARDHOLDER_INFORMATION: 203.0.113.7" in told
    assert "SERVICE_RECEIVED_DOCUMENTATION: 2026-10-01" in told
    assert "GENERIC_EVIDENCE: 3-D Secure: authenticated." in told
    assert "GENERIC_EVIDENCE: file" in told
    assert "ONLINE_OR_APP_ACCESS_LOG: file" in told


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=600), max_size=40))
def test_a_long_text_goes_whole_in_pieces_that_square_takes(words: list[str]) -> None:
    packet = a_packet(texts={Item.USAGE: " ".join(words)}, documents=())
    pieces = [text for _, text in answer._pieces(replace(EXAMPLE, packet=packet))]
    assert all(0 < len(piece) <= 500 for piece in pieces)
    assert "".join(pieces).replace(" ", "") == "".join(words)


def test_keys_have_at_most_45_characters_and_each_piece_its_own() -> None:
    texts = {Item.USAGE: "word " * 9_000}
    documents = tuple(a_document(Item.USAGE, name=f"file{at}.pdf") for at in range(12))
    contest = replace(EXAMPLE, packet=a_packet(texts=texts, documents=documents))
    desk = SquareDesk()
    desk.open(contest)
    with open_desk(desk, now=NOON) as running:
        # Every one is asked for by its name, without sending it.
        caller = Caller(answer, running.url, KEY)
        done: dict[str, str] = {}
        keys = []
        while (step := answer.next_step(contest, done, caller.api)) is not None:
            done[step.name] = "done"
            if step.keyed:
                body = step.request.body
                if step.name.startswith("file-"):
                    body = next(iter(multipart_parts(step.request.headers["Content-Type"], body)))[3]
                keys.append(json.loads(body)["idempotency_key"])
    assert max(map(len, keys)) <= 45
    assert len(set(keys)) == len(keys) == 90 + 12


def test_more_pieces_than_a_key_can_count_are_a_problem() -> None:
    assert answer.problems(replace(EXAMPLE, packet=a_packet(texts={Item.USAGE: "word " * 10_000})))


def test_an_inquiry_that_became_a_chargeback_is_over_as_an_inquiry() -> None:
    body = {"dispute": {"id": EXAMPLE.answer_id, "state": "EVIDENCE_REQUIRED"}}
    read = ApiAnswer(200, json.dumps(body).encode())
    assert answer.read_standing(replace(EXAMPLE, stage=DisputeStage.INQUIRY), read) is Standing.OVER
    assert answer.read_standing(EXAMPLE, read) is Standing.WAITS


@pytest.mark.parametrize(
    ("state", "submitting", "accept"),
    [
        ("INQUIRY_PROCESSING", Standing.ANSWERED, Standing.OVER),
        ("PROCESSING", Standing.ANSWERED, Standing.OVER),
        ("ACCEPTED", Standing.OVER, Standing.ANSWERED),
        ("LOST", Standing.OVER, Standing.OVER),
        ("WON", Standing.OVER, Standing.OVER),
        ("INQUIRY_CLOSED", Standing.OVER, Standing.OVER),
        ("A_NEW_STATE", Standing.UNKNOWN, Standing.UNKNOWN),
    ],
)
def test_what_square_says_of_a_dispute_is_where_it_stands(state: str, submitting: Standing, accept: Standing) -> None:
    read = ApiAnswer(200, json.dumps({"dispute": {"id": EXAMPLE.answer_id, "state": state}}).encode())
    assert answer.read_standing(EXAMPLE, read) is submitting
    assert answer.read_standing(accepting(EXAMPLE), read) is accept


def test_a_second_submission_that_comes_late_is_refused_in_squares_words() -> None:
    desk = SquareDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        caller = Caller(answer, running.url, KEY)
        final = play(caller, EXAMPLE).steps[-1]
        outcome = answer.read_step(EXAMPLE, final, caller.send(final.request))
    assert isinstance(outcome, Refused)
    assert outcome.code == "BAD_REQUEST"
    assert "PROCESSING" in outcome.told
    assert len(desk.taken) == 1


def test_a_dispute_that_still_waits_after_the_final_call_decides_nothing() -> None:
    desk = SquareDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        final = play(Caller(answer, running.url, KEY), EXAMPLE).steps[-1]
    body = {"dispute": {"id": EXAMPLE.answer_id, "state": "EVIDENCE_REQUIRED"}}
    with pytest.raises(Unreadable):
        answer.read_step(EXAMPLE, final, ApiAnswer(200, json.dumps(body).encode()))
    with pytest.raises(Unreadable):
        answer.read_step(EXAMPLE, final, ApiAnswer(409, b"{}"))


def test_squares_own_library_sends_what_we_send() -> None:
    desk = SquareDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        ours = play(Caller(answer, running.url, KEY), EXAMPLE).steps
        other = replace(EXAMPLE, dispute_id="ofTheLibrary", answer_id="ofTheLibrary")
        desk.open(other)
        before = len(running.calls)
        client = square.Square(token=KEY, base_url=running.url, version="2026-09-16")
        for step in ours:
            kind = step.name.partition("-")[0]
            if kind == "dispute":
                client.disputes.get(other.answer_id)
            elif kind == "text":
                client.disputes.create_evidence_text(other.answer_id, **json.loads(step.request.body))
            elif kind == "file":
                (_, _, _, asked), (_, name, media_type, data) = multipart_parts(
                    step.request.headers["Content-Type"], step.request.body
                )
                client.disputes.create_evidence_file(
                    other.answer_id, request=json.loads(asked), image_file=(name, data, media_type)
                )
            else:
                shown = client.disputes.submit_evidence(other.answer_id)
                assert shown.dispute is not None
                assert shown.dispute.state == "PROCESSING"
        theirs = running.calls[before:]
    assert PNG in [part[3] for call in theirs if "files" in call.path for part in parts_of(call.headers, call.body)]
    for call, step in zip(theirs, ours, strict=True):
        assert call.method == step.request.method
        own = step.request.url.removeprefix(running.url).replace(EXAMPLE.answer_id, other.answer_id)
        assert call.path == own
        assert call.headers["authorization"] == f"Bearer {KEY}"
        assert call.headers["square-version"] == step.request.headers["Square-Version"]
        headers = {name.lower(): value for name, value in step.request.headers.items()}
        if step.name.startswith("text-"):
            assert json.loads(call.body) == json.loads(step.request.body)
        elif step.name.startswith("file-"):
            assert parts_of(call.headers, call.body) == parts_of(headers, step.request.body)
    assert len(desk.taken) == 2


def parts_of(headers: dict[str, str], body: bytes) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for name, file_name, media_type, data in multipart_parts(headers["content-type"], body):
        found.append((name, file_name, media_type, json.loads(data) if name == "request" else data))
    return found
