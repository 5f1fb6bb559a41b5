"""What every provider's `answer` module must do, found by name with the desk of the same name."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared import providers
from shared.domain.answers import Act, Contest, Done, Refused, Standing, Step
from shared.domain.api import ApiAnswer, ApiCredentials, ApiRequest
from shared.domain.errors import Unreadable
from shared.domain.events import DisputeReason, DisputeStage
from shared.domain.evidence import Item
from shared.domain.money import Money
from shared.flows.responding import Responder
from tests.simulator.answering import (
    DUE,
    NOON,
    PDF,
    Caller,
    Played,
    Tells,
    a_document,
    accepting,
    desk_of,
    play,
    tells,
)
from tests.simulator.desks import ApiCall, RunningDesk, Trouble, open_desk
from tests.simulator.providers.shaping import ApiReply

NAMES = [name for name in providers.names() if providers.load_answer(name)]
# An app store takes no files.
FILED = [name for name in NAMES if desk_of(name).EXAMPLE.packet.documents]
LATE = re.compile(r"due|late|expired|deadline|no longer|passed|open", flags=re.IGNORECASE)
FUZZ = hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
HOSTILE = (
    "",
    "..",
    "../accept",
    "a/b",
    "a?b",
    "a#b",
    "a%2Fb",
    "a b",
    "a\r\nX-Y: z",
    "é",
    "x" * 300,
    "a\x00",
    "@evil.example",
)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return cast(str, request.param)


@pytest.fixture(scope="module")
def module(name: str) -> Responder:
    return cast(Responder, providers.load_answer(name))


@pytest.fixture(scope="module")
def simulated(name: str) -> ModuleType:
    return desk_of(name)


@pytest.fixture
def contest(simulated: ModuleType) -> Contest:
    return cast(Contest, simulated.EXAMPLE)


class Met:
    """A desk that is open for a contest, and who calls there."""

    def __init__(self, simulated: ModuleType, module: Responder, desk: Any, running: RunningDesk) -> None:
        self.desk, self.running = desk, running
        self.caller = Caller(module, running.url, simulated.KEY)


@pytest.fixture
def met(simulated: ModuleType, module: Responder, contest: Contest) -> Iterator[Met]:
    desk = simulated.DESK()
    desk.open(contest)
    with open_desk(desk, now=NOON) as running:
        yield Met(simulated, module, desk, running)


def contests(contest: Contest, module: Responder) -> list[Contest]:
    """Everything that is answered there: what a provider does not take at all is a problem of its own."""
    return [one for one in (contest, accepting(contest)) if not module.problems(one)]


def steps_of(module: Responder, contest: Contest, met: Met) -> list[Step]:
    return play(met.caller, contest).steps


def test_the_example_is_one_that_the_provider_takes(module: Responder, contest: Contest, name: str) -> None:
    assert name == module.NAME
    assert module.problems(contest) == ()


def test_a_whole_run_is_taken_once_and_read_back_as_answered(
    module: Responder, simulated: ModuleType, contest: Contest, met: Met
) -> None:
    unknown = Standing.UNKNOWN if tells(simulated) is Tells.NOTHING else None
    for one in contests(contest, module):
        met.desk.taken.clear()
        met.desk.open(one)
        assert met.caller.standing(one) is (unknown or Standing.WAITS)
        played = play(met.caller, one)
        assert played.refused is None
        assert [(taken.dispute_id, taken.act) for taken in met.desk.taken] == [(one.dispute_id, one.act)]
        assert met.caller.standing(one) is (unknown or Standing.ANSWERED)
        assert [step.final for step in played.steps] == [False] * (len(played.steps) - 1) + [True]
        assert len({step.name for step in played.steps}) == len(played.steps)


def test_the_same_arguments_make_the_same_bytes(module: Responder, contest: Contest, met: Met) -> None:
    for one in contests(contest, module):
        met.desk.open(one)
        played = Played()
        while (step := module.next_step(one, played.done, met.caller.api)) is not None:
            again = module.next_step(one, dict(reversed(played.done.items())), met.caller.api)
            assert again == step
            play(met.caller, one, played, until=lambda later, now=step: later.name != now.name)  # type: ignore[misc]
            assert played.refused is None


def test_an_answer_that_was_lost_is_repeated_without_a_second_submission(
    module: Responder, simulated: ModuleType, contest: Contest, met: Met
) -> None:
    """Each step in turn is done at the desk and its answer lost. What is not final is sent again, and what is final only where
    the provider knows it again; otherwise the dispute is read back."""
    unread = tells(simulated) is Tells.NOTHING
    for one in contests(contest, module):
        met.desk.open(one)
        for lost in [step.name for step in play(met.caller, one).steps]:
            met.desk.taken.clear()
            other = replace(one, key=lost.replace("-", "").replace("_", "")[:20] + one.key[:20])
            met.desk.open(other)
            played = play(met.caller, other, until=lambda step, lost=lost: step.name == lost)  # type: ignore[misc]
            step = module.next_step(other, played.done, met.caller.api)
            assert step is not None
            first = met.caller.send(step.request)
            assert isinstance(module.read_step(other, step, first), Done)
            if step.final:
                assert step.keyed if unread else met.caller.standing(other) is Standing.ANSWERED
            if not step.final or step.keyed:
                assert isinstance(module.read_step(other, step, met.caller.send(step.request)), Done)
                play(met.caller, other, played)
            assert [taken.act for taken in met.desk.taken] == [one.act]


def test_a_second_submission_is_refused_as_one_that_stands(
    module: Responder, simulated: ModuleType, contest: Contest, met: Met
) -> None:
    told = tells(simulated)
    for one in contests(contest, module):
        met.desk.taken.clear()
        met.desk.open(one)
        play(met.caller, one)
        again = play(met.caller, replace(one, key="f" * 40))
        assert (again.refused is None) is (told is Tells.NOTHING)
        if again.refused is not None:
            assert again.refused.stands is (told is Tells.WHY)
            assert met.caller.standing(one) is Standing.ANSWERED
        assert len(met.desk.taken) == 1


def test_after_its_deadline_an_answer_is_refused_in_words_that_say_so(
    module: Responder, simulated: ModuleType, contest: Contest
) -> None:
    told = tells(simulated)
    for one in contests(contest, module):
        desk = simulated.DESK()
        desk.open(one)
        with open_desk(desk, now=DUE) as running:
            caller = Caller(module, running.url, simulated.KEY, DUE)
            played = play(caller, one)
            assert (played.refused is None) is (told is Tells.NOTHING)
            if played.refused is not None:
                assert not played.refused.stands
                said = LATE.search(f"{played.refused.code} {played.refused.told}")
                assert said if told is Tells.WHY else caller.standing(one) is Standing.OVER
            assert desk.taken == []


def test_whoever_has_no_right_is_refused_and_nothing_of_the_key_is_told(
    module: Responder, simulated: ModuleType, contest: Contest, met: Met
) -> None:
    met.caller.api = replace(met.caller.api, key=f"{met.caller.api.key}x")
    step = module.next_step(contest, {}, met.caller.api)
    assert step is not None
    outcome = module.read_step(contest, step, met.caller.send(step.request))
    assert isinstance(outcome, Refused)
    assert not outcome.stands
    assert met.caller.api.key not in f"{outcome.code} {outcome.told}"
    assert module.read_standing(contest, met.caller.send(module.standing_request(contest, met.caller.api))) in Standing
    assert met.desk.taken == []


def test_an_id_that_is_none_of_the_providers_comes_into_no_address(
    module: Responder, contest: Contest, simulated: ModuleType
) -> None:
    api = ApiCredentials(key=simulated.KEY)
    for hostile in HOSTILE:
        for one in contests(replace(contest, answer_id=hostile, dispute_id=hostile), module):
            with pytest.raises(Unreadable):
                module.standing_request(one, api)
            with pytest.raises(Unreadable):
                module.next_step(one, {}, api)


def test_requests_go_to_the_providers_own_hosts(module: Responder, contest: Contest, simulated: ModuleType) -> None:
    api = ApiCredentials(key=simulated.KEY)
    for one in contests(contest, module):
        for live in (False, True):
            asked = replace(one, livemode=live)
            requests = [module.standing_request(asked, api)]
            step = module.next_step(asked, {}, api)
            assert step is not None
            requests.append(step.request)
            for request in requests:
                scheme, _, rest = request.url.partition("://")
                assert scheme == "https"
                assert rest.split("/")[0] in module.API_HOSTS


@pytest.mark.parametrize("name", FILED, indirect=True)
@pytest.mark.parametrize(
    "document",
    [
        a_document(Item.PAYMENT, data=PDF + bytes(60_000_000)),
        a_document(Item.PAYMENT, data=b"MZ\x90\x00 a program"),
        a_document(Item.PAYMENT, data=b""),
        a_document(Item.PAYMENT, name='evil".pdf'),
        a_document(Item.PAYMENT, name="../evidence.pdf"),
        replace(a_document(Item.PAYMENT), media_type="text/html"),
    ],
    ids=["too large", "a program", "empty", "a quote in its name", "a path in its name", "a web page"],
)
def test_a_file_that_the_provider_would_not_take_is_a_problem_before_anything_is_sent(
    module: Responder, contest: Contest, document: Any
) -> None:
    assert contest.packet is not None
    assert module.problems(replace(contest, packet=replace(contest.packet, documents=(document,))))


def test_no_evidence_at_all_is_a_problem(module: Responder, contest: Contest) -> None:
    assert contest.packet is not None
    empty = replace(contest.packet, texts={}, documents=(), compelling=None, consumption=None)
    assert module.problems(replace(contest, packet=empty))
    assert module.problems(replace(contest, packet=None))


def test_a_fee_that_nobody_agreed_to_is_a_problem(module: Responder, contest: Contest) -> None:
    assert module.problems(replace(contest, fee=Money(50_000, "USD"), acknowledged=False))


def test_what_is_wrong_is_told_without_what_is_in_the_evidence(module: Responder, contest: Contest) -> None:
    assert contest.packet is not None
    texts = dict.fromkeys(Item, "ann@example.com 4242424242424242 " * 5000)
    told = " ".join(module.problems(replace(contest, packet=replace(contest.packet, texts=texts))))
    assert "ann@" not in told
    assert "4242" not in told


BODIES = st.one_of(
    st.binary(max_size=200),
    st.sampled_from([b"", b"{}", b"[]", b"null", b'{"error": []}', b"<html>", b"<a/>", b'{"errors": [1]}', b"\xff"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


@pytest.mark.parametrize("name", NAMES, indirect=True)
@FUZZ
@given(status=st.integers(200, 599), body=BODIES, data=st.data())
def test_whatever_it_answers_there_is_an_outcome_or_it_cannot_be_read(
    name: str, status: int, body: bytes, data: st.DataObject
) -> None:
    module, simulated = cast(Responder, providers.load_answer(name)), desk_of(name)
    steps = _STEPS.get(name) or _STEPS.setdefault(name, _every_step(module, simulated))
    contest, step = data.draw(st.sampled_from(steps))
    answer = ApiAnswer(status, body)
    try:
        assert isinstance(module.read_step(contest, step, answer), Done | Refused)
    except Unreadable as error:
        assert len(str(error)) < 300  # noqa: PT017 - it may be raised, and then has to be short
    try:
        assert module.read_standing(contest, answer) in Standing
    except Unreadable:
        return


_STEPS: dict[str, list[tuple[Contest, Step]]] = {}


def _every_step(module: Responder, simulated: ModuleType) -> list[tuple[Contest, Step]]:
    found: list[tuple[Contest, Step]] = []
    for contest in contests(simulated.EXAMPLE, module):
        desk = simulated.DESK()
        desk.open(contest)
        with open_desk(desk, now=NOON) as running:
            found += [(contest, step) for step in play(Caller(module, running.url, simulated.KEY), contest).steps]
    return found


def test_an_answer_that_decides_nothing_is_never_taken_for_one(module: Responder, contest: Contest, met: Met) -> None:
    """A proxy's page, an empty object, another dispute: whoever sent the final step has to read the dispute back."""
    for one in contests(contest, module):
        met.desk.open(one)
        final = play(met.caller, one).steps[-1]
        for answer in (
            ApiAnswer(502, b"<html>"),
            ApiAnswer(302, b""),
            ApiAnswer(500, b"{}"),
            ApiAnswer(200, b"<html>"),
        ):
            with pytest.raises(Unreadable):
                module.read_step(one, final, answer)


