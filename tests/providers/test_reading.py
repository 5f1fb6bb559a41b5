import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Unreadable
from shared.domain.privacy import email_parts
from shared.domain.pseudonyms import NAME, unkeyed
from shared.providers.kit.reading import (
    DEEPEST,
    NO_NUMBER,
    deadline,
    major_money,
    minor_money,
    parse,
    rfc3339,
    unix_time,
)


def test_numbers_with_a_point_are_exact_and_the_last_of_two_members_counts() -> None:
    node = parse(b'{"a": 0.1, "b": 1, "b": 2}')
    assert node.raw("a") == Decimal("0.1")
    assert node.integer("b") == 2


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 1_000, 100_000])
def test_nesting_is_read_to_its_bound_and_null_beyond(opening: str, depth: int) -> None:
    closing = "}" if opening.startswith("{") else "]"
    body = '{"before": 1, "deep": ' + opening * depth + '"]}"' + closing * depth + ', "after": "[{"}'
    node = parse(body.encode())
    assert (node.raw("before"), node.raw("after")) == (1, "[{")
    found, levels = node.raw("deep"), 1
    while found is not None:
        found, levels = (found["a"] if type(found) is dict else found[0]), levels + 1
    assert levels == DEEPEST


def test_nesting_within_its_bound_is_whole() -> None:
    assert b"7" in str(parse(b'{"a":' * DEEPEST + b"7" + b"}" * DEEPEST).value).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"\ud83c"', "\ufffd"),
        (rb'"x\uDF55 \ud83c\udf55 \ud83c\u0041"', "x\ufffd \U0001f355 \ufffdA"),
        (rb'"\\ud83c"', "\\ud83c"),
        (rb'"\\\ud83c"', "\\\ufffd"),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"\xed\xa0\xbc"', "\ufffd\ufffd\ufffd"),
        (b"1e400", NO_NUMBER),
        (b"-1e-400", NO_NUMBER),
        (b"1e99999999999999999999999", NO_NUMBER),
        (b"9" * 5000, NO_NUMBER),
        (b"NaN", NO_NUMBER),
        (b"-Infinity", NO_NUMBER),
        (b'"a\nb"', "a\nb"),
    ],
)
def test_what_nobody_can_mean_is_read_as_the_policy_says(text: bytes, value: object) -> None:
    node = parse(b'{"odd": ' + text + b', "even": 2}')
    assert (node.raw("odd"), node.raw("even")) == (value, 2)


@pytest.mark.parametrize("number", [b"1e400", b"9" * 500, b"9" * 5000, b"NaN", b"Infinity"])
def test_a_number_that_nobody_can_mean_is_unreadable_where_it_is_needed(number: bytes) -> None:
    node = parse(b'{"value": ' + number + b', "currency": "EUR"}')
    for read in (
        lambda: node.integer("value"),
        lambda: node.unix("value"),
        lambda: node.text("value"),
        lambda: major_money(node, "value", "currency"),
        lambda: minor_money(node, "value", "currency", {}),
    ):
        with pytest.raises(Unreadable):
            read()
    assert (node.hint("value"), node.score("value"), node.flag("value")) == (None, None, None)


def test_a_byte_order_mark_is_nothing_and_of_two_names_that_cannot_be_told_apart_the_last_counts() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1, "a": 2}').value == {"a": 2}
    assert parse(b'{"\\ud800": 1, "\\ud801": 2}').value == {"\ufffd": 2}


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,\\ud83c0eE-. ntrue', max_size=40).map(str.encode))
def test_no_bytes_raise_anything_else_and_what_is_read_can_be_written(body: bytes) -> None:
    with suppress(Unreadable):
        str(parse(body).value).encode()


def test_many_members_are_not_depth() -> None:
    assert parse(b'{"a": [' + b"{}," * 500 + b"{}]}").nodes("a")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T14:00:00+02:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2019-04-29T14:17:30+02:12", datetime(2019, 4, 29, 12, 5, 30, tzinfo=UTC)),
        ("2026-05-01t12:00:00.123456789z", datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-05-01T12:00:00.5+0000", datetime(2026, 5, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        ("2026-05-01T12:00:00", None),
        ("2026-05-01", None),
        ("2026-13-01T12:00:00Z", None),
        ("2026-05-01T12:00:00+99:00", None),
        ("1999-12-31T23:59:59Z", None),
        ("9999-12-31T23:59:59-10:00", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("٢٠٢٦-05-01T12:00:00Z", None),
    ],
)
def test_an_instant_needs_its_offset_and_a_year_of_this_century(text: str, instant: datetime | None) -> None:
    assert rfc3339(text) == instant


