"""A provider's CSV is read row by row, in whatever pieces it comes, and what is no report is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import Unreadable
from shared.providers.kit.reports import LONGEST_LINE, minor, rows

TEXT = '\ufeffType,Net,Note\r\nFee,-1.00,"a, ""b""\nin two lines"\r\n\r\nSettled,19.99,\u2028 Zürich\r\n'


@given(st.integers(1, 40))
def test_rows_are_the_same_in_any_pieces(size: int) -> None:
    data = TEXT.encode()
    found = list(rows((data[at : at + size] for at in range(0, len(data), size)), ["Type"]))
    assert found == [
        {"Type": "Fee", "Net": "-1.00", "Note": 'a, "b"\nin two lines'},
        {"Type": "Settled", "Net": "19.99", "Note": "\u2028 Zürich"},
    ]


def test_amounts_are_exact() -> None:
    assert [minor({"a": text}, "a", "EUR") for text in ("19.99", "-0.5", "", "3", "1.9900")] == [1999, -50, 0, 300, 199]
    assert minor({"a": "500.00"}, "a", "JPY") == 500
    for text in ("1.999", "1e99", "NaN", "1,5"):
        with pytest.raises(Unreadable):
            minor({"a": text}, "a", "EUR")


@pytest.mark.parametrize("body", [b"", b"<html>", b"Type;Net\n", b"x" * (LONGEST_LINE + 1), b'Type,Net\n"a"b,c\n'])
def test_what_is_no_such_report_is_told(body: bytes) -> None:
    with pytest.raises(Unreadable):
        list(rows([body], ["Type", "Net"]))
