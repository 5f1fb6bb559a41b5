import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.addresses import address, network
from shared.fraud.features import Attempt, Entity
from tests.builders import a_payment_event


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("198.51.100.7", "198.51.100.7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("198.051.100.007", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::FFFF:c633:6407", "198.51.100.7"),
        ("0:0:0:0:0:ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:198.051.100.007", "198.51.100.7"),
        ("::198.51.100.7", "198.51.100.7"),
        ("::ffff:0:198.51.100.7", "198.51.100.7"),
        ("64:ff9b::198.51.100.7", "198.51.100.7"),
        ("64:FF9B:0:0:0:0:c633:6407", "198.51.100.7"),
        ("::1", "::1"),
        ("2001:db8::198.51.100.7", "2001:db8::c633:6407"),
        ("198.51.100.7:443", "198.51.100.7"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("[2001:db8::1]:8080", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]", "fe80::1"),
        ("::ffff:198.51.100.7%2", "198.51.100.7"),
        ("999.1.1.1", None),
        ("198.51.100", None),
        ("2001:db8::1::2", None),
        ("198.51.100.7, 203.0.113.9", "198.51.100.7"),
        ("unknown, 8.8.8.8, 10.0.0.1", "8.8.8.8"),
        ("10.0.0.1,8.8.4.4:443, 8.8.8.8", "8.8.4.4"),
        ("[2001:4860:4860::8888]:443, 10.0.0.1", "2001:4860:4860::8888"),
        ("unknown, , nobody", None),
        ("unknown", None),
        ("", None),
        ("1" * 5000, None),
    ],
)
def test_an_address_is_one_text_however_it_is_written(text: str, usual: str | None) -> None:
    assert address(text) == usual


def test_what_one_subscriber_has_is_one_entity() -> None:
    through_one_server = ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:39cc:9bf8")
    assert [network(ip) for ip in through_one_server] == ["192.0.2.45", "198.51.100.7"]
    assert network("2001:db8:1:2:aaaa::1") == network("2001:DB8:1:2:bbbb:0:0:9") == "2001:db8:1:2::/64"
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("::ffff:198.51.100.7") == network("198.51.100.7") == "198.51.100.7"


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_every_address_of_a_64_is_in_it(ip: object, host: int) -> None:
    moved = type(ip)(int(ip) >> 64 << 64 | host)  # type: ignore[call-overload, call-arg]
    assume(ip.teredo is None)  # type: ignore[attr-defined]
    if ":" in (address(str(ip)) or "") and ":" in (address(str(moved)) or ""):
        assert network(str(ip)) == network(str(moved))
    assert address(ip.exploded.upper()) == address(str(ip))  # type: ignore[attr-defined]


@given(st.text(max_size=60))
def test_no_text_makes_reading_an_address_fail(text: str) -> None:
    found = address(text)
    assert found is None or address(found) == found
    assert network(text) or not text


@pytest.mark.parametrize("ip", ["198.51.100.7", "::ffff:198.51.100.7", "198.051.100.007"])
def test_a_payments_history_by_address_is_kept_of_that_entity(ip: str) -> None:
    assert Attempt.of(a_payment_event(ip=ip)).entities[Entity.IP] == "198.51.100.7"
