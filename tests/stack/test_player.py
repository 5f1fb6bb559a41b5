"""What is sent together cannot change what is decided, and what could is sent in its order."""

from datetime import timedelta
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.money import Money
from tests.simulator.chaos import How, Sending
from tests.simulator.facts import Attempt, Fact, FactKind, SimulatedCard
from tests.simulator.world import START
from tests.stack.player import Asking, waves


def a_sending(
    number: int, attempt: int, customer: str, card: str, device: str | None, ip: str | None, domain: str
) -> Sending:
    made = Attempt(
        id=f"a{attempt}",
        provider="stripe",
        at=START,
        amount=Money(1999, "EUR"),
        customer=customer,
        email=f"{customer}@{domain}",
        card=SimulatedCard(token=card, bin="424242", last4="4242", network="visa", country="DE"),
        device=device,
        ip=ip,
    )
    at = START + timedelta(seconds=number)
    fact = Fact(kind=FactKind.AUTHORIZED, attempt=made, at=at)
    return Sending(provider="stripe", body=str(number).encode(), how=How.FIRST, at=at, fact=fact)


def related(one: Asking | Sending, other: Asking | Sending) -> bool:
    a, b = one.fact.attempt, other.fact.attempt
    domains = [attempt.email.rpartition("@")[2] for attempt in (a, b)]
    return (
        a.id == b.id
        or a.customer == b.customer
        or a.card == b.card
        or (a.device is not None and a.device == b.device)
        or (a.ip is not None and a.ip == b.ip)
        or domains == ["mailinator.com", "mailinator.com"]
    )


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(["c1", "c2", "c3", "c4"]),
            st.sampled_from(["card1", "card2", "card3", "card4"]),
            st.sampled_from([None, "dev1", "dev2"]),
            st.sampled_from([None, "ip1", "ip2"]),
            st.sampled_from(["gmail.com", "outlook.com", "mailinator.com"]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_what_is_related_is_never_sent_together_and_never_out_of_order(
    rows: list[tuple[int, str, str, str | None, str | None, str, bool]],
) -> None:
    sendings: list[Asking | Sending] = []
    for number, (attempt, customer, card, device, ip, domain, asks) in enumerate(rows):
        sending = a_sending(number, attempt, customer, card, device, ip, domain)
        sendings.append(Asking(sending.fact) if asks else sending)
    sent = waves(sendings)
    assert sorted((one for wave in sent for one in wave), key=lambda one: one.at) == sendings
    wave_at = {one.at: wave for wave, those in enumerate(sent) for one in those}
    for one, later in combinations(sendings, 2):
        assert not related(one, later) or wave_at[one.at] < wave_at[later.at]


def test_strangers_are_sent_together() -> None:
    strangers = [a_sending(n, n, f"c{n}", f"card{n}", f"dev{n}", None, "gmail.com") for n in range(8)]
    assert waves(strangers) == [strangers]
