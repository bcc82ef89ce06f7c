"""The status page, in a real browser: what it shows, that it updates itself, that it needs no script, that nothing which
a client sends becomes a part of it. The screenshots are left in build/screenshots."""

import re
import threading

import pytest
from harness import Operations, eventually
from harness.browser import Browser
from harness.daemon import CHECKOUT
from harness.documents import document
from harness.operations import OPERATIONS

SHOTS = CHECKOUT / "build" / "screenshots"
WIDTHS = (320, 390, 768, 1280)
EVIL = "<script>document.title='owned'</script><img src=x onerror=document.title='owned'>&amp;\"'\u2603"

# The luminance of WCAG 2, and the worst contrast of a text with what lies behind it.
CONTRAST = """(() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let worst = 99, where = "";
  for (const e of document.querySelectorAll("h1, h2, p, small, td, th, dt, dd, b, a, .word")) {
    if (!e.textContent.trim() || e.closest(".zero")) continue;
    const a = light(parse(getComputedStyle(e).color)), b = light(behind(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < worst) { worst = ratio; where = e.outerHTML.slice(0, 120); }
  }
  return [worst, where];
})()"""


@pytest.fixture(scope="module")
def browser():
    SHOTS.mkdir(parents=True, exist_ok=True)
    made = Browser()
    yield made
    made.close()


@pytest.fixture(scope="module")
def daemon(world):
    made = world.running({**OPERATIONS, "timeouts.park_after": "1s", "timeouts.parked_retry": "2s"})
    with made.jobs() as client:
        answers = client.put_all([document(f"page-{n}") for n in range(40)])
        assert all(answer.is_ok for answer in answers), answers
    return made


@pytest.fixture(scope="module")
def operations(daemon):
    made = Operations(daemon)
    made.wait_ready()
    return made


def outcome(browser, name):
    """The number that the page shows; its groups of digits are parted by thin spaces."""
    text = browser.run(f"""[...document.querySelectorAll('#outcomes dt')].find((e) => e.textContent === '{name}')
                           .nextElementSibling.lastChild.textContent""")
    return int(re.sub(r"\D", "", text))


def test_says_what_is(browser, operations):
    browser.open(operations.url + "/")
    text = browser.run("document.body.innerText")
    for word in ("Taking documents", "postgresql", "qdrant", "neo4j", "redis", "sagas/s", "None since the start"):
        assert word in text, text
    assert outcome(browser, "committed") == operations.status()["sagas"]["total"]["committed"] == 40
    browser.screenshot(SHOTS / "light.png")


def test_updates_itself_without_being_loaded_again(browser, daemon, operations):
    browser.open(operations.url + "/")
    before = outcome(browser, "unchanged")
    browser.run("window.mark = 'the same page'")
    with daemon.jobs() as client:
        client.put_all([document(f"page-{n}") for n in range(7)])
    eventually(lambda: outcome(browser, "unchanged") == before + 7, 10)
    assert browser.run("window.mark") == "the same page"
    assert not browser.complaints


def test_has_no_outside_resources_and_a_policy_that_holds(browser, operations):
    _, headers, html = operations.get("/")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src 'sha256-" in policy
    links = re.findall(r'(?:href|src|action)="([^"]*)"', html)
    assert all(link.startswith("/") or link.startswith("data:image/svg+xml") for link in links), links
    assert len(html) < 40000
    browser.open(operations.url + "/")
    browser.run("new Promise((done) => setTimeout(done, 2500))")
    own = [url for url in browser.requests if not url.startswith("data:")]
    assert own and all(url.startswith(operations.url) for url in own), own
    assert not browser.complaints, browser.complaints
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')")
    browser.run("new Promise((done) => setTimeout(done, 300))")
    assert browser.run("window.owned") is None


@pytest.mark.parametrize("width", WIDTHS)
def test_fits(browser, operations, width):
    browser.open(operations.url + "/", width=width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.screenshot(SHOTS / f"width-{width}.png")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_can_be_read(browser, operations, is_dark):
    browser.open(operations.url + "/", is_dark=is_dark)
    worst, where = browser.run(CONTRAST)
    assert worst >= 4.5, where
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", paper))) < 60) == is_dark
    browser.screenshot(SHOTS / ("dark.png" if is_dark else "light.png"))


def test_is_useful_without_script(browser, operations):
    assert '<noscript><meta http-equiv="refresh"' in operations.text("/")
    browser.open(operations.url + "/", has_script=False)
    text = browser.run("document.body.innerText")
    assert "Taking documents" in text and "127.0.0.1" in text
    assert outcome(browser, "committed") == 40


def test_a_store_that_is_down(browser, world, daemon, operations):
    world.store("neo4j").kill()
    try:
        with daemon.jobs() as client:
            assert not any(answer.is_ok for answer in client.put_all([document(f"lost-{n}") for n in range(8)]))
            assert not client.put(document(EVIL)).is_ok
        eventually(lambda: operations.get("/readyz")[0] == 503, 5)
        browser.open(operations.url + "/")
        assert browser.run("document.querySelector('header').className") == "bad"
        assert "Down: neo4j" in browser.run("document.querySelector('header').innerText")
        assert browser.run("document.querySelectorAll('#stores tr.down').length") == 1
        failures = browser.run("document.querySelector('#failures').innerText")
        assert "lost-" in failures and "neo4j" in failures and "store_unavailable" in failures
        # What a client sent is text, whatever it looks like.
        assert EVIL in browser.run("[...document.querySelectorAll('.id span')].map((e) => e.textContent).join('|')")
        assert browser.run("document.querySelector('#failures script, #failures img') === null")
        assert browser.run("document.title") == "sagad"
        assert not browser.complaints
        browser.screenshot(SHOTS / "store-down.png")
        for width, is_dark in ((390, True), (1280, True)):
            browser.open(operations.url + "/", width=width, is_dark=is_dark)
            assert browser.run("document.documentElement.scrollWidth") <= width
            worst, where = browser.run(CONTRAST)
            assert worst >= 4.5, where
            browser.screenshot(SHOTS / f"store-down-dark-{width}.png")
    finally:
        world.mend()
    operations.wait_ready()


def test_parked_work_is_listed_until_it_is_done(browser, world, daemon, operations):
    daemon.settle(40)  # the outage before left some
    browser.open(operations.url + "/")
    eventually(lambda: browser.run("document.querySelector('#parked').hidden"), 20)
    stop, failing = threading.Event(), []

    def load():  # so that a version is replaced, or taken back, just when the store goes
        with daemon.jobs() as client:
            while not stop.is_set():
                failing.extend(client.put_all([document(f"page-{n}", mark=str(len(failing))) for n in range(10)]))
    worker = threading.Thread(target=load)
    worker.start()
    try:
        eventually(lambda: any(answer.is_ok for answer in failing), 10)
        world.store("neo4j").kill()
        eventually(lambda: operations.status()["parked"], 15)
        stop.set()
        eventually(lambda: not browser.run("document.querySelector('#parked').hidden"), 10)
        assert "page-" in browser.run("document.querySelector('#parked').innerText")
        assert "For you" in browser.run("document.querySelector('#tiles').innerText")
        browser.screenshot(SHOTS / "parked.png")
    finally:
        stop.set()
        worker.join(60)
        world.mend()
    eventually(lambda: browser.run("document.querySelector('#parked').hidden"), 20)


def test_says_that_the_daemon_is_gone(browser, world, daemon, operations):
    browser.open(operations.url + "/")
    assert daemon.stop() == 0
    eventually(lambda: "No answer from sagad" in (browser.run("document.body.innerText")), 15)
    browser.screenshot(SHOTS / "gone.png")
