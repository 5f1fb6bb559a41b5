import json
import logging

import pytest

from shared.domain.telemetry import alarm, fact, failure
from shared.runtime import logs


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
    assert second["severity"] == "ERROR"


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
