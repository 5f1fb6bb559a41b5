"""What a page of the list asks of documents, however many disputes are open."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.console.pages.disputes import PAGE, _look
from shared.console.site import Visit
from shared.console.words import Reader
from shared.domain import timeline
from shared.domain.events import DisputeStatus
from shared.domain.people import Admission, Person, Role
from shared.flows.dispute_desk import view
from shared.flows.filing import key_of
from shared.flows.ports import Create
from shared.flows.record_payment import record_payment
from shared.flows.track_dispute import track_dispute
from shared.runtime.workbench import Workbench
from tests.builders import DAY, NOON, a_dispute_event, a_payment_event
from tests.flows.counting import Counting
from tests.local import local_ports


@pytest.mark.parametrize("open_ones", [60, 200])
def test_a_page_is_one_query_and_two_reads_however_many_are_open(tmp_path: Path, open_ones: int) -> None:
    ports = local_ports(tmp_path)
    event = a_dispute_event(status=DisputeStatus.NEEDS_RESPONSE, respond_by=NOON + 9 * DAY)
    record_payment(a_payment_event(), ports, NOON)
    track_dispute(event, ports, NOON)
    model = view(ports.documents, event.provider, event.dispute_id)
    others = [
        replace(model, dispute_id=f"dp_{n:04}", queue=f"2026/{n:04}", filed_under=(f"p{n}",)) for n in range(open_ones)
    ]
    ports.documents.commit([Create(key_of(one.provider, one.dispute_id), timeline.compact(one)) for one in others])
    documents = Counting(ports.documents)
    bench = Workbench("console", {"PAYIN_HOME": str(tmp_path), "PROVIDERS": "stripe"})
    bench._ports = replace(ports, documents=documents)
    person = Person(email="ana@shop.example", role=Role.ANALYST)
    visit = Visit(bench, Admission(audience="", groups={}, four_eyes_above=0, key=b""), person, NOON, Reader())
    shown = _look(visit)
    assert len(shown["rows"]) == PAGE
    assert shown["more"] is not None
    assert (documents.reads, documents.documents) == (3, PAGE + 1 + PAGE + 1)
