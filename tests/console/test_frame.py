"""Who is let in, which forms are ours, and what the pages' frame promises."""

import re
from urllib.parse import urlencode

import urllib3

from tests.console.browser import Desk
from tests.stack.console import Served
from tests.stack.front import STRANGER, Signer

HTTP = urllib3.PoolManager(retries=False, timeout=20.0)
ANA, BO, VERA = "ana@shop.example", "bo@shop.example", "vera@shop.example"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def get(url: str, person: str = VERA) -> urllib3.BaseHTTPResponse:
    return HTTP.request("GET", url, headers={"X-Stand-In-Person": person}, redirect=False)


def post(url: str, fields: dict[str, str], person: str = ANA, **headers: str) -> urllib3.BaseHTTPResponse:
    told = {"X-Stand-In-Person": person, **FORM, **headers}
    return HTTP.request("POST", url, body=urlencode(fields), headers=told, redirect=False)


def test_nobody_comes_in_around_the_proxy(served: Served) -> None:
    assert HTTP.request("GET", f"{served.behind}/").status == 401
    forged = {"X-Goog-IAP-JWT-Assertion": Signer().assertion(ANA)}
    assert HTTP.request("GET", f"{served.behind}/", headers=forged).status == 401


def test_who_is_in_none_of_our_groups_sees_nothing(url: str) -> None:
    answer = get(f"{url}/", STRANGER)
    assert answer.status == 403
    assert b"in none of the groups" in answer.data


def test_every_page_lets_in_no_script_but_ours_and_is_kept_nowhere(url: str) -> None:
    for path in ("/", "/audit", "/nowhere"):
        headers = get(url + path).headers
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_pages_are_drawn_with_is_kept_for_ever_under_a_name_of_its_own(url: str) -> None:
    page = get(f"{url}/").data.decode()
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page):
        found = get(url + path)
        assert found.status == 200
        assert "immutable" in found.headers["Cache-Control"]
    assert get(f"{url}/assets/000000000000/console.css").status == 404
    assert get(f"{url}/assets/000000000000/..%2f..%2fsite.py").status == 404


def test_a_form_from_another_sites_page_changes_nothing(url: str) -> None:
    told = {"zone": "Europe/Berlin", "back": "/"}
    assert post(f"{url}/zone", told, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    assert post(f"{url}/zone", told, Origin="https://elsewhere.example").status == 403
    assert post(f"{url}/zone", told).status == 303


def test_a_form_leads_to_no_other_host(url: str) -> None:
    for back in ("//elsewhere.example/x", "https://elsewhere.example/x", "/\\elsewhere.example"):
        answer = post(f"{url}/zone", {"zone": "UTC", "back": back})
        assert answer.status == 303
        assert re.match(r"/(?![/\\])", answer.headers["Location"]), answer.headers["Location"]


def test_nobody_elses_words_are_shown_as_ours(url: str) -> None:
    told = {"name": "Late ones", "due": "over", "form": _token(url, ANA)}
    where = post(f"{url}/disputes/views", told).headers["Location"]
    assert b"the list Late ones is kept" in get(url + where, ANA).data
    assert b"the list Late ones is kept" not in get(url + where, BO).data
    words = "Call+this+number+at+once"
    for forged in (f"/?done={words}", f"/?failed={words}", where.replace("Late+ones", words), f"/?done={words}&seal=x"):
        assert words.replace("+", " ").encode() not in get(url + forged, ANA).data
    assert b"is kept" not in get(url + where.replace("done=", "failed="), ANA).data


def test_who_is_refused_finds_the_way_back_to_the_page_of_the_form(url: str) -> None:
    told = post(f"{url}/disputes/views", {"name": "Late ones", "form": "old"}, Referer=f"{url}/disputes?due=over")
    assert told.status == 403
    assert b"go back to its page" in told.data
    assert b'href="/disputes?due=over"' in told.data


def _token(url: str, person: str) -> str:
    [token, *_] = re.findall(r'name="form" value="([^"]+)"', get(f"{url}/disputes", person).data.decode())
    return str(token)


def test_a_page_that_is_not_there_says_where_to_go(url: str) -> None:
    answer = get(f"{url}/nowhere")
    assert answer.status == 404
    assert b'href="/"' in answer.data


def test_what_people_see_is_said_in_their_own_zone(desk: Desk) -> None:
    with desk.sits(ANA) as page:
        page.goto("/audit")
        page.get_by_label("Times in").fill("Asia/Tokyo")
        page.get_by_role("button", name="Set").click()
        assert page.url.endswith("/audit")
        assert page.get_by_label("Times in").input_value() == "Asia/Tokyo"