@given(st.text(max_size=40))
def test_no_text_makes_reading_an_instant_fail(text: str) -> None:
    found = rfc3339(text)
    assert found is None or found.tzinfo is UTC


@given(st.integers())
def test_no_number_makes_reading_a_unix_time_fail(seconds: int) -> None:
    found = unix_time(seconds)
    assert found is None or found.timestamp() == seconds


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-20T18:00:00Z", datetime(2026, 5, 20, 18, tzinfo=UTC)),
        (" 2026-05-20T18:00:00-07:00 ", datetime(2026, 5, 21, 1, tzinfo=UTC)),
        ("2026-05-20T18:00:00", datetime(2026, 5, 20, 4, tzinfo=UTC)),
        ("2026-05-20 18:00:00.5", datetime(2026, 5, 20, 4, 0, 0, 500000, tzinfo=UTC)),
        ("2026-05-20", datetime(2026, 5, 19, 10, tzinfo=UTC)),
        ("2026-05-20T18:00", datetime(2026, 5, 20, 4, tzinfo=UTC)),
        ("20/05/2026", None),
        ("next Friday", None),
        ("", None),
    ],
)
def test_a_deadline_without_a_zone_is_over_where_that_time_comes_first(text: str, instant: datetime | None) -> None:
    assert deadline(text) == instant


@pytest.mark.parametrize("value", ["7", "true", '"7"', "7.0", "null", "9223372036854775808", "[]"])
def test_only_an_integer_in_range_is_an_integer(value: str) -> None:
    node = parse(f'{{"a": {value}}}'.encode())
    if value == "7":
        assert node.integer("a") == 7
    else:
        with pytest.raises(Unreadable, match=r"^a: "):
            node.integer("a")


@pytest.mark.parametrize("value", ['""', '"  "', "null", "7", '"a\\u0000b"', '"' + "x" * 300 + '"'])
def test_what_an_event_needs_is_unreadable_where_a_hint_is_only_absent(value: str) -> None:
    node = parse(f'{{"a": {value}}}'.encode())
    with pytest.raises(Unreadable, match=r"^a: ") as error:
        node.text("a")
    assert "4242" not in str(error.value)
    assert node.hint("a") is None


@pytest.mark.parametrize(
    "name", ["4242424242424242", "ORDER-4242424242424242", "4242.4242.4242.4242", "4242/4242/4242/4242"]
)
def test_a_name_that_could_be_a_card_number_goes_by_its_digest_the_same_one_everywhere(name: str) -> None:
    node = parse(json.dumps({"id": name, "customer": f" {name} ", "why": f"paid with {name} today"}).encode())
    assert node.text("id") == node.hint("customer") == node.customer("customer") == node.reference("id")
    assert node.text("id") == unkeyed(NAME, name)
    assert node.hint("why") is None
    assert node.text("why") == unkeyed(NAME, f"paid with {name} today")


@pytest.mark.parametrize(
    "name",
    [
        "2026112300000018",
        "20261123-000017-4",
        "WH-2MW4820926242972J-4AN63914",
        "2345678901234567897",
        "8636172945333378",
    ],
)
def test_an_order_number_or_a_long_id_that_no_network_could_have_issued_keeps_its_name(name: str) -> None:
    node = parse(json.dumps({"id": name}).encode())
    assert node.text("id") == name


def test_an_address_in_place_of_a_needed_name_is_not_kept_and_not_lost() -> None:
    node = parse(b'{"id": "ana@music.example"}')
    assert node.text("id") == unkeyed(NAME, "ana@music.example")
    assert node.hint("id") is None
    assert node.customer("id") == email_parts("ana@music.example")[0]


def test_texts_are_stripped() -> None:
    assert parse(b'{"a": " 4853 "}').text("a") == parse(b'{"a": " 4853 "}').hint("a") == "4853"


def test_a_missing_way_is_absent_whatever_stands_in_it() -> None:
    node = parse(b'{"a": {"b": [1]}, "c": "x"}')
    assert node.raw("a", "b", "d") is None
    assert node.raw("c", "d") is None
    assert node.at("c").value == {}
    assert node.nodes("a", "b") == []


@pytest.mark.parametrize(
    ("value", "score"),
    [("71", 71.0), ('"71.5"', 71.5), ("101", None), ("-1", None), ('"x"', None), ("true", None), ('"NaN"', None)],
)
def test_a_score_is_between_0_and_100(value: str, score: float | None) -> None:
    assert parse(f'{{"a": {value}}}'.encode()).score("a") == score
