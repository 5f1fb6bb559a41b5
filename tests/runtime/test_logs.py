import json
import logging

import pytest

from shared.domain.telemetry import alarm, fact, failure
from shared.runtime import logs
from tests.builders import NOON


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture(autouse=True)
def _configured(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("webhook", "shop")


def test_a_fact_is_one_json_line_in_cloud_loggings_form(capsys: pytest.CaptureFixture[str]) -> None:
    fact("delivery", provider="stripe", events=2, late=False)
    alarm("delivery", provider="stripe", outcome="unparsed")
    first, second = lines(capsys)
    assert (first["severity"], first["event"], first["provider"], first["events"]) == ("INFO", "delivery", "stripe", 2)
    assert (second["severity"], second["provider"], second["outcome"]) == ("ERROR", "stripe", "unparsed")


def test_no_card_number_and_no_email_reaches_a_line_whatever_field_held_it(capsys: pytest.CaptureFixture[str]) -> None:
    fact("delivery", a="4111111111111111", b="x 4111 1111 1111 1111 y", c="ana@music.example")
    try:
        raise ValueError("card 5555555555554444 of bo@music.example")
    except ValueError as error:
        failure("request_failed", error)
    text = json.dumps(lines(capsys))
    assert "4111" not in text
    assert "5555555555554444" not in text
    assert "music.example" not in text
    assert "ValueError" in text


def test_a_line_stays_one_line_and_valid_json_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    fact("delivery", detail='multi\nline "quoted" \x00 text')
    assert len(lines(capsys)) == 1
    assert logging.getLogger("payin").propagate is False


def test_a_number_and_an_account_are_masked_too_and_a_count_stays_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    fact("delivery", a=4111111111111111, b="GB29 NWBK 6016 1331 9268 19", events=4242)
    (line,) = lines(capsys)
    assert (line["a"], line["b"], line["events"]) == ("[card number]", "[IBAN]", 4242)


# Apple's storefronts begin its ids: 340 and 370 are also where American Express numbers begin, and both have 15 digits.
AS_A_CARD = "340001234567896"


def test_a_line_keeps_the_ids_of_a_provider_that_numbers_its_objects(capsys: pytest.CaptureFixture[str]) -> None:
    ids = {"dispute_id": AS_A_CARD, "payment_id": f"{AS_A_CARD}-renewal-2026-05-01"}
    fact("dispute_recorded", provider="apple", **ids)
    fact("dispute_recorded", provider="stripe", **ids)
    fact("dispute_recorded", provider="apple", detail=AS_A_CARD, payment_id=f"pay {AS_A_CARD}")
    apple, stripe, elsewhere = lines(capsys)
    assert {name: apple[name] for name in ids} == ids
    assert AS_A_CARD not in json.dumps((stripe, elsewhere))


@pytest.mark.parametrize(
    "number", ["2000000123456789", "GPA.3345-1234-5678-90123", "8636172945333378", "20261123000017"]
)
def test_ids_that_no_network_could_have_issued_stay_in_a_line(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    fact("delivery", dispute_id=number)
    assert lines(capsys)[0]["dispute_id"] == number


def test_whoever_lives_in_another_time_tells_that_one(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("webhook", "shop", lambda: NOON)
    fact("delivery")
    (line,) = lines(capsys)
    assert line["time"] == "2026-11-02T12:00:00+00:00"
