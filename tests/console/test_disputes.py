"""What people do about disputes in a browser, and what they cannot."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

import pytest
import urllib3
from playwright.sync_api import Page, expect

from shared.console.pages.disputes import path_of
from shared.console.site import address
from shared.disputes import lifecycle
from shared.domain import timeline
from shared.domain.answers import Act
from shared.domain.codec import decode, encode, to_document
from shared.domain.disputes import AnswerAsked, AnswerState, Dispute
from shared.domain.money import Money
from shared.flows.approvals import COLLECTION as APPROVALS
from shared.flows.approvals import Stand, approval, decide
from shared.flows.audit import records
from shared.flows.dispute_desk import view
from shared.flows.filing import key_of
from shared.flows.ports import Create, Key, Replace
from shared.flows.respond_dispute import respond_dispute
from shared.flows.teamwork import COMMENTS, MOST_COMMENTS, Comment, in_queue
from shared.runtime.answers import clerk
from shared.runtime.workbench import Workbench
from tests.builders import DAY
from tests.cli.shop import Shop, a_shop
from tests.console.browser import NARROW, WIDE, Desk, barriers, overflows
from tests.providers.kits import a_dispute, an_attempt
from tests.simulator.facts import FactKind
from tests.stack import topology

HTTP = urllib3.PoolManager(retries=False, timeout=30.0)
ANA, BO, VERA, PETRA, PAUL = (f"{name}@shop.example" for name in ("ana", "bo", "vera", "petra", "paul"))
EVIL = "<script>window.hit=1</script><img src=x onerror='window.hit=1'>\"'><svg onload=window.hit=1>"
AT_A_DESK = ("plain", "quick", "two", "back", "bare", "large", "other", "evil", "look", "wish")
"""A dispute for each test that changes one."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Payments that are disputed, and what the clock has decided about each."""
    shop = a_shop(tmp_path_factory.mktemp("shop") / "home")
    for number, name in enumerate(AT_A_DESK):
        amount = Money(90_000 if name == "large" else 2_000 + number, "EUR")
        attempt = an_attempt(id=f"attempt-{name}", customer=f"customer-{name}", amount=amount)
        due = shop.now + timedelta(days=4 + number)
        opened = a_dispute(id=f"dispute-{name}", respond_by=due)
        shop.happens(FactKind.CAPTURED, attempt=attempt)
        shop.happens(FactKind.DISPUTE_OPENED, attempt=attempt, dispute=opened)
    shop.at(shop.now + timedelta(hours=2))
    bench = Workbench("console", {"PAYIN_HOME": str(shop.home), "PAYIN_CLOCK": str(shop.home / "clock")})
    desk = clerk(bench)
    for dispute in in_queue(shop.ports.documents, {}, 50):
        asked = AnswerAsked(provider="stripe", dispute_id=dispute.dispute_id, round=dispute.round or "")
        respond_dispute(asked, shop.ports, desk, lambda: shop.now)
    return shop


@pytest.fixture(scope="module")
def named(shop: Shop) -> dict[str, str]:
    """Stripe's name of each dispute."""
    simulator = shop.kit("stripe").simulator
    return {name: str(simulator.dispute_id(a_dispute(id=f"dispute-{name}"))) for name in AT_A_DESK}


def path(dispute_id: str, act: str = "") -> str:
    return f"/dispute/{act}/stripe/{dispute_id}" if act else f"/disputes/stripe/{dispute_id}"


def standing(shop: Shop, dispute_id: str) -> Dispute:
    return view(shop.ports.documents, "stripe", dispute_id)


def get(url: str, person: str = ANA) -> str:
    answer = HTTP.request("GET", url, headers={"X-Stand-In-Person": person}, redirect=False)
    assert answer.status == 200, answer.data.decode()
    return answer.data.decode()


def post(url: str, fields: dict[str, str], person: str = ANA) -> urllib3.BaseHTTPResponse:
    told = {"X-Stand-In-Person": person, "Content-Type": "application/x-www-form-urlencoded"}
    return HTTP.request("POST", url, body=urlencode(fields), headers=told, redirect=False)


def form_on(page: str, action: str) -> dict[str, str]:
    """What the form at `action` sends by itself."""
    [form] = re.findall(rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.DOTALL)[:1]
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in hidden}


