"""Any two pieces of work at once, each held at every step: what was published last is what the documents say."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.disputes import lifecycle
from shared.domain.codec import encode, from_document
from shared.domain.disputes import Case, Dispute
from shared.domain.events import AnyEvent, DisputeStatus, PaymentStep
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Ports
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from tests.builders import DAY, HOUR, NOON, a_dispute_event, a_fraud_warning, a_payment_event, a_refund_event, eur
from tests.flows.interleaving import interleaved, orders
from tests.local import everything, local_ports, published, wipe

Work = Callable[[Ports], object]

PAYMENT = a_payment_event(aliases=("ch_1",))
OPENED = a_dispute_event(payment_aliases=("ch_1",))


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    with TemporaryDirectory() as folder:
        yield local_ports(Path(folder))


def told(event: AnyEvent) -> Work:
    def work(ports: Ports) -> None:
        record_payment(event, ports, NOON)
        track_dispute(event, ports, NOON)

    return work


def tick(at: datetime) -> Work:
    return lambda ports: check_deadlines(ports, at)


WORKS: dict[str, Work] = {
    "the payment": told(PAYMENT),
    "the dispute": told(OPENED),
    "the dispute, of a charge": told(a_dispute_event(payment_id="ch_1", occurred_at=NOON + HOUR)),
    "the dispute, of nothing": told(a_dispute_event(payment_id=None, occurred_at=NOON + 2 * HOUR, amount=eur(500))),
    "an answer": told(a_dispute_event(payment_id=None, status=DisputeStatus.UNDER_REVIEW, occurred_at=NOON + DAY)),
    "another dispute": told(a_dispute_event(dispute_id="dp_2", payment_id="pi_1")),
    "a word under the payment's name": told(
        a_dispute_event(dispute_id="pi_1", payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + 3 * DAY)
    ),
    "a word under the charge's name": told(
        a_dispute_event(dispute_id="ch_1", payment_id=None, status=DisputeStatus.LOST, occurred_at=NOON + 4 * DAY)
    ),
    "another dispute, of the charge": told(a_dispute_event(dispute_id="dp_2", payment_id="ch_1")),
    "a warning": told(a_fraud_warning(payment_id="ch_1", occurred_at=NOON - DAY)),
    "a refund": told(a_refund_event(aliases=("ch_1",))),
    "its failure": told(a_refund_event(step=PaymentStep.REFUND_FAILED, occurred_at=NOON + 2 * DAY)),
    "a look": tick(NOON + HOUR),
    "a reminder": tick(NOON + 14 * DAY),
    "an expiry": tick(NOON + 21 * DAY),
}


def clean(ports: Ports) -> None:
    wipe(ports)
    published(ports, "dispute-updates")


def rows_agree(ports: Ports) -> None:
    """Of every dispute: rows of one revision say the same, and those of the greatest what its documents say."""
    found = everything(ports)
    cases = [from_document(document, Case) for key, document in found.items() if key.collection == "cases"]
    rows = published(ports, "dispute-updates")
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        assert told.setdefault((row["dispute_id"], row["revision"]), content(row)) == content(row)
    for key, document in found.items():
        if key.collection != "disputes":
            continue
        dispute = from_document(document, Dispute)
        of = [case for case in cases if dispute.dispute_id in {*case.disputes, *case.unplaced}]
        assert len(of) <= 1, f"{dispute.dispute_id} stands in several cases"
        case = of[0] if of else None
        update = lifecycle.update_of(dispute, case, update_id="", event_id=None, occurred_at=NOON)
        newest = max(revision for dispute_id, revision in told if dispute_id == dispute.dispute_id)
        # A reminder is counted and changes nothing that a row tells.
        assert newest <= update.revision
        assert told[dispute.dispute_id, newest] == {**content(update), "revision": newest}


def content(update: object) -> dict[str, Any]:
    """What a row tells of its dispute."""
    row: dict[str, Any] = msgspec.json.decode(encode(update))
    return {name: value for name, value in row.items() if name not in ("update_id", "event_id", "occurred_at")}


@pytest.mark.parametrize("order", orders(3))
def test_a_dispute_that_is_tied_to_its_payment_while_a_refund_comes_tells_of_both(ports: Ports, order: str) -> None:
    clean(ports)
    told(OPENED)(ports)
    told(PAYMENT)(ports)
    interleaved(ports, (tick(NOON + HOUR), told(a_refund_event(aliases=("ch_1",)))), order)
    rows_agree(ports)


def test_disputes_of_a_payment_and_of_another_that_bears_its_alias_stand_in_a_case_each(ports: Ports) -> None:
    clean(ports)
    namesake = told(a_payment_event(payment_id="ch_1", amount=eur(700)))
    first = a_dispute_event(payment_id="pi_1", payment_aliases=("ch_1",))
    second = a_dispute_event(dispute_id="dp_2", payment_id="ch_1")
    later = {"occurred_at": NOON + DAY, "status": DisputeStatus.UNDER_REVIEW}
    again = a_dispute_event(payment_id="pi_1", payment_aliases=("ch_1",), **later)
    for work in (told(PAYMENT), told(first), namesake, told(second), told(again), told(second), tick(NOON + HOUR)):
        work(ports)
    rows_agree(ports)
    cases = {key.id: document for key, document in everything(ports).items() if key.collection == "cases"}
    assert {name: sorted(case["disputes"]) for name, case in cases.items()} == {
        "stripe:pi_1": ["dp_1"],
        "stripe:ch_1": ["dp_2"],
    }


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(WORKS)), max_size=4),
    st.sampled_from(sorted(WORKS)),
    st.sampled_from(sorted(WORKS)),
    st.text("ab", max_size=8),
)
def test_what_was_published_last_of_a_dispute_is_what_its_documents_say(
    ports: Ports, before: list[str], one: str, other: str, order: str
) -> None:
    clean(ports)
    for name in before:
        WORKS[name](ports)
    interleaved(ports, (WORKS[one], WORKS[other]), order)
    rows_agree(ports)
