"""What stands on each screen, from a cold start, and what people do there."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlencode

import pytest
import urllib3
from playwright.sync_api import Page

from shared.domain.codec import encode, from_document, to_document
from shared.domain.health import HealthMeasured
from shared.domain.reviews import Review
from shared.flows.audit import SEEN, records
from shared.flows.backtest import MATURITY
from shared.flows.book_of_rules import BOOKS, standing_book
from shared.flows.champions import Champion, Line, with_line
from shared.flows.ports import Create, Key
from shared.flows.score_payment import score_payment
from shared.flows.scorer import CHAMPION, Scorer
from shared.flows.train_model import COLUMNS
from shared.fraud.features import SCHEMA_VERSION
from shared.fraud.rules import State
from tests.builders import DAY, a_payment_event
from tests.cli.shop import Shop, a_shop, run_for_days
from tests.cli.test_changing import give_up
from tests.console.browser import NARROW, WIDE, Desk, barriers, overflows
from tests.console.conftest import PICTURES
from tests.fraud.forests import artifact, fitted
from tests.providers.kits import NOON
from tests.stack.console import pages

HTTP = urllib3.PoolManager(retries=False, timeout=30.0)
ANA, BO, PETRA, VERA = (f"{name}@shop.example" for name in ("ana", "bo", "petra", "vera"))
SCREENS = (
    "/",
    "/reviews",
    "/approvals",
    "/find",
    "/deliveries",
    "/providers",
    "/letters",
    "/rules",
    "/lists",
    "/models",
    "/audit",
)
LARGEST = 100_000
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>\"'>{{7*7}}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop's days, with models, a letter that was given up, and payments that wait for a person."""
    made = a_shop(tmp_path_factory.mktemp("shop") / "home")
    digests = [made.ports.models.store(artifact(COLUMNS, fitted(COLUMNS, iterations=n))) for n in (5, 6)]
    page = made.ports.models.store(b"<!doctype html><style>p{color:red}</style><p>Its card</p>")
    before, champion = (Champion(digest=one, since=made.now - DAY, page=page) for one in digests)
    line = Line(current=champion, former=(before,))
    made.ports.documents.commit([Create(CHAMPION, with_line(None, SCHEMA_VERSION, line))])
    give_up(made)
    measured = (
        health(made, "programme_items", "visa vamp main", 41.0, payments=12),
        health(made, "programme_left", "visa vamp main", 3.0, unusual=True),
        health(made, "programme_ratio", "visa vamp main", 0.0071),
        health(made, "approved", "all", 0.93, low=0.9, high=0.95),
        health(made, "declined", "all", 0.04, payments=0),
        health(made, "deadlines_at_risk", "answer", 2.0, unusual=True),
    )
    made.ports.warehouse.append("model_health", [to_document(one) for one in measured])
    return made


def health(
    shop: Shop,
    measure: str,
    subject: str,
    value: float,
    *,
    low: float | None = None,
    high: float | None = None,
    payments: int = 100,
    unusual: bool = False,
) -> HealthMeasured:
    """What `monitor_model` tells of yesterday."""
    return HealthMeasured(
        row_id=f"{measure}/{subject}",
        day=shop.now.replace(hour=0, minute=0, second=0, microsecond=0) - DAY,
        measured_at=shop.now,
        measure=measure,
        subject=subject,
        model=None,
        value=value,
        low=low,
        high=high,
        payments=payments,
        unusual=unusual,
    )


def waits(shop: Shop, name: str, **fields: Any) -> str:
    """A payment of a test's own that waits for a person."""
    event = a_payment_event(payment_id=name, customer_id=f"cus_{name}", three_d_secure="failed", **fields)
    score_payment(event, shop.ports, shop.now, Scorer(use_model=False))
    return f"stripe:{name}"


def review(shop: Shop, name: str) -> Review:
    [found] = shop.ports.documents.get([Key("reviews", name)])
    assert found is not None
    return from_document(found.document, Review)