@given(
    st.sampled_from(list(DisputeStage)),
    st.sampled_from(list(DisputeReason)),
    st.sampled_from(["visa", "mastercard", None]),
)
@FUZZ
def test_whatever_the_dispute_is_about_the_steps_end_and_the_last_alone_is_final(
    stage: DisputeStage, reason: DisputeReason, network: str | None
) -> None:
    for name in NAMES:
        module, simulated = cast(Responder, providers.load_answer(name)), desk_of(name)
        contest = replace(simulated.EXAMPLE, stage=stage, reason=reason, network=network)
        for one in contests(contest, module):
            desk = simulated.DESK()
            desk.open(one)
            played = _in_process(module, simulated, desk, one)
            assert [step.final for step in played] == [False] * (len(played) - 1) + [True]
            assert len(desk.taken) == 1


@pytest.mark.parametrize("name", NAMES, indirect=True)
@FUZZ
@given(
    texts=st.dictionaries(st.sampled_from(Item), st.text(max_size=700), max_size=len(Item)),
    shown=st.lists(st.sets(st.sampled_from(Item), min_size=1), max_size=3),
    reason_code=st.sampled_from([None, "10.4", "1040", "13.1", "4837", "12.6.1"]),
    network=st.sampled_from(["visa", "mastercard", None]),
)
def test_what_is_no_problem_is_taken(
    name: str, texts: dict[Item, str], shown: list[set[Item]], reason_code: str | None, network: str | None
) -> None:
    """Whatever the evidence is: there is one submission, so that the limits have to be known before it."""
    module, simulated = cast(Responder, providers.load_answer(name)), desk_of(name)
    documents = tuple(a_document(*sorted(items), name=f"file{at}.pdf") for at, items in enumerate(shown))
    packet = replace(simulated.EXAMPLE.packet, texts=texts, documents=documents)
    contest = replace(simulated.EXAMPLE, packet=packet, reason_code=reason_code, network=network)
    if module.problems(contest):
        return
    desk = simulated.DESK()
    desk.open(contest)
    _in_process(module, simulated, desk, contest)
    assert [taken.act for taken in desk.taken] == [Act.SUBMIT]


