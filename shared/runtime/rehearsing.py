"""What would come of messages today: the consumers' own code takes them, on documents that forget."""

from collections.abc import Callable, Mapping
from typing import Final

from shared.backends.overlay import Overlay
from shared.domain.errors import PayInError
from shared.flows.ports import Pulled
from shared.flows.scorer import Scorer
from shared.operations.dead_letters import Diagnose
from shared.operations.rehearsal import Rehearsal
from shared.runtime import answers, topology, usage
from shared.runtime.entry import event_in
from shared.runtime.workbench import Workbench

GOES_THROUGH: Final = "goes through now"
NOT_TRIED: Final = "can be read: its log says what fails"
NOT_STORED: Final = "the warehouse took no such row"


def rehearsal_on(bench: Workbench) -> Rehearsal:
    """The consumers on documents that forget."""
    scorer = Scorer(use_model=bench.settings.use_model, assessments=bench.settings.assessments)
    return Rehearsal(bench.ports, Overlay(bench.ports.documents), bench.now, scorer)


def diagnosing(bench: Workbench) -> Diagnose:
    """Events are given to their consumer on documents that forget, what else is pushed is read."""
    rehearsal, from_ = rehearsal_on(bench), topology.given_up_from()
    readers: Mapping[str, Callable[[bytes], object]] = {
        "keep_evidence": lambda data: usage.read(data, bench.keyring),
        "respond_dispute": answers.asked,
        "fetch_resource": event_in,
    }

    def diagnose(name: str, pulled: Pulled) -> str:
        function, _ = from_[name]
        if function is None:
            return NOT_STORED
        try:
            if function in rehearsal.consumers():
                return rehearsal.consume(function, event_in(pulled.data)) or GOES_THROUGH
            if function in readers:
                readers[function](pulled.data)
        except PayInError as error:
            return error.reason
        return NOT_TRIED

    return diagnose
