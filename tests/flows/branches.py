"""A dispute at a real provider's desk, announced and due, and the clerk who sends the desk's example: for any transport."""

from datetime import datetime

from shared import providers
from shared.domain.answers import Act, Contest
from shared.domain.disputes import Answer, AnswerAsked
from shared.domain.evidence import Packet
from shared.flows.apis import Api
from shared.flows.evidence import keep, kept
from shared.flows.filing import dispute_of
from shared.flows.ports import Key, Ports
from shared.flows.respond_dispute import Clerk, Verdict
from shared.flows.track_dispute import track_dispute
from tests.builders import HOUR, a_dispute_event
from tests.simulator.answering import desk_of

NAMES = [name for name in providers.names() if providers.load_answer(name)]
_TOLD = ("stage", "reason", "reason_code", "network", "amount", "respond_by", "livemode")


def example(name: str) -> Contest:
    """What `name`'s desk takes."""
    contest = desk_of(name).EXAMPLE
    assert isinstance(contest, Contest)
    return contest


def opened(name: str, ports: Ports, now: datetime) -> AnswerAsked:
    """The provider tells of the example's dispute, an hour before `now`; the answer that is asked for since."""
    contest = example(name)
    event = a_dispute_event(
        provider=name,
        event_id=f"{name}:{contest.account}:opened",
        account=contest.account,
        occurred_at=now - HOUR,
        dispute_id=contest.dispute_id,
        answer_id=contest.answer_id if contest.answer_id != contest.dispute_id else None,
        payment_id=contest.payment_id,
        **{member: getattr(contest, member) for member in _TOLD},
    )
    track_dispute(event, ports, now - HOUR)
    return AnswerAsked(provider=name, dispute_id=contest.dispute_id, round=f"{contest.stage or 'unknown'}/0")


def a_clerk(name: str, api: Api, ports: Ports, packet: Packet | None = None) -> Clerk:
    """Who has `packet` sent at once, or the example's evidence."""
    module, packet = providers.load_answer(name), packet or example(name).packet
    assert module is not None
    assert packet is not None
    return Clerk(
        responder=lambda _: module,
        api=lambda _: api,
        judge=lambda dispute, now: Verdict(act=Act.SUBMIT, by="strategy/1", why=("it can be won",), due_at=now),
        prepare=lambda dispute, now: packet,
        keep=lambda one: keep(one, ports),
        load=lambda digest: kept(digest, ports),
    )


def answer_to(asked: AnswerAsked, ports: Ports) -> Answer:
    dispute = dispute_of(ports.documents.get([Key("disputes", f"{asked.provider}:{asked.dispute_id}")])[0])
    assert dispute is not None
    return dispute.answers[asked.round]