def _in_process(module: Responder, simulated: ModuleType, desk: Any, contest: Contest) -> list[Step]:
    caller = _InProcess(module, simulated, desk)
    played = play(caller, contest)
    assert played.refused is None, played.refused
    return played.steps


class _InProcess(Caller):
    """Calls the desk without a socket between, for many examples."""

    def __init__(self, module: Responder, simulated: ModuleType, desk: Any) -> None:
        self._desk = desk
        super().__init__(module, "http://desk.test", simulated.KEY)

    def send(self, request: ApiRequest) -> ApiAnswer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = self._desk.reply(
            ApiCall(request.method, request.url.removeprefix("http://desk.test"), headers, request.body, NOON)
        )
        return ApiAnswer(reply.status, reply.body)


def test_a_desk_that_is_troubled_first_takes_the_answer_once_all_the_same(
    module: Responder, contest: Contest, met: Met
) -> None:
    met.running.troubles.append(Trouble(reply=ApiReply(503, b"busy")))
    step = module.next_step(contest, {}, met.caller.api)
    assert step is not None
    with pytest.raises(Unreadable):
        module.read_step(contest, step, met.caller.send(step.request))
    assert play(met.caller, contest).refused is None
    assert [taken.act for taken in met.desk.taken] == [Act.SUBMIT]
