"""What the table of providers says is so."""

import io
import re
from collections.abc import Collection

import pytest
from rich.console import Console

from shared import providers
from shared.domain.events import AnyEvent, DisputeChanged, FraudWarned, PaymentChanged, PaymentStep
from shared.providers.kit.protocol import Traits
from tests.providers.declared import DECLARED
from tests.providers.kits import Kit, a_fact, a_kit
from tests.providers.table import README, markdown, rows, show, written
from tests.simulator.facts import FactKind

GIVES_BACK = {PaymentStep.REFUNDED, PaymentStep.REFUND_PENDING, PaymentStep.REFUND_FAILED, PaymentStep.REVERSED}


@pytest.fixture(scope="module", params=providers.names())
def kit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    return a_kit(request.param, tmp_path_factory.mktemp(request.param))


def test_the_readme_has_the_table_that_the_code_gives() -> None:
    assert written(README.read_text()) == markdown(), "run: python -m tests.providers.table --write"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_nothing_of_the_table_is_cut_however_narrow_the_terminal(width: int) -> None:
    told = io.StringIO()
    show(Console(width=width, file=told, highlight=False))
    shown = told.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    together = "".join(shown.split())
    assert all("".join(cell.split()) in together for line in rows() for cell in line)


def test_each_message_is_of_a_type_that_its_adapter_counts_under_what_it_tells(kit: Kit) -> None:
    for fact in FactKind:
        for body in kit.simulator.requests(a_fact(fact)):
            delivery = kit.signed(body)
            normalized = kit.normalize(delivery, kit.verify(delivery))
            for event in normalized.events:
                types = {*normalized.types, *(kind.partition(".")[0] for kind in normalized.types)}
                assert types & {*counted(kit.provider.TRAITS, event)}, (fact, types)


def counted(traits: Traits, event: AnyEvent) -> Collection[str]:
    """The types that can tell of such an event."""
    match event:
        case PaymentChanged(step=step):
            return traits.refunds if step in GIVES_BACK else traits.payments
        case DisputeChanged():
            return traits.disputes
        case FraudWarned():
            return traits.warnings
        case _:
            # What is read back tells which of them it is.
            return (*traits.payments, *traits.refunds, *traits.disputes) if traits.fetch_back else ()


def test_types_that_bear_disputes_in_their_name_are_counted_as_disputes(kit: Kit) -> None:
    tables = {name: getattr(kit.provider, name) for name in ("TYPES", "CODES", "KINDS") if hasattr(kit.provider, name)}
    for kind in (kind for table in tables.values() for kind in table):
        assert not re.search("dispute|chargeback", kind.lower()) or kind in kit.provider.TRAITS.disputes


def test_what_is_said_of_age_and_deadlines_is_so(kit: Kit) -> None:
    declared, traits = DECLARED[kit.provider.NAME], kit.provider.TRAITS
    assert (declared.latest is not None) == traits.replay.startswith("signed time")
    disputes = [event for event in kit.events(a_fact(FactKind.DISPUTE_OPENED)) if isinstance(event, DisputeChanged)]
    assert traits.deadline or not any(dispute.respond_by for dispute in disputes)
