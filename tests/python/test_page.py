"""The report page in a browser: no injected script runs, no network request is sent, everyone can read it.

WABALAKE_SHOTS=FOLDER keeps a screenshot of each look.
"""

import base64
import email
import email.policy
import hashlib
import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from browser import Browser
from program import ROOT, run

LOOKS = {
    "light": dict(width=1200), "dark": dict(width=1200, dark=True), "phone": dict(width=360, height=740),
    "phone-dark": dict(width=360, height=740, dark=True), "print": dict(width=800, media="print"),
}
# What programs that read mail leave of a screen.
MAIL = dict(width=600)
HOSTILE = [
    "<script>document.title = 'owned'</script>", "\"><img src=x onerror=\"document.title='owned'\">",
    "' onmouseover='document.title=1", "</script><script>document.title='owned'</script>", "<b>bold</b>&amp;&lt;",
    "javascript:document.title='owned'", "{{7*7}}${7*7}`", "<svg/onload=document.title='owned'>", "--> ]]> <!--",
]


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A lake of `data/exports` and of exports whose texts are HTML and JavaScript injections."""
    folder = tmp_path_factory.mktemp("page")
    sessions = ["session_id,session_started_timestamp,session_finished_timestamp,session_type,session_status,"
                "conversation_id,conversation_version,user_country_code,user_cellphone,first_message_timestamp,"
                "first_message,last_node_id,meta_source_type,meta_source_id,meta_source_headline,"
                "whatsapp_link_campaign_name,whatsapp_link_campaign_source"]
    deployments = ["conversation_id,conversation_version,user_country_code,user_cellphone,deployment_timestamp,"
                   "delivery_status,status_detail,session_id"]
    messages = ["whatsapp_id,from,to,message_direction,template_name,message,created_at,delivered_at,reason_for_failure"]
    for number, text in enumerate(HOSTILE * 3):
        cell, at = quoted(text), f"2025-06-{number % 9 + 1:02} 10:00:00"
        sessions.append(f"{quoted(f'{number} {text}')},{at},2025-06-30 10:00:00,Inbound,{cell},{cell},1,57,30055501{number:02},"
                        f"{at},{cell},{cell},Ad,{cell},{cell},{cell},{cell}")
        deployments.append(f"{cell},1,57,30055501{number:02},{at},Failed,{cell},{cell}")
        messages.append(f"{quoted(f'{number} {text}')},5730055501{number:02},573009999999,false,{cell},{cell},{at},{at},")
        messages.append(f"{quoted(f'{number} {text} f')},5730055501{number:02},573009999999,false,{cell},{cell},{at},,{cell}")
    # People who wait at the end, and templates that Meta has paused.
    for number in range(3):
        messages.append(f"wait{number},57300555019{number},573009999999,incoming,,hello,2025-06-10 1{number}:00:00,,")
    events = ["source,event,at,template_name,new_value"]
    events += [f"meta,template-status,2025-06-05T00:00:00Z,{quoted(text)},PAUSED" for text in HOSTILE]
    files = []
    tables = dict(sessions=sessions, deployments=deployments, messages=messages, events=events)
    for name, lines in tables.items():
        files.append(folder / f"{name}.csv")
        files[-1].write_text("\n".join(lines) + "\n")
    run("load", ROOT / "data/exports", *files, "--lake", folder / "lake", "--quiet")
    return folder / "lake"


def shown(browser, page, look):
    browser.open(Path("/dev/null"))
    browser.complaints()
    browser.look(**LOOKS.get(look, MAIL))
    browser.open(page)
    if folder := os.environ.get("WABALAKE_SHOTS"):
        Path(folder).mkdir(exist_ok=True)
        browser.shoot(Path(folder) / f"{page.stem}-{look}.png")


def write(lake, page, *options):
    run("report", "--lake", lake, "-o", page, *options)
    return page


@pytest.fixture(scope="module")
def pages(lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    conversation = ("--conversation-id", HOSTILE[0], "--with-people", "--phone", "573005550100")
    return [
        write(lake, folder / "page.html", "--from", "2025-05-14", "--to", "2025-06-10", "--timezone", "America/Bogota"),
        write(lake, folder / "conversation.html", "--to", "2025-06-10", *conversation),
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_every_look_fits_the_screen_and_has_contrast(look, browser, pages):
    for page in pages:
        shown(browser, page, look)
        assert browser.complaints() == []
        wide = browser.run("return [document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], f"{page.name} is wider than a screen of {wide[1]}"
        faint = browser.run(CONTRAST)
        assert faint == [], f"{page.name}: too little contrast"
        small = browser.run("""return [...document.querySelectorAll("main *")].filter((e) =>
            [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) &&
            parseFloat(getComputedStyle(e).fontSize) < 10).map((e) => e.outerHTML.slice(0, 80))""")
        assert small == [] or look == "print"


# Texts with too little contrast to their background (WCAG AA: 4.5, large text 3).
CONTRAST = """
const channels = (colour) => {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = (rgb) => {
  const [r, g, b] = rgb.map((c) => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const under = (element) => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    const layer = channels(getComputedStyle(e).backgroundColor);
    if (layer[3]) layers.push(layer);
    if (layer[3] === 255) break;
  }
  let rgb = [255, 255, 255];
  for (const [r, g, b, a] of layers.reverse()) rgb = rgb.map((c, i) => c + ([r, g, b][i] - c) * a / 255);
  return rgb;
};
return [...document.querySelectorAll("body *")].filter((e) =>
  e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && !e.closest("svg, script, .skip")
).map((e) => {
  const style = getComputedStyle(e);
  const [a, b] = [light(channels(style.color).slice(0, 3)), light(under(e))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  return [ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5), ratio.toFixed(2) + " " + e.textContent.slice(0, 40)];
}).filter(([faint]) => faint).map(([, said]) => said);
"""


def test_first_screen_tells_what_to_look_at(browser, pages):
    shown(browser, pages[0], "light")
    links, bottom = browser.run("""
        const news = document.querySelector("#at-a-glance .news");
        const links = [...news.querySelectorAll("a")].map((link) => link.getAttribute("href"));
        return [links, news.getBoundingClientRect().bottom]""")
    assert {"#waiting", "#template-health", "#last-days"} <= set(links)
    assert all(browser.run("return Boolean(document.querySelector(arguments[0]))", link) for link in links)
    assert bottom <= 900, "it does not fit the first screen"


def test_days_that_are_not_final_are_marked(browser, pages):
    shown(browser, pages[0], "light")
    marked, said, tips = browser.run("""
        const chart = document.querySelector("#delivery .pair figure:last-child");
        const tips = [...chart.querySelectorAll(".hit")].map((hit) => hit.dataset.tip.includes("not final"));
        return [chart.querySelectorAll(".field .open").length, chart.querySelector(".field").getAttribute("aria-label"), tips]""")
    assert marked == 1 and "Not final: from " in said
    assert tips[-1] and not tips[0] and tips == sorted(tips)


def test_injected_markup_is_shown_as_text(browser, pages):
    for page in pages:
        shown(browser, page, "light")
        browser.run("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        browser.run("document.querySelectorAll('main *').forEach((e) => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))")
        title = browser.run("return document.title")
        assert title in ("WhatsApp conversations", f"Conversation {HOSTILE[0]}")
        found = browser.run("return [...document.querySelectorAll('img, iframe, object, embed, link, base, form')].length")
        assert (found, browser.run("return document.scripts.length")) == (0, 1)
        handlers = browser.run("""return [...document.querySelectorAll("*")].flatMap((e) =>
            [...e.attributes].map((a) => a.name + "=" + a.value)).filter((a) => /^on|^href=(?!#)|^src=/.test(a))""")
        assert handlers == []
        assert browser.complaints() == [], "the content security policy blocked something"
        text = browser.run("return document.body.textContent")
        for hostile in HOSTILE if page.stem == "page" else HOSTILE[:1]:
            assert hostile in text, f"{page.name} does not show {hostile}"


def test_page_sends_no_network_request(browser, pages):
    for page in pages:
        shown(browser, page, "light")
        assert browser.run("return performance.getEntriesByType('resource').map((e) => e.name)") == []
        text = page.read_text()
        assert not re.search(r"(?i)https?://|@import|url\(", re.sub(r"&#39;.*?&#39;", "", text))


def test_policy_allows_only_the_script_of_the_page(pages):
    for page in pages:
        text = page.read_text()
        script = text[text.rindex("<script>") + len("<script>"):text.rindex("</script>")]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"script-src 'sha256-{digest}'" in text, f"src/report/page.js.sha256 should be {digest}"


def test_pointer_shows_a_tooltip(browser, pages):
    shown(browser, pages[0], "light")
    said = browser.run("""
        const mark = document.querySelector("#sessions .hit:nth-of-type(3)");
        mark.scrollIntoView();
        mark.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: 100, clientY: 100}));
        const tip = document.getElementById("tip");
        return [tip.hidden, tip.textContent, mark.dataset.tip]""")
    assert said[0] is False and said[1] == said[2] and re.match(r"\w{3} \d+ \w{3} · [\d–]", said[1]), said


def test_tables_sort_with_missing_values_last(browser, pages):
    shown(browser, pages[0], "light")
    sort = """
        const [section, title] = arguments;
        const table = document.querySelector(section + " table");
        const heads = [...table.tHead.rows[0].cells];
        const place = heads.findIndex((head) => head.textContent === title);
        heads[place].querySelector("button").click();
        return [heads[place].getAttribute("aria-sort"), [...table.tBodies[0].rows].map((row) => row.cells[place].dataset.v)]"""
    for way in ("descending", "ascending", "descending"):
        direction, values = browser.run(sort, "#countries", "Delivered")
        known = [float(value) for value in values if value]
        assert direction == way and len(known) > 2
        assert known == sorted(known, reverse=way == "descending")
        assert values == [value for value in values if value] + [""] * values.count("")


def test_elements_have_accessible_names(browser, pages):
    for page in pages:
        shown(browser, page, "light")
        nameless = browser.run("""return [
            ...[...document.querySelectorAll("svg:not([aria-hidden])")].filter((e) => !e.getAttribute("aria-label")),
            ...[...document.querySelectorAll("table")].filter((e) => !e.caption?.textContent),
            ...[...document.querySelectorAll("thead th:not([scope=col]), tbody th:not([scope=row])")],
            ...[...document.querySelectorAll("select")].filter((e) => !e.labels.length),
            ...[...document.querySelectorAll("nav a")].filter((e) => !document.querySelector(e.getAttribute("href"))),
        ].map((e) => e.outerHTML.slice(0, 100))""")
        assert nameless == []
        levels = browser.run("return [...document.querySelectorAll('h1, h2, h3')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in zip(levels, levels[1:]))
        assert browser.run("return document.documentElement.lang") == "en"


def test_filter_hides_people(browser, pages):
    page = pages[1]
    shown(browser, page, "light")
    if browser.run("return !document.querySelector('#people')"):
        pytest.skip("the catalog has no conversation-users yet")
    counted = browser.run("""
        const filters = document.querySelector(".filters");
        const select = filters.querySelector("select");
        select.value = select.options[1].value;
        select.dispatchEvent(new Event("change"));
        const rows = [...document.querySelectorAll("#people tbody tr")];
        return [filters.lastChild.textContent, rows.filter((row) => !row.hidden).length, rows.length]""")
    assert counted[0] == f"{counted[1]} of {counted[2]}" and counted[1] > 0


def test_page_without_people_holds_no_phone(lake, tmp_path):
    pages = [write(lake, tmp_path / "page.html"), write(lake, tmp_path / "flow.html", "--conversation-id", HOSTILE[1])]
    phones = re.compile(r"(?<!\d)(57|52|54|55|1|51|56|34)?\d{10}(?!\d)")
    for page in pages:
        body = re.sub(r"<style>.*?</style>|<script>.*?</script>|[\d.]+(e-?\d+)?\"", "", page.read_text(), flags=re.S)
        ids = re.compile(r"[0-9a-f]{32}|1202\d{14}")
        assert not phones.findall(ids.sub("", body))


def test_page_prints_without_navigation(browser, pages):
    for page in pages:
        shown(browser, page, "print")
        assert browser.run("return getComputedStyle(document.querySelector('nav')).display") == "none"
        pdf = browser.pdf()
        assert pdf.startswith(b"%PDF") and pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page/") < 30
        if folder := os.environ.get("WABALAKE_SHOTS"):
            (Path(folder) / f"{page.stem}.pdf").write_bytes(pdf)


def test_page_of_a_year_is_small_and_quick(browser, tmp_path):
    run("sample", "--lake", tmp_path / "lake", "--days", 365, "--sessions-per-day", 20, "--start", "2024-06-01")
    started = time.monotonic()
    page = write(tmp_path / "lake", tmp_path / "year.html", "--from", "2024-06-01", "--to", "2025-05-31")
    print(f"made in {time.monotonic() - started:.1f} s")
    assert page.stat().st_size < 300_000
    shown(browser, page, "light")
    milliseconds = browser.run("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert milliseconds < 3_000
    assert browser.complaints() == []


def test_empty_lake_has_a_page(browser, tmp_path):
    (tmp_path / "lake").mkdir()
    page = write(tmp_path / "lake", tmp_path / "empty.html")
    for look in ("light", "phone"):
        shown(browser, page, look)
        assert browser.complaints() == []
    assert "NaN" not in page.read_text() and "inf" not in re.sub(r"[a-z]*inf[a-z]+|[a-z]+inf", "", page.read_text())


class Tags(HTMLParser):
    """The tags of HTML with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture(scope="module")
def mail(lake, tmp_path_factory):
    """The page as a mail."""
    file = tmp_path_factory.mktemp("mail") / "mail.eml"
    write(lake, file, "--form", "email", "--from", "2025-05-14", "--to", "2025-06-10", "--timezone", "America/Bogota")
    return email.message_from_bytes(file.read_bytes(), policy=email.policy.default)


def parts(mail):
    """The texts of the mail, plain and HTML, and its images by their ids."""
    bodies, *images = mail.iter_parts()
    plain, html = bodies.iter_parts()
    assert [plain.get_content_type(), html.get_content_type()] == ["text/plain", "text/html"]
    assert {image.get_content_type() for image in images} == {"image/png"}
    return plain.get_content(), html.get_content(), {image["Content-ID"].strip("<>"): image.get_content() for image in images}


def test_mail_is_one_message_that_loads_nothing(mail, pages):
    assert mail.get_content_type() == "multipart/related"
    assert mail["From"] is None and mail["To"] is None
    assert mail["Subject"] == "WhatsApp conversations: 14 May 2025 to 10 June 2025, 28 days"
    plain, html, images = parts(mail)
    assert len(html.encode()) <= 100_000
    assert all(image.startswith(b"\x89PNG") for image in images.values())
    tags = Tags(html).found
    assert {f"cid:{image}" for image in images} == {with_["src"] for _, with_ in tags if "src" in with_}
    assert not {tag for tag, _ in tags} & {"style", "script", "link", "svg", "a", "iframe", "form", "button", "details"}
    names = {name for _, with_ in tags for name in with_}
    assert not {name for name in names if name.startswith("on")} | names & {"class", "id", "href", "srcset", "background"}
    assert not any("url(" in with_.get("style", "") for _, with_ in tags)
    # Every section is there, or named at the end.
    titles = re.findall(r"<section id=.*?<h2>(.*?)</h2>", pages[0].read_text())
    last = html.strip().splitlines()[-1]
    for title in titles:
        assert f">{title}</h2>" in html or f"{title}" in last, title
        assert title in plain
    assert len(re.findall("</h2>", html)) > 5


def test_mail_fits_600_pixels_with_contrast(browser, mail, tmp_path):
    _, html, images = parts(mail)
    for name, image in images.items():
        html = html.replace(f"cid:{name}", "data:image/png;base64," + base64.b64encode(image).decode())
    page = tmp_path / "mail.html"
    page.write_text(html)
    shown(browser, page, "mail")
    assert browser.complaints() == []
    assert browser.run("return [document.documentElement.scrollWidth, innerWidth]") == [600, 600]
    sizes = browser.run("return [...document.images].map((image) => [image.naturalWidth, image.width])")
    assert len(sizes) > 10 and all(natural > width * 1.5 for natural, width in sizes), sizes
    assert browser.run(CONTRAST) == []
    small = browser.run("""return [...document.querySelectorAll("td, th, p, span")].filter((e) =>
        e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 10).map((e) => e.outerHTML.slice(0, 80))""")
    assert small == []
    text = browser.run("return document.body.innerText")
    assert browser.run("return document.title") == "WhatsApp conversations"
    # One of the texts is a flow, a template, a headline or a reason of each section.
    assert all(hostile in text for hostile in HOSTILE)


def test_mail_names_nobody(mail, lake, tmp_path):
    plain, html, _ = parts(mail)
    ids = re.compile(r"[0-9a-f]{32}|cid:[0-9a-f]+|1202\d{14}")
    assert not re.findall(r"(?<!\d)(?:57|52|54|55|1|51|56|34)?\d{10}(?!\d)", ids.sub("", plain + html))
    refused = ("--form", "email", "--conversation-id", "41207", "--with-people")
    with pytest.raises(AssertionError, match="exit 2\nerror: a mail names nobody"):
        write(lake, tmp_path / "mail.eml", *refused)
