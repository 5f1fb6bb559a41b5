"""Any two pieces of work at once, each held at every step: what was published last is what the documents say."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.disputes import lifecycle
from shared.domain.codec import encode, from_document
from shared.domain.disputes import Case, Dispute
from shared.domain.events import AnyEvent, DisputeStatus, PaymentStep
from shared.domain.payments import Payment, takeable
from shared.flows.check_deadlines import check_deadlines
from shared.flows.ports import Key, Ports
from shared.flows.record_payment import record_payment
from shared.flows.score_payment import score_payment
from shared.flows.scorer import Scorer
from shared.flows.track_dispute import track_dispute
from tests.builders import (
    DAY,
    HOUR,
    NOON,
    a_card,
    a_dispute_event,
    a_fraud_warning,
    a_payment_event,
    a_refund_event,
    eur,
)
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
    "a payment of the charge's name": told(a_payment_event(payment_id="ch_1", amount=eur(700))),
    "its refund": told(a_refund_event(payment_id="ch_1", amount=eur(700), reference="re_2")),
    "a payment that shares the charge": told(a_payment_event(payment_id="pi_2", aliases=("ch_1",), amount=eur(800))),
    "its dispute": told(a_dispute_event(dispute_id="dp_3", payment_id="pi_2", payment_aliases=("ch_1",))),
    "its dispute, of the charge": told(
        a_dispute_event(dispute_id="dp_3", payment_id="ch_1", occurred_at=NOON + 5 * HOUR)
    ),
    "its dispute, of nothing": told(a_dispute_event(dispute_id="dp_3", payment_id=None, occurred_at=NOON + 6 * HOUR)),
    "its refund with the charge": told(a_refund_event(payment_id="pi_2", aliases=("ch_1",), amount=eur(9))),
    "a warning of both": told(a_fraud_warning(payment_id="pi_2", payment_aliases=("ch_1",), warning_id="w_2")),
    "the word under the charge's name, of a payment": told(
        a_dispute_event(dispute_id="ch_1", payment_id="pi_2", occurred_at=NOON + 7 * HOUR)
    ),
    "a look": tick(NOON + HOUR),
    "a reminder": tick(NOON + 14 * DAY),
    "an expiry": tick(NOON + 21 * DAY),
}


def clean(ports: Ports) -> None:
    wipe(ports)
    published(ports, "dispute-updates")


def rows_agree(ports: Ports) -> None:
    """Every dispute stands in one case, that of its payment. Its rows of one revision say the same, and those of the
    greatest what its documents say. A case knows what was captured."""
    found = everything(ports)
    cases = [from_document(document, Case) for key, document in found.items() if key.collection == "cases"]
    rows = published(ports, "dispute-updates")
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        assert told.setdefault((row["dispute_id"], row["revision"]), content(row)) == content(row)
    for case in cases:
        paid = found.get(Key("payments", f"{case.provider}:{case.payment_id}"))
        if paid and not case.moved_to:
            payment = from_document(paid, Payment)
            assert (case.captured, case.payment_known) == (
                takeable(payment.captured, payment.authorized),
                payment.known,
            )
    for key, document in found.items():
        if key.collection != "disputes":
            continue
        dispute = from_document(document, Dispute)
        own = next((case for case in cases if dispute.dispute_id in {*case.disputes, *case.unplaced}), None)
        standing = [
            case.payment_id for case in cases for id_ in (*case.disputes, *case.unplaced) if id_ == dispute.dispute_id
        ]
        assert standing == list(dispute.filed_under[-1:])
        assert dispute.linked_to is None or standing == [dispute.linked_to]
        update = lifecycle.update_of(dispute, own, update_id="", event_id=None, occurred_at=NOON)
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


def after(*before: str) -> Callable[[Any], Any]:
    """Found by the test below, and told to it again on every run."""
    return example(before=list(before[:-2]), one=before[-2], other=before[-1], order="")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(WORKS)), max_size=5),
    st.sampled_from(sorted(WORKS)),
    st.sampled_from(sorted(WORKS)),
    st.text("ab", max_size=8),
)
# A name that is a payment's own and another one's alias; an alias of two payments.
@after("its refund", "its dispute, of the charge", "its refund with the charge")
@after("a payment of the charge's name", "its dispute", "a refund")
@after("the dispute, of a charge", "a payment of the charge's name", "a look", "a refund")
@after("its dispute, of the charge", "a payment of the charge's name", "a refund", "a reminder")
@after("the dispute, of a charge", "its refund", "a refund", "an expiry")
@after("its refund", "its dispute, of the charge", "its failure", "the dispute")
# What was told under a name that disputes of two payments call theirs, or that a dispute is called by itself later.
@after("the dispute", "a word under the charge's name", "its dispute", "a word under the payment's name")
@after("the dispute, of a charge", "a word under the charge's name", "the word under the charge's name, of a payment")
# Two cases, of which one has something told under the payment's name, that turn out to be one.
@after("another dispute", "the dispute, of a charge", "a word under the charge's name", "a refund", "another dispute")
@after(
    "another dispute",
    "the dispute, of a charge",
    "a word under the payment's name",
    "a refund",
    "the dispute, of a charge",
)
# A repeat that reads the case before, and its disputes after another one has come.
@example(
    before=["a refund", "the payment", "the dispute, of a charge", "a word under the charge's name"],
    one="another dispute",
    other="a refund",
    order="baaababb",
)
# A warning whose name becomes another payment's between its case and its alert.
@example(
    before=["a refund", "the word under the charge's name, of a payment"],
    one="a payment of the charge's name",
    other="a warning of both",
    order="b",
)
def test_what_was_published_last_of_a_dispute_is_what_its_documents_say(
    ports: Ports, before: list[str], one: str, other: str, order: str
) -> None:
    clean(ports)
    for name in before:
        WORKS[name](ports)
    interleaved(ports, (WORKS[one], WORKS[other]), order)
    rows_agree(ports)


def scored(event: AnyEvent) -> Work:
    return lambda ports: score_payment(event, ports, NOON, Scorer(use_model=False))


CLAIMED = ("decisions", "known_frauds", "fraud_claims", "feature_state")
CLAIMS: dict[str, Work] = {
    "the payment": scored(PAYMENT),
    "a payment of the charge's name": scored(a_payment_event(payment_id="ch_1", card=a_card(fingerprint="fp_2"))),
    "a payment that shares the charge": scored(a_payment_event(payment_id="pi_2", aliases=("ch_1",))),
    "the dispute": scored(OPENED),
    "the dispute, of a charge": scored(a_dispute_event(payment_id="ch_1", occurred_at=NOON + HOUR)),
    "the dispute, won": scored(a_dispute_event(payment_id=None, status=DisputeStatus.WON, occurred_at=NOON + DAY)),
    "a dispute of both": scored(a_dispute_event(dispute_id="dp_3", payment_id="pi_2", payment_aliases=("ch_1",))),
    "it, withdrawn": scored(
        a_dispute_event(dispute_id="dp_3", payment_id=None, status=DisputeStatus.CLOSED, occurred_at=NOON + DAY)
    ),
    "a warning": scored(a_fraud_warning(payment_id="ch_1", occurred_at=NOON + 2 * HOUR)),
}


def claimed(ports: Ports) -> dict[Key, Any]:
    """What is claimed of whom, and which payment each name means: of a decision nothing else depends on an order."""
    found = wipe(ports, CLAIMED)
    published(ports, "fraud-decisions")
    kept = ("same_as", "payment_id", "claims")
    return {
        key: {name: document[name] for name in kept if name in document} if key.collection == "decisions" else document
        for key, document in found.items()
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(CLAIMS)), max_size=3),
    st.sampled_from(sorted(CLAIMS)),
    st.sampled_from(sorted(CLAIMS)),
    st.text("ab", max_size=6),
)
def test_two_claims_at_once_leave_what_one_after_the_other_leaves(
    ports: Ports, before: list[str], one: str, other: str, order: str
) -> None:
    claimed(ports)
    left = []
    for first, second in ((one, other), (other, one)):
        for name in (*before, first, second):
            CLAIMS[name](ports)
        left.append(claimed(ports))
    for name in before:
        CLAIMS[name](ports)
    interleaved(ports, (CLAIMS[one], CLAIMS[other]), order)
    assert claimed(ports) in left
