import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.codec import decode, decode_event, encode, encode_event, from_document, to_document, utc_text
from shared.domain.errors import Unreadable
from shared.domain.events import (
    AnyEvent,
    Card,
    PayoutChanged,
)
from shared.fraud.decide import decide
from shared.fraud.features import Attempt
from shared.fraud.history import Known
from tests.builders import NOON, a_payment_event
from tests.plausible import EVENTS

ROOT = Path(__file__).resolve().parents[2]


@given(EVENTS)
def test_every_event_comes_back_from_its_bytes_and_its_document(event: AnyEvent) -> None:
    assert decode_event(encode_event(event)) == event
    assert from_document(to_document(event), type(event)) == event


@given(EVENTS)
def test_the_same_event_always_gives_the_same_bytes(event: AnyEvent) -> None:
    assert encode_event(event) == encode_event(decode_event(encode_event(event)))


# Alone in a process, for a class is learned once, and what goes wrong ends the process.
AT_ONCE = """
import sys, threading
sys.setswitchinterval(1e-6)
from shared.domain.codec import decode
from shared.domain.decisions import Decision
data, start = sys.stdin.buffer.read(), threading.Barrier(32)
def read():
    start.wait()
    decode(data, Decision)
threads = [threading.Thread(target=read) for _ in range(32)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_many_threads_may_read_by_a_class_that_none_has_read_by_before() -> None:
    attempt = Attempt.of(a_payment_event())
    data = encode(decide(Known(attempt, dict.fromkeys(attempt.entities)), None, NOON))
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, input=data, capture_output=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_newer_writers_extra_member_does_not_stop_an_older_reader() -> None:
    assert decode(encode({"fingerprint": "f", "issued_by": "x"}), Card) == Card(fingerprint="f")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"kind":"unheard_of"}', b'{"kind":7}', b'{"kind":"payment"}', b"\xff", b"[" * 9999]
)
def test_bytes_that_are_no_event_of_ours_are_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable) as refusal:
        decode_event(data)
    assert refusal.value.reason in ("malformed_message", "unknown_kind")


def test_what_was_stored_in_another_shape_is_unreadable_and_says_which_shape_was_wanted() -> None:
    with pytest.raises(Unreadable, match="not a stored Card") as refusal:
        from_document({"fingerprint": 7}, Card)
    assert refusal.value.reason == "malformed_document"
    with pytest.raises(Unreadable, match="not a Card") as refusal:
        decode(b'{"fingerprint": 7}', Card)
    assert refusal.value.reason == "malformed_message"


def test_an_event_without_a_time_zone_is_unreadable() -> None:
    payout = PayoutChanged(
        event_id="p:m:1",
        provider="p",
        account="m",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
        payout_id="1",
        status="paid",
    )
    data = {**msgspec.json.decode(encode_event(payout)), "occurred_at": "2026-01-01T00:00:00"}
    with pytest.raises(Unreadable, match="time zone"):
        decode_event(encode(data))


@given(st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))
def test_utc_text_sorts_as_time_whatever_the_offset(offset: timedelta) -> None:
    noon = datetime(2026, 3, 29, 12, tzinfo=UTC)
    zone = timezone(timedelta(minutes=offset // timedelta(minutes=1)))
    assert utc_text(noon.astimezone(zone)) == "2026-03-29T12:00:00.000000Z"