def asked_for(shop: Shop) -> list[AnswerAsked]:
    """What waits to be carried out."""
    own = next(one for one in topology.pushed(shop.served) if one.function == "respond_dispute")
    pulled = shop.bus.pull(own.name, 100, 0)
    return [decode(one.data, AnswerAsked) for one in pulled]


def dear(shop: Shop, dispute_id: str, minor: int, **told: Any) -> None:
    """The provider tells another amount, and what else is `told`."""
    [found] = shop.ports.documents.get([key_of("stripe", dispute_id)])
    assert found is not None
    before = standing(shop, dispute_id)
    facts = {event: replace(fact, amount=Money(minor, "EUR"), **told) for event, fact in before.facts.items()}
    after = lifecycle.settle(replace(before, facts=facts))
    shop.ports.documents.commit([Replace(found.key, timeline.compact(after), found.version)])


@contextmanager
def nothing_new(shop: Shop, dispute_id: str) -> Iterator[None]:
    before = standing(shop, dispute_id)
    yield
    assert standing(shop, dispute_id) == before


def test_an_analyst_takes_a_dispute_puts_evidence_to_it_and_sends_it(
    desk: Desk, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["plain"]
    with desk.sits(ANA) as page:
        page.goto("/disputes")
        row = page.locator("tbody tr", has_text=dispute_id)
        expect(row).to_contain_text("due in")
        expect(row).to_contain_text("nobody")
        place = [one.get_attribute("data-href") for one in page.locator("tbody tr").all()].index(path(dispute_id))
        page.locator("body").click(position={"x": 640, "y": 5})
        for _ in range(place + 1):
            page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{path(dispute_id)}")
        page.get_by_role("button", name="Take it").click()
        expect(page.get_by_role("status")).to_contain_text("it is ana's now")
        page.get_by_text("Put evidence to the answer").click()
        page.get_by_label("About").select_option("usage")
        page.get_by_label("A text, in the place of ours").fill("She played 40 hours of music since.")
        page.get_by_role("button", name="Put it there").click()
        expect(page.get_by_text("She played 40 hours of music since.").first).to_be_visible()
        page.get_by_role("link", name="Send the evidence…").click()
        expect(page.get_by_text("Nobody can take this back.")).to_be_visible()
        page.get_by_label("Why").fill("the music was played")
        page.get_by_role("button", name="Send the evidence").click()
        expect(page.get_by_role("status")).to_contain_text("the evidence goes out now")
        page.goto("/disputes?who=me")
        expect(page.locator("tbody tr")).to_have_count(1)
    answer = standing(shop, dispute_id).answer
    assert answer is not None
    assert (answer.state, answer.act, answer.by) == (AnswerState.ANNOUNCED, Act.SUBMIT, ANA)
    assert answer.why == ("the music was played",)
    said = [(one.who, one.what) for one in records(shop.ports.documents, shop.now - timedelta(days=1), 500)]
    assert {(ANA, "dispute assign"), (ANA, "dispute evidence"), (ANA, "dispute submit"), (ANA, "read")} <= set(said)


def test_a_form_that_is_sent_twice_at_once_or_again_later_submits_once(
    url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["quick"]
    action = path(dispute_id, "submit")
    fields = {**form_on(get(url + action), action), "why": "worth it"}
    before = len([one for one in asked_for(shop) if one.dispute_id == dispute_id])
    with ThreadPoolExecutor(3) as hands:
        answers = list(hands.map(lambda _: post(url + action, fields), range(3)))
    answers.append(post(url + action, fields))
    assert [one.status for one in answers] == [303] * 4
    told = [one.headers["Location"] for one in answers]
    assert sum("goes+out+now" in one for one in told) == 1
    assert sum("done+already" in one for one in told) == 3
    made = [
        one for one in records(shop.ports.documents, shop.now - timedelta(days=1), 500) if one.what == "dispute submit"
    ]
    assert sum(dispute_id in change.name for one in made for change in one.changes) == 1
    assert len([one for one in asked_for(shop) if one.dispute_id == dispute_id]) == before + 1


def test_of_two_people_on_one_case_the_second_is_told_and_loses_no_word(
    desk: Desk, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["two"]

    def fill(page: Page, why: str) -> None:
        page.goto(path(dispute_id))
        page.get_by_text("Hold it for a while").click()
        page.get_by_label("Until, in").fill(f"{shop.now + timedelta(days=1):%Y-%m-%dT%H:%M}")
        page.locator("form[action*='/hold/'] textarea").fill(why)

    with desk.sits(ANA) as hers, desk.sits(BO) as his:
        fill(hers, "I wait for the bank's letter")
        fill(his, "the customer calls back")
        his.get_by_role("button", name="Hold", exact=True).click()
        expect(his.get_by_role("status")).to_contain_text("held until")
        hers.get_by_role("button", name="Hold", exact=True).click()
        expect(hers.get_by_role("alert")).to_contain_text("meanwhile it is held, by bo:")
        expect(hers.get_by_text("I wait for the bank's letter")).to_be_visible()
    answer = standing(shop, dispute_id).answer
    assert answer is not None
    assert (answer.by, answer.why) == (BO, ("the customer calls back",))


def test_going_back_after_an_act_does_not_do_it_again(desk: Desk, shop: Shop, named: dict[str, str]) -> None:
    dispute_id = named["back"]
    with desk.sits(ANA) as page:
        page.goto(path(dispute_id, "accept"))
        expect(page.get_by_text("It costs")).to_be_visible()
        page.get_by_label("Why").fill("they are right")
        page.get_by_role("button", name="Accept the claim").click()
        expect(page.get_by_role("status")).to_contain_text("the claim is accepted")
        page.reload()
        done = standing(shop, dispute_id)
        page.go_back()
        page.get_by_label("Why").fill("they are right")
        page.get_by_role("button", name="Accept the claim").click()
        expect(page.get_by_role("status")).to_contain_text("goes out now")
    again = standing(shop, dispute_id)
    assert done.answer is not None
    assert again.answer is not None
    assert (again.answer.act, again.answer.by) == (Act.ACCEPT, ANA)


def test_everything_is_done_without_scripts_as_well(desk: Desk, shop: Shop, named: dict[str, str]) -> None:
    dispute_id = named["bare"]
    with desk.sits(ANA, scripts=False) as page:
        page.goto("/disputes")
        page.get_by_label(f"Choose {dispute_id}").check()
        page.get_by_label("are with").fill(BO)
        page.get_by_role("button", name="Assign").click()
        expect(page.get_by_role("status")).to_contain_text("1 of 1 now with bo")
        page.goto(f"/disputes?who={BO}")
        page.get_by_text("Lists of your own").click()
        page.get_by_label("Keep this list as").fill("What Bo does")
        page.get_by_role("button", name="Keep").click()
        page.get_by_role("link", name="What Bo does").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("link", name=dispute_id).click()
        page.get_by_label("Say something").fill("Look at the second login.")
        page.get_by_role("button", name="Say it").click()
        expect(page.get_by_text("Look at the second login.")).to_be_visible()
        page.get_by_role("link", name="Send the evidence…").dblclick()
        page.get_by_label("Why").fill("worth it")
        page.get_by_role("button", name="Send the evidence").dblclick()
        expect(page.get_by_role("status")).to_contain_text(re.compile("goes out now|done already"))
    answer = standing(shop, dispute_id).answer
    assert answer is not None
    assert (answer.act, answer.by) == (Act.SUBMIT, ANA)


def test_a_dispute_is_given_to_whoever_may_answer_it_and_to_nobody_else(
    url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id, action = named["bare"], path(named["bare"], "assign")
    before = standing(shop, dispute_id).assignee
    for to in (VERA, "stranger@shop.example", "anybody@elsewhere.example", "a b", "x' || 'y@shop.example", "@"):
        fields = {**form_on(get(url + path(dispute_id)), action), "to": to}
        assert (to, post(url + action, fields).status) == (to, 422)
        chosen = {"form": fields["form"], "case:1": f"stripe:{dispute_id}", "to": to}
        assert post(f"{url}/disputes/assign", chosen).status == 422
    assert standing(shop, dispute_id).assignee == before
    for to, whose in (("petra", PETRA), (BO.upper(), BO), ("nobody", ""), ("", ANA)):
        fields = {**form_on(get(url + path(dispute_id)), action), "to": to}
        assert post(url + action, fields).status == 303
        assert standing(shop, dispute_id).assignee == whose


def test_no_address_stands_in_the_url_of_a_list(url: str, shop: Shop) -> None:
    page = get(f"{url}/disputes?who={BO}&status=all")
    where = [*re.findall(r'(?:href|action)="([^"]+)"', page), *re.findall(r'name="who" value="([^"]*)"', page)]
    assert "bo" in where
    kept = post(f"{url}/disputes/views", {**form_on(page, "/disputes/views"), "name": "Of Bo", "who": BO})
    where += [kept.headers["Location"], *re.findall(r'href="([^"]+)"', get(f"{url}/disputes"))]
    where += re.findall(r'href="([^"]+)"', get(f"{url}/audit?who={BO}"))
    assert not [one for one in where if "@" in one or "%40" in one]
    assert "who=bo" in kept.headers["Location"]


def test_what_takes_two_is_done_when_another_person_agrees(
    desk: Desk, url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["large"]
    with desk.sits(PETRA) as page, nothing_new(shop, dispute_id):
        page.goto(path(dispute_id, "accept"))
        expect(page.get_by_text("This takes two people")).to_be_visible()
        page.get_by_label("Why").fill("they are right, I think")
        page.get_by_role("button", name="Ask for it").click()
        expect(page.get_by_role("status")).to_contain_text("nothing is done until another person agrees")
        page.goto("/approvals")
        expect(page.get_by_text("You asked for it: another person has to agree.")).to_be_visible()
        [kept] = [one.document for one in shop.ports.documents.scan(APPROVALS, 10)]
        token = form_on(get(url + path(dispute_id)), path(dispute_id, "comment"))["form"]
        assert post(f"{url}/approvals/{kept['id']}/agree", {"form": token, "why": "as an analyst"}).status == 403
        action = path(dispute_id, "accept")
        again = {**form_on(get(url + action), action), "why": "me too"}
        assert post(url + action, again).status == 409
    with desk.sits(PAUL) as page:
        page.goto("/approvals")
        desk.picture(page, "approvals-light-1280")
        assert barriers(page) == []
        page.get_by_label("Why you agree").fill("so they are")
        page.get_by_role("button", name="Agree: it is done at once").click()
        expect(page.get_by_role("status")).to_contain_text("the claim is accepted")
    answer = standing(shop, dispute_id).answer
    assert answer is not None
    assert (answer.act, answer.by, answer.why) == (Act.ACCEPT, PETRA, ("they are right, I think (paul agreed)",))
    assert approval(shop.ports.documents, str(kept["id"])).outcome == "the claim is accepted: it goes out now"
    # Colleagues are called by name wherever it is told of: a masked address would say nothing.
    told = encode(records(shop.ports.documents, shop.now - DAY, 1000)).decode()
    assert '\\"decided_by\\":\\"paul\\"' in told
    assert '"by\\":\\"[e-mail]' not in told
    assert f"accept by {PETRA.partition('@')[0]}" in get(f"{url}/find?id={dispute_id}")


def test_what_was_agreed_to_and_died_is_carried_out_again_once(url: str, shop: Shop, named: dict[str, str]) -> None:
    dispute_id, action = named["look"], path(named["look"], "accept")
    dear(shop, dispute_id, 70_000)
    assert post(url + action, {**form_on(get(url + action), action), "why": "they are right"}).status == 303
    [kept] = [one for one in shop.ports.documents.scan(APPROVALS, 10) if dispute_id in str(one.document["about"])]
    decide(shop.ports, kept.key.id, PETRA, shop.now, agreed=True, why="yes")
    page = get(f"{url}/approvals", PAUL)
    assert "nobody knows whether it was done" in page
    again = f"/approvals/{kept.key.id}/again"
    fields = form_on(page, again)
    told = [post(url + again, fields, PAUL).headers["Location"] for _ in range(2)]
    assert all("accepted" in one for one in told), told
    answer = standing(shop, dispute_id).answer
    assert answer is not None
    assert (answer.act, answer.by) == (Act.ACCEPT, ANA)
    assert "nobody knows" not in get(f"{url}/approvals", PAUL)


def test_a_wish_ends_before_the_deadline_shows_what_is_given_up_and_is_withdrawn_by_who_asked(
    url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id, action = named["wish"], path(named["wish"], "accept")
    until = shop.now + timedelta(hours=20)
    dear(shop, dispute_id, 70_000, respond_by=until)
    wish = {**form_on(get(url + action), action), "why": "they are right"}
    assert [post(url + action, wish).status for _ in range(2)] == [303, 303]
    other = post(url + action, {**wish, "why": "they are wrong"})
    assert (other.status, b"used for something else already" in other.data) == (409, True)
    [kept] = [one for one in shop.ports.documents.scan(APPROVALS, 10) if dispute_id in str(one.document["about"])]
    wanted = approval(shop.ports.documents, kept.key.id)
    assert wanted.why == "they are right"
    assert wanted.open_until == until - timedelta(hours=1)
    page = get(f"{url}/approvals", PAUL)
    assert "EUR 700.00" in page.partition("What is given up")[2][:60]
    assert "due in 20 h" in page.partition("<dt>Deadline</dt>")[2][:80]
    dear(shop, dispute_id, 70_000, respond_by=until - timedelta(hours=9))
    moved = get(f"{url}/approvals", PAUL)
    assert "due in 11 h" in moved.partition("<dt>Deadline</dt>")[2][:80]
    assert "another one than when it was asked for" in moved
    withdraw, agree = (f"/approvals/{kept.key.id}/{act}" for act in ("withdraw", "agree"))
    assert withdraw not in page
    fields = {**form_on(moved, agree), "why": "so they are"}
    dear(shop, dispute_id, 70_000, respond_by=shop.now - timedelta(minutes=1))
    assert agree not in get(f"{url}/approvals", PAUL)
    with nothing_new(shop, dispute_id):
        assert post(url + agree, fields, PAUL).status == 409
    dear(shop, dispute_id, 70_000, respond_by=until)
    own = {**form_on(get(f"{url}/approvals"), withdraw), "why": "they have paid"}
    not_theirs = {**own, "form": form_on(get(url + path(dispute_id), BO), path(dispute_id, "comment"))["form"]}
    with nothing_new(shop, dispute_id):
        assert post(url + withdraw, not_theirs, BO).status == 409
        assert post(url + withdraw, own).status == 303
        assert "was asked for already" in unquote_plus(post(url + action, wish).headers["Location"])
    assert approval(shop.ports.documents, kept.key.id).stand is Stand.WITHDRAWN
    said = [(one.who, one.what) for one in records(shop.ports.documents, shop.now - timedelta(days=1), 500)]
    assert said.count((ANA, "approval withdraw")) == 1
    assert kept.key.id not in get(f"{url}/approvals", PAUL)


def test_what_was_agreed_to_is_not_done_for_another_amount(url: str, shop: Shop, named: dict[str, str]) -> None:
    dispute_id, action = named["other"], path(named["other"], "accept")
    dear(shop, dispute_id, 70_000)
    assert post(url + action, {**form_on(get(url + action), action), "why": "they are right"}).status == 303
    [kept] = [one for one in shop.ports.documents.scan(APPROVALS, 10) if dispute_id in str(one.document["about"])]
    dear(shop, dispute_id, 7_000_000)
    agree = f"/approvals/{kept.key.id}/agree"
    with nothing_new(shop, dispute_id):
        fields = {**form_on(get(f"{url}/approvals", PAUL), agree), "why": "so they are"}
        went = [post(url + agree, fields, PAUL).headers["Location"] for _ in range(2)]
    for where in went:
        page = get(url + where, PAUL)
        assert '<p role="alert">it could not be done: meanwhile it is about another amount' in page
        assert 'role="status"' not in page
    told = approval(shop.ports.documents, kept.key.id)
    assert (told.stand, "another amount" in str(told.outcome)) == (Stand.FAILED, True)


def test_hostile_text_in_any_field_is_text(desk: Desk, url: str, shop: Shop, named: dict[str, str]) -> None:
    dispute_id = named["evil"]
    [found] = shop.ports.documents.get([key_of("stripe", dispute_id)])
    assert found is not None
    one = standing(shop, dispute_id)
    facts = {
        f"evt{EVIL}": replace(fact, reason_code=EVIL, network=EVIL, provider_status=EVIL, respond_by_text=EVIL)
        for fact in one.facts.values()
    }
    assert one.answer is not None
    answer = replace(one.answer, told=EVIL, code=EVIL, why=(EVIL,), compelling=EVIL)
    after = lifecycle.settle(replace(one, facts=facts, answers={one.round or "": answer}, assignee=EVIL))
    shop.ports.documents.commit([Replace(found.key, timeline.compact(after), found.version)])
    pdf = b"%PDF-1.4 no pdf"
    with desk.sits(ANA) as page:
        page.goto(path(dispute_id))
        page.get_by_label("Say something").fill(EVIL)
        page.get_by_role("button", name="Say it").click()
        expect(page.locator(".said")).to_have_text(EVIL)
        page.get_by_text("Put evidence to the answer").click()
        page.set_input_files("input[type=file]", {"name": f"{EVIL}.pdf", "mimeType": "text/html", "buffer": pdf})
        page.get_by_role("button", name="Put it there").click()
        expect(page.get_by_role("alert")).to_contain_text("the file is not taken")
        page.goto(f"/disputes?status={quote(EVIL)}&provider={quote(EVIL)}&who={quote(EVIL)}&done={quote(EVIL)}")
        page.get_by_text("Lists of your own").click()
        page.get_by_label("Keep this list as").fill(EVIL[:50])
        page.get_by_role("button", name="Keep", exact=True).click()
        page.goto(path(dispute_id))
        expect(page.locator(".columns li", has_text=EVIL).first).to_be_visible()
        for where in ("/disputes?status=all", path(dispute_id), path(dispute_id, "submit"), "/audit?days=90"):
            page.goto(where)
            page.wait_for_timeout(50)
            assert page.evaluate("window.hit") is None, where
            assert page.locator("svg[onload], img").count() == 0
    back = f"/dispute/comment/stripe/{quote(EVIL, safe='')}"
    fields = form_on(get(url + path(dispute_id)), path(dispute_id, "comment"))
    told = post(url + back, {**fields, "text": EVIL})
    assert told.status == 404
    assert b"<svg onload" not in told.data


def test_a_form_that_is_stale_does_nothing_and_keeps_what_was_typed(
    url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["look"]
    action = path(dispute_id, "hold")
    fields = form_on(get(url + path(dispute_id, "submit")), path(dispute_id, "submit"))
    typed = {"why": "typed with care", "until": "2026-03-09T12:00", "_mark": fields["_mark"]}
    with nothing_new(shop, dispute_id):
        for stale in ("", "1.2.3", fields["form"].replace(fields["form"][0], "9", 1)):
            told = post(url + action, {**typed, "form": stale})
            assert told.status == 403
            assert b"typed with care" in told.data
            assert b"go back to its page" in told.data
        assert post(url + action, {**typed, "form": fields["form"]}, BO).status == 403


def test_what_is_too_long_is_refused_and_shown_whole_to_whoever_wrote_it(
    url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["look"]
    page = get(url + path(dispute_id))
    [most] = re.findall(r'<textarea name="text" rows="4" maxlength="(\d+)"', page)
    text = "word " * (int(most) // 5) + "and the end of it"
    fields = {**form_on(page, path(dispute_id, "evidence")), "item": "usage", "text": text}
    with nothing_new(shop, dispute_id):
        told = post(url + path(dispute_id, "evidence"), fields)
        assert (told.status, str(len(text)) in told.data.decode()) == (422, True)
        assert text in told.data.decode()
        hold = {**form_on(page, path(dispute_id, "hold")), "why": "x" * 1001, "until": f"{shop.now:%Y-%m-%dT%H:%M}"}
        assert b"1000 characters" in post(url + path(dispute_id, "hold"), hold).data


def test_who_may_only_look_finds_no_button_and_is_refused(
    desk: Desk, url: str, shop: Shop, named: dict[str, str]
) -> None:
    dispute_id = named["two"]
    with desk.sits(VERA) as page, nothing_new(shop, dispute_id):
        page.goto("/disputes")
        expect(page.get_by_role("button", name="Assign")).to_have_count(0)
        page.goto(path(dispute_id))
        expect(page.get_by_role("link", name="Send the evidence…")).to_have_count(0)
        expect(page.locator("main form")).to_have_count(0)
        for act in ("submit", "accept", "hold", "record", "evidence", "withdraw", "assign", "comment"):
            told = post(url + path(dispute_id, act), {"why": "let me", "text": "hello", "to": VERA}, VERA)
            assert (act, told.status) == (act, 403)
        assert post(f"{url}/disputes/assign", {"case:1": f"stripe:{dispute_id}", "to": VERA}, VERA).status == 403
        confirm = HTTP.request("GET", url + path(dispute_id, "submit"), headers={"X-Stand-In-Person": VERA})
        assert confirm.status == 403


def test_what_would_be_sent_is_read_before(url: str, named: dict[str, str]) -> None:
    for kind, begin in (("packet.pdf", b"%PDF-"), ("packet.json", b"{")):
        found = HTTP.request("GET", url + path(named["look"], kind), headers={"X-Stand-In-Person": ANA})
        assert found.status == 200
        assert found.data.startswith(begin)
        assert found.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("name", ["..", ".", "~dp", "a/../b//c", "a?b#c%2F", "争议-ä\u2028", "x" * 200])
def test_a_dispute_is_reached_and_its_evidence_kept_whatever_it_is_called(url: str, shop: Shop, name: str) -> None:
    model = standing(shop, in_queue(shop.ports.documents, {}, 1)[0].dispute_id)
    other = replace(model, dispute_id=name, queue=None, next_action_at=None)
    shop.ports.documents.commit([Create(key_of("stripe", name), timeline.compact(other))])
    own = path_of("stripe", name)
    assert name in unescape(get(url + own))
    for kind, file in (("packet.pdf", "pdf"), ("packet.json", "json")):
        found = HTTP.request("GET", url + address("dispute", kind, "stripe", name), headers={"X-Stand-In-Person": ANA})
        assert found.status == 200, found.data
        told = found.headers["Content-Disposition"]
        assert re.fullmatch(rf'attachment; filename="evidence-[\w.-]+\.{file}"(; filename\*=UTF-8\'\'\S+)?', told, re.A)
    action = address("dispute", "comment", "stripe", name)
    said = post(url + action, {**form_on(get(url + own), action), "text": "hello"})
    assert (said.status, said.headers["Location"].partition("?")[0]) == (303, own)


def test_the_whole_story_goes_back_to_the_deliveries(url: str, named: dict[str, str]) -> None:
    assert "received, " in get(url + path(named["look"], "story"))


def test_a_dispute_with_many_long_comments_is_a_small_page_and_none_is_out_of_reach(
    desk: Desk, url: str, shop: Shop
) -> None:
    model = standing(shop, in_queue(shop.ports.documents, {}, 1)[0].dispute_id)
    other = replace(model, dispute_id="dp_talk", queue=None, next_action_at=None)
    told = {
        f"f-{n}": Comment(by=ANA, at=shop.now + timedelta(seconds=n), text=f"<{n}>" + "é'" * 990)
        for n in range(MOST_COMMENTS)
    }
    shop.ports.documents.commit(
        [
            Create(key_of("stripe", "dp_talk"), timeline.compact(other)),
            Create(
                Key(COMMENTS, "stripe:dp_talk"), {"comments": {name: to_document(one) for name, one in told.items()}}
            ),
        ]
    )
    page = get(url + path("dp_talk"))
    assert f"<{MOST_COMMENTS - 1}>" in unescape(page)
    assert len(page.encode()) < 100_000
    seen: set[str] = set()
    where: str | None = path("dp_talk", "comments")
    while where:
        page = get(url + where)
        assert len(page.encode()) < 100_000
        seen |= set(re.findall(r"<(\d+)>", unescape(page)))
        where = next(iter(re.findall(r'<a href="([^"]+)" rel="prev">', unescape(page))), None)
    assert len(seen) == MOST_COMMENTS
    with desk.sits(ANA, size=NARROW) as narrow:
        narrow.goto(path("dp_talk", "comments"))
        assert barriers(narrow) == []
        assert overflows(narrow) <= 0


def test_a_first_page_is_small(url: str) -> None:
    assert len(get(f"{url}/disputes")) < 100_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_everybody_can_read_and_work_with_lists_and_cases(
    desk: Desk, named: dict[str, str], scheme: str, size: tuple[int, int]
) -> None:
    pages = {"disputes": "/disputes?status=all", "dispute": path(named["two"])}
    if (scheme, size) == ("dark", NARROW):
        pages["submit"] = path(named["two"], "submit")
    with desk.sits(ANA, size=size, scheme=scheme) as page:  # type: ignore[arg-type]
        for name, where in pages.items():
            page.goto(where)
            desk.picture(page, f"{name}-{scheme}-{size[0]}")
            assert barriers(page) == []
            assert overflows(page) <= 0