def get(url: str, person: str = VERA) -> urllib3.BaseHTTPResponse:
    return HTTP.request("GET", url, headers={"X-Stand-In-Person": person}, redirect=False)


class _Forms(HTMLParser):
    """The hidden fields of the forms that are posted to `action`."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self._action, self._inside = action, False
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = told.get("action") == self._action
            if self._inside:
                self.found.append({})
        elif tag == "input" and self._inside and told.get("type") == "hidden":
            self.found[-1][told["name"]] = told.get("value", "")


def form(url: str, path: str, action: str, person: str) -> dict[str, str]:
    parser = _Forms(action)
    parser.feed(get(url + path, person).data.decode())
    return parser.found[0]


def post(url: str, action: str, fields: dict[str, str], person: str) -> urllib3.BaseHTTPResponse:
    headers = {"X-Stand-In-Person": person, "Content-Type": "application/x-www-form-urlencoded"}
    return HTTP.request("POST", url + action, body=urlencode(fields), headers=headers, redirect=False)


@pytest.mark.parametrize("path", SCREENS)
def test_each_screen_is_small_and_says_what_to_do_where_it_is_empty(path: str, url: str) -> None:
    answer = get(url + path)
    assert answer.status == 200, answer.data
    assert len(answer.data) < LARGEST
    assert b"<h1>" in answer.data


def test_today_says_how_full_a_networks_programme_is_and_what_is_out_of_its_band(url: str) -> None:
    words = " ".join(re.sub(r"<[^>]+>", " ", get(f"{url}/").data.decode()).split())
    assert "visa vamp main 12 3 41" in words
    assert "ratio 0.71%" in words
    assert "93.00% of 100 usual is 90.00% to 95.00%" in words
    assert "At today's pace 2 of the answer queue will miss their deadline" in words


def test_what_a_viewer_may_not_do_is_not_offered_and_not_done(url: str, shop: Shop) -> None:
    name = waits(shop, "pi_viewer")
    page = get(f"{url}/reviews/{name}").data.decode()
    assert "takes the role analyst" in page
    assert 'action="/reviews/claim"' not in page
    told = form(url, f"/reviews/{name}", "/reviews/claim", ANA)
    assert post(url, "/reviews/claim", told, VERA).status == 403
    assert review(shop, name).lease is None
    assert get(f"{url}/rules/try").status == 403


def test_a_reviewer_takes_a_case_and_decides_it_once(desk: Desk, shop: Shop, url: str) -> None:
    name = waits(shop, "pi_decided")
    with desk.sits(ANA) as page:
        page.goto("/reviews")
        page.get_by_role("link", name=name).click()
        desk.picture(page, "review-free")
        page.get_by_role("button", name="Take it").click()
        assert "It is yours until" in page.get_by_role("status").inner_text()
        page.get_by_label("refused: the money is let go").check()
        page.get_by_role("checkbox", name="this customer").check()
        page.get_by_label("Why", exact=False).first.fill("the owner said so")
        desk.picture(page, "review-mine")
        page.get_by_role("button", name="Decide", exact=True).dblclick()
        page.wait_for_url("**/reviews?done=*")
        assert "is refused" in page.get_by_role("status").inner_text()
        page.go_back()
        assert (
            page.get_by_text("Nothing is left to decide here").count()
            or page.get_by_role("button", name="Decide").count()
        )
    closed = review(shop, name)
    assert closed.verdict is not None
    assert (closed.verdict.by, closed.verdict.code, closed.verdict.reason) == (ANA, "stolen_card", "the owner said so")
    assert [
        one.what for one in records(shop.ports.documents, shop.now - DAY, 99) if one.what.startswith("review_payment")
    ]
    assert "cus_pi_decided" in get(f"{url}/lists").data.decode()


def test_who_is_to_be_let_pass_and_to_be_stopped_is_told_to_whoever_does_both(url: str, shop: Shop) -> None:
    at, told = "/lists?" + urlencode({"kind": "customer", "value": "cus_both"}), []
    for action in ("allow", "block"):
        fields = {**form(url, at, "/lists/add", ANA), "action": action, "days": "30", "why": "it was asked for"}
        told.append(unquote_plus(post(url, "/lists/add", fields, ANA).headers["Location"]))
    assert ["at once" in one for one in told] == [False, True]
    assert "it is stopped" in get(url + at, ANA).data.decode()


def test_the_same_form_twice_is_one_verdict(url: str, shop: Shop) -> None:
    name = waits(shop, "pi_twice")
    post(url, "/reviews/claim", form(url, f"/reviews/{name}", "/reviews/claim", ANA), ANA)
    told = form(url, f"/reviews/{name}", "/reviews/decide", ANA)
    said = {**told, "action": "release", "release_code": "known_customer", "why": "called them"}
    assert [post(url, "/reviews/decide", said, ANA).status for _ in range(2)] == [303, 303]
    assert len([step for step in review(shop, name).trail if step.act == "release"]) == 1
    also = {**said, "list_customer": "1"}
    assert post(url, "/reviews/decide", also, ANA).status == 409
    assert "cus_pi_twice" not in get(f"{url}/lists").data.decode()
    handed_anew = form(url, f"/reviews/{waits(shop, 'pi_twice_more')}", "/reviews/claim", ANA)
    other = {**said, "action": "refuse", "refuse_code": "stolen_card", "form": handed_anew.get("form", told["form"])}
    assert post(url, "/reviews/decide", other, ANA).status in (403, 409)


def test_of_two_people_on_one_case_the_second_is_told_by_whom(url: str, shop: Shop) -> None:
    name = waits(shop, "pi_two")
    hers, his = (form(url, f"/reviews/{name}", "/reviews/claim", person) for person in (ANA, BO))
    assert post(url, "/reviews/claim", hers, ANA).status == 303
    late = post(url, "/reviews/claim", his, BO)
    assert late.status == 409
    assert b"ana holds it" in late.data
    assert b"ana holds it" in get(f"{url}/reviews/{name}", BO).data


def test_a_lease_that_ran_out_says_so_and_nothing_is_decided(url: str, shop: Shop) -> None:
    name = waits(shop, "pi_late")
    post(url, "/reviews/claim", form(url, f"/reviews/{name}", "/reviews/claim", ANA), ANA)
    told = form(url, f"/reviews/{name}", "/reviews/decide", ANA)
    shop.at(shop.now + timedelta(minutes=16))
    said = {**told, "action": "release", "release_code": "known_customer", "why": "called them"}
    late = post(url, "/reviews/decide", said, ANA)
    assert late.status == 409
    assert b"claim it first" in late.data
    assert review(shop, name).verdict is None


def test_a_form_that_is_too_old_keeps_what_was_written(url: str, shop: Shop) -> None:
    name = waits(shop, "pi_old")
    told = form(url, f"/reviews/{name}", "/reviews/claim", ANA)
    for stale in ({**told, "form": "x"}, {**told, "form": told["form"][:-2] + "zz"}, {"review": name}):
        answer = post(url, "/reviews/claim", {**stale, "why": "a long thought"}, ANA)
        assert answer.status == 403
        assert b"a long thought" in answer.data
    assert post(url, "/reviews/claim", told, BO).status == 403, "it was handed to somebody else"
    assert review(shop, name).lease is None


def test_everything_works_without_scripts(desk: Desk, shop: Shop) -> None:
    name = waits(shop, "pi_plain")
    with desk.sits(BO, scripts=False) as page:
        page.goto(f"/reviews/{name}")
        page.get_by_role("button", name="Take it").click()
        page.get_by_label("released: it goes on").check()
        page.get_by_label("Why", exact=False).first.fill("she called")
        page.get_by_role("button", name="Decide", exact=True).click()
        assert "is released" in page.get_by_role("status").inner_text()
    assert review(shop, name).verdict is not None


def test_hostile_words_are_words(desk: Desk, shop: Shop, url: str) -> None:
    name = waits(shop, "pi_hostile", merchant_reference=HOSTILE[:60])
    with desk.sits(ANA) as page:
        page.goto(f"/reviews/{name}")
        page.get_by_role("button", name="Take it").click()
        page.get_by_label("Why you give it back").fill(HOSTILE)
        page.get_by_role("button", name="Give it back").click()
        for path in (
            f"/reviews/{name}",
            "/audit",
            "/find?" + urlencode({"id": HOSTILE}),
            "/?" + urlencode({"done": HOSTILE}),
            "/lists?" + urlencode({"kind": "card", "value": HOSTILE}),
            "/deliveries?" + urlencode({"kind": HOSTILE}),
        ):
            page.goto(path)
            assert page.title() != "owned", path
            assert page.locator("main script, main img").count() == 0, path
        page.goto(f"/reviews/{name}")
        assert HOSTILE in page.inner_text("main")


def test_anything_is_found_by_any_id_and_who_looked_is_known(desk: Desk, shop: Shop) -> None:
    with desk.sits(VERA) as page:
        page.goto("/")
        page.get_by_label("Find by any id").fill(shop.payment)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert shop.payment in page.inner_text("h1")
        assert page.locator(".timeline li").count() > 3
        desk.picture(page, "story")
        page.locator(".timeline a[href^='/delivery']").first.click()
        assert "Proved by key" in page.inner_text("main")
        desk.picture(page, "delivery")
    seen = [one for one in records(shop.ports.documents, shop.now - DAY, 500) if one.what == SEEN and one.who == VERA]
    assert any(shop.payment in change.name for one in seen for change in one.changes)


def test_a_delivery_that_could_not_be_read_is_seen_and_tried_again_on_paper(url: str) -> None:
    listed = get(f"{url}/deliveries?outcome=unparsed&days=7").data.decode()
    path = re.findall(r'<a href="(/delivery\?[^"]+)"', listed)[0].replace("&amp;", "&")
    shown = get(url + path, ANA).data.decode()
    assert "not as it was last week" in shown or "missing field" in shown
    [again] = {one.replace("&amp;", "&") for one in re.findall(r'href="(/rehearsal\?[^"]+)"', shown)}
    tried = get(url + again, ANA)
    assert tried.status == 200
    assert b"Nothing was written" in tried.data
    assert get(url + again, VERA).status == 403


def test_what_was_given_up_is_sent_again(desk: Desk, shop: Shop) -> None:
    with desk.sits(ANA) as page:
        page.goto("/letters")
        desk.picture(page, "letters")
        page.get_by_text("Send again").click()
        page.get_by_label("Why").fill("mended")
        page.get_by_role("button", name="Publish 1 again").click()
        assert "1 published again" in page.get_by_role("status").inner_text()
        assert "Nothing was given up" in page.inner_text("main")


def test_dead_letters_that_are_missing_are_named_and_hide_no_others(url: str, shop: Shop) -> None:
    give_up(shop)
    with closing(sqlite3.connect(shop.home / "payin.sqlite")) as database, database:
        database.execute("DELETE FROM subscriptions WHERE name = 'dead-letter-track-dispute'")
    found = get(f"{url}/letters", ANA)
    assert found.status == 200
    assert b"Nobody looked into dead-letter-track-dispute" in found.data
    assert re.search(rb"Publish \d again", found.data)


def test_why_says_also_what_if(url: str, shop: Shop) -> None:
    told = get(f"{url}/why?" + urlencode({"payment": f"stripe:{shop.payment}", "rules": "shipped", "model": "none"}))
    assert told.status == 200
    assert b"What made it" in told.data
    assert b'role="status"' in told.data
    wrong = get(f"{url}/why?" + urlencode({"payment": f"stripe:{shop.payment}", "rules": "77"}))
    assert b'role="alert"' in wrong.data


def test_a_rule_changes_when_another_person_agrees_and_not_before(url: str, shop: Shop) -> None:
    told = form(url, "/rules", "/rules/put", ANA)
    wish = {**told, "state": "shadow", "why": "it hinders renewals"}
    assert [post(url, "/rules/put", wish, ANA).status for _ in range(2)] == [303, 303]
    assert standing_book(shop.ports.documents).revision is None
    agree = {
        one.removeprefix('"')
        for one in re.findall(r'action="(/approvals/[^"]+/agree)', _page(url, "/approvals", PETRA))
    }
    [path] = agree
    assert post(url, path, {**form(url, "/approvals", path, PETRA), "why": "yes"}, ANA).status == 403
    done = post(url, path, {**form(url, "/approvals", path, PETRA), "why": "so it does"}, PETRA)
    assert done.status == 303
    book = standing_book(shop.ports.documents)
    assert book.revision == 1
    [rule] = [one for one in book.contents.rules if one.code == told["code"]]
    assert rule.state is State.SHADOW
    assert (rule.owner, rule.changed and rule.changed.author) == ("fraud", ANA)
    assert f"changed by {ANA}" in _page(url, "/rules", VERA)
    assert told["code"] in _page(url, "/rules/diff?from=shipped&to=1", VERA)
    wishes = [{**form(url, "/rules", "/rules/put", ANA), "state": "live", "why": "it hinders none"} for _ in range(2)]
    for junk in ("", "x" * 20_000, "-1", "1.5", "²", "\x00", "0", "99999999999", "2", "shipped"):
        assert post(url, "/rules/put", {**wishes[0], "after": junk}, ANA).status in (400, 409), junk
    assert [post(url, "/rules/put", wish, ANA).status for wish in wishes] == [303, 303]
    went = []
    for path in sorted(set(re.findall(r'action="(/approvals/[^"]+/agree)', _page(url, "/approvals", PETRA)))):
        said = post(url, path, {**form(url, "/approvals", path, PETRA), "why": "so it is"}, PETRA)
        went.append(unescape(_page(url, said.headers["Location"], PETRA)))
    assert sum("revision 2 decides" in page for page in went) == 1
    assert sum('role="alert">it could not be done: the book is another one by now' in page for page in went) == 1
    assert standing_book(shop.ports.documents).revision == 2


def test_a_rule_that_nobody_owns_is_shown_so_and_nobody_can_ask_for_it_to_decide(url: str, shop: Shop) -> None:
    stood = standing_book(shop.ports.documents)
    first, *others = stood.contents.rules
    old = replace(first, owner="", reason="", state=State.SHADOW, changed=None)
    contents = replace(stood.contents, rules=(old, *others))
    said = {"author": ANA, "why": "as it was long ago"}
    revision = BOOKS.publish(shop.ports.documents, encode(contents), shop.now, after=stood.revision, **said)
    try:
        assert "nobody" in _page(url, "/rules", VERA)
        wish = {**form(url, "/rules", "/rules/put", ANA), "state": "live", "why": "it hinders none"}
        answered = post(url, "/rules/put", wish, ANA)
        assert answered.status == 400
        assert b"publish it with an owner and a reason" in answered.data
    finally:
        BOOKS.publish(shop.ports.documents, encode(stood.contents), shop.now, after=revision, **said)


def _page(url: str, path: str, person: str) -> str:
    return get(url + path, person).data.decode()


def test_a_condition_is_tried_and_one_that_is_none_says_why(url: str) -> None:
    fine = get(f"{url}/rules/try?" + urlencode({"sql": "amount >= 1", "days": "30"}), ANA).data.decode()
    assert "It would have held for" in fine
    assert "<svg" in fine
    assert 'role="alert"' in get(f"{url}/rules/try?" + urlencode({"sql": "DROP TABLE x"}), ANA).data.decode()


def tried(page: Page, over: str = "") -> str:
    """What the page says of a condition that holds for all, as somebody tries it who chooses (or leaves) the time."""
    page.goto("/rules/try")
    page.get_by_label("When").fill("amount >= 1")
    if over:
        page.get_by_label("Over").select_option(over)
    page.get_by_role("button", name="Try").click()
    page.get_by_role("heading", name="It would have held for").wait_for()
    assert barriers(page) == []
    return page.get_by_role("main").inner_text()


def test_each_time_that_a_condition_can_be_tried_over_says_how_much_of_it_is_old_enough(desk: Desk) -> None:
    with desk.sits(ANA) as page:
        page.goto("/rules/try")
        spans = page.get_by_label("Over").locator("option").all_inner_texts()
        assert spans == [
            "90 days, 30 old enough",
            "75 days, 15 old enough",
            "30 days, none old enough",
            "14 days, none old enough",
        ]
        # The shop is a day old: whatever is asked for, nothing can be told, and how to go on depends on it.
        young = tried(page)
        assert "It would have held for 1 payment" in young
        assert "nobody can say yet: none of these payments is 60 days old" in young
        assert "younger than that: ask again" in young
        assert "Of payments that are old enough" not in young
        assert "Ask for a longer time." in tried(page, "30")


def test_a_condition_tried_over_three_months_says_how_right_it_was(browser: object, tmp_path: Path) -> None:
    shop = run_for_days(Shop(tmp_path / "home", now=NOON - 70 * DAY))
    shop.at(NOON)
    with pages(shop.home) as served, Desk(browser, served.url, PICTURES).sits(ANA) as page:  # type: ignore[arg-type]
        old = tried(page)
        assert f"those until {NOON - MATURITY:%Y-%m-%d}" in old
        assert re.search(r"of its hits, fraud\s+100.00%", old)
        assert re.search(r"of all genuine payments, hindered\s+none is known", old)
        assert "nobody can say yet" not in old
        assert "It would have held for 0 payments" in tried(page, "14")


def test_a_model_is_rolled_back_by_an_approver_alone_and_its_card_runs_no_script(url: str, shop: Shop) -> None:
    card = get(f"{url}/models/card/{_decides(shop)}")
    assert b"Its card" in card.data
    assert "sandbox" in card.headers["Content-Security-Policy"]
    assert 'action="/models/roll-back"' not in get(f"{url}/models", ANA).data.decode()
    told = form(url, "/models", "/models/roll-back", PETRA)
    assert post(url, "/models/roll-back", {**told, "why": "declines doubled"}, ANA).status == 403
    assert post(url, "/models/roll-back", {**told, "digest": "0" * 64, "why": "declines doubled"}, PETRA).status == 400
    before = _decides(shop)
    again = form(url, "/models", "/models/roll-back", PETRA)
    assert post(url, "/models/roll-back", {**again, "why": "declines doubled"}, PETRA).status == 303
    assert _decides(shop) != before


def _decides(shop: Shop) -> str:
    from shared.operations.model_quality import standing

    current = standing(shop.ports.documents).line.current
    assert current is not None
    return current.digest


@pytest.fixture(scope="module")
def page_of(desk: Desk) -> Iterator[dict[tuple[str, tuple[int, int]], Page]]:
    """A page for each scheme and size, which goes from screen to screen."""
    from contextlib import ExitStack

    with ExitStack() as open_:
        yield {
            (scheme, size): open_.enter_context(desk.sits(PETRA, size=size, scheme=scheme))  # type: ignore[arg-type]
            for scheme, size in (("light", WIDE), ("dark", NARROW))
        }


@pytest.mark.parametrize("path", [*SCREENS, "/rules/try?sql=amount+%3E%3D+1&days=30", "/nowhere"])
def test_everybody_can_read_and_work_with_each_page(
    path: str, page_of: dict[tuple[str, tuple[int, int]], Page], desk: Desk
) -> None:
    for (scheme, size), page in page_of.items():
        page.goto(path)
        desk.picture(page, f"{path.partition('?')[0]}-{scheme}-{size[0]}")
        assert barriers(page) == []
        assert overflows(page) <= 0
