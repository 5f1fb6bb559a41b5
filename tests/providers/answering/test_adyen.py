"""What only Adyen has: reasons that want documents, and refusals under HTTP 200; its own library as the oracle."""

import json
from dataclasses import replace

import Adyen
import pytest

from shared.domain.answers import Refused, Standing
from shared.domain.api import ApiAnswer
from shared.domain.events import DisputeStage
from shared.domain.evidence import Item
from shared.providers.adyen import answer
from tests.simulator.answering import NOON, Caller, Played, a_document, a_packet, accepting, play
from tests.simulator.answering.adyen import EXAMPLE, KEY, SERVICE, AdyenDesk
from tests.simulator.desks import open_desk


def played_with(reasons: dict[str, dict[str, str]], *items: Item) -> tuple[AdyenDesk, Played]:
    """An answer at a desk that takes `reasons`, with a document of `items`."""
    desk = AdyenDesk()
    desk.reasons = reasons
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        contest = replace(EXAMPLE, packet=a_packet(documents=(a_document(*items),)))
        return desk, play(Caller(answer, running.url, KEY), contest)


def test_the_reason_is_one_whose_documents_we_have() -> None:
    reasons = {
        "GoodsNotReturned": {"GoodsNotReturned": "Required", "TIDorInvoice": "Optional"},
        "GoodsWereAsDescribed": {"GoodsWereAsDescribed": "Required", "TIDorInvoice": "Required"},
    }
    desk, _ = played_with(reasons, Item.USAGE, Item.PAYMENT)
    assert desk.taken[0].told["reason"] == "GoodsWereAsDescribed"
    assert {"GoodsWereAsDescribed", "TIDorInvoice"} <= set(desk.taken[0].told)


def test_a_named_reason_goes_before_the_general_one() -> None:
    reasons = {
        "SupplyDefenseMaterial": {"DefenseMaterial": "Required"},
        "GoodsWereAsDescribed": {"GoodsWereAsDescribed": "OneOrMore", "Unheard": "OneOrMore"},
    }
    desk, _ = played_with(reasons, Item.USAGE)
    assert desk.taken[0].told["reason"] == "GoodsWereAsDescribed"


def test_where_no_reason_fits_a_person_is_told_what_adyen_asks_for_and_nothing_is_sent() -> None:
    desk, played = played_with({"GoodsNotReturned": {"GoodsNotReturned": "Required"}}, *Item)
    assert played.refused is not None
    assert played.refused.code == "no_defense_reason"
    assert "GoodsNotReturned" in played.refused.told
    assert [step.name for step in played.steps] == ["reasons"]
    assert desk.taken == []


def test_one_of_two_required_documents_is_not_enough() -> None:
    reasons = {"GoodsWereAsDescribed": {"GoodsWereAsDescribed": "Required", "TIDorInvoice": "Required"}}
    _, played = played_with(reasons, Item.USAGE)
    assert played.refused is not None
    assert played.refused.code == "no_defense_reason"


def test_a_level_that_nobody_knows_satisfies_nothing() -> None:
    _, played = played_with({"New": {"DefenseMaterial": "Mandatory"}}, *Item)
    assert played.refused is not None


def test_a_second_file_is_a_problem_and_never_left_out_in_silence() -> None:
    for name in ("invoice.pdf", "plays.pdf"):
        both = a_packet(documents=(a_document(*Item), a_document(Item.PAYMENT, Item.USAGE, name=name)))
        assert answer.problems(replace(EXAMPLE, packet=both)) != ()
    assert answer.problems(replace(EXAMPLE, packet=a_packet(documents=(a_document(*Item),)))) == ()


def test_a_plan_of_an_earlier_version_is_gone_on_with() -> None:
    api, done = Caller(answer, "http://desk.test", KEY).api, {"reasons": "Any DefenseMaterial=0 TIDorInvoice=0"}
    step = answer.next_step(EXAMPLE, done, api)
    assert step is not None
    assert step.name == "document-DefenseMaterial"


@pytest.mark.parametrize(
    ("said", "stands"),
    [("The dispute has already been defended", True), ("The defense period has expired", False), ("", False)],
)
def test_a_failure_under_status_200_is_a_refusal(said: str, stands: bool) -> None:
    step = answer.next_step(accepting(EXAMPLE), {}, Caller(answer, "http://desk.test", KEY).api)
    assert step is not None
    body = {"disputeServiceResult": {"success": False, "errorMessage": said}}
    outcome = answer.read_step(EXAMPLE, step, ApiAnswer(200, json.dumps(body).encode()))
    assert isinstance(outcome, Refused)
    assert (outcome.told, outcome.stands) == (said, stands)


def test_where_nothing_is_listed_nothing_is_known_of_where_it_stands() -> None:
    empty = ApiAnswer(200, b'{"disputeServiceResult": {"success": true}, "defenseReasons": []}')
    assert answer.read_standing(EXAMPLE, empty) is Standing.UNKNOWN


@pytest.mark.parametrize(
    ("network", "stage", "pages", "taken"),
    [
        ("visa", DisputeStage.CHARGEBACK, 60, True),
        ("mc", DisputeStage.CHARGEBACK, 19, True),
        ("mc", DisputeStage.CHARGEBACK, 20, False),
        ("visa", DisputeStage.INQUIRY, 5, False),
    ],
)
def test_pages_are_counted_as_the_network_does(network: str, stage: DisputeStage, pages: int, taken: bool) -> None:
    packet = a_packet(documents=(replace(a_document(*Item), pages=pages),))
    assert (answer.problems(replace(EXAMPLE, network=network, stage=stage, packet=packet)) == ()) is taken


def test_a_png_and_texts_without_a_document_are_problems() -> None:
    assert answer.problems(replace(EXAMPLE, packet=a_packet()))
    assert answer.problems(replace(EXAMPLE, packet=a_packet(documents=())))


def test_adyens_own_library_sends_what_we_send() -> None:
    desk = AdyenDesk()
    desk.open(EXAMPLE)
    with open_desk(desk, now=NOON) as running:
        ours = play(Caller(answer, running.url, KEY), EXAMPLE)
        desk.open(EXAMPLE)
        client = Adyen.AdyenClient(xapikey=KEY, platform="test")
        library = Adyen.services.AdyenDisputesApi(client=client).disputes_api
        library.baseUrl = running.url + SERVICE.rstrip("/")
        calls = {
            "retrieveApplicableDefenseReasons": library.retrieve_applicable_defense_reasons,
            "supplyDefenseDocument": library.supply_defense_document,
            "defendDispute": library.defend_dispute,
        }
        before = len(running.calls)
        for step in ours.steps:
            result = calls[step.request.url.rpartition("/")[2]](json.loads(step.request.body))
            assert result.message["disputeServiceResult"]["success"] is True
        theirs = running.calls[before:]
    assert [call.path for call in theirs] == [step.request.url.removeprefix(running.url) for step in ours.steps]
    assert [json.loads(call.body) for call in theirs] == [json.loads(step.request.body) for step in ours.steps]
    assert all(call.headers["x-api-key"] == KEY for call in theirs)
    assert len(desk.taken) == 2
