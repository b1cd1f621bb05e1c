"""The dashboard in Chromium."""

import os
import re
import unittest

from axe_selenium_python import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from balancing import OPERATOR, VIEWER, Balancer, Load, Upstream, configuration, eventually, free_port

SCREENSHOTS = os.environ.get("SCREENSHOTS")
WIDTHS = {"phone": (390, 844), "laptop": (1280, 720), "wide": (1680, 1050)}
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;\u202eevil"


def browser(width=1280, height=720, arguments=()):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb",
                     "--disable-background-networking", f"--window-size={width},{height}", *arguments):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(30)
    return driver


class Page:
    def __init__(self, driver):
        self.driver = driver

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        # Rows come and go: what is read of one that has just gone is read again.
        return self.driver.execute_script("const n = document.querySelector(arguments[0]); return n ? n.textContent : ''", selector)

    def until(self, condition, what, seconds=30):
        return eventually(condition, seconds, what)

    def keys(self, *keys):
        actions = webdriver.ActionChains(self.driver)
        for key in keys:
            actions = actions.send_keys(key)
        actions.perform()

    def focused(self):
        return self.driver.execute_script(
            "const n = document.activeElement; return [n.tagName, n.id, n.className, (n.getAttribute('aria-label') || n.textContent || '').trim().slice(0, 60)]")

    def size(self, width, height):
        # The window's own, whatever the smallest window of this browser is.
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})

    def media(self, **features):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]})

    def complaints(self):
        """What the browser's console warns of, refusals of tokens aside."""
        return [entry["message"] for entry in self.driver.get_log("browser")
                if entry["level"] in ("WARNING", "SEVERE") and "401 (Unauthorized)" not in entry["message"] and "ERR_CONNECTION" not in entry["message"]
                and "ERR_INCOMPLETE_CHUNKED" not in entry["message"] and "503 (Service" not in entry["message"]]


class DashboardTest(unittest.TestCase):
    upstreams = None
    routes = None
    tokens = False

    @classmethod
    def setUpClass(cls):
        cls.core, cls.one, cls.two = Upstream(), Upstream(0.004), Upstream(0.002)
        cls.addClassCleanup(lambda: [one.stop() for one in (cls.core, cls.one, cls.two)])
        cls.driver = browser()
        cls.addClassCleanup(cls.driver.quit)

    def serve(self, tokens=False, upstreams=None, routes=None, load=True, admin=None, guard=None):
        upstreams = upstreams or {"core": [self.core.address], "gateway": [self.one.address, self.two.address]}
        routes = routes or [{"name": "api", "match": {"path": "/"}, "split": {"core": 75, "gateway": 25}}]
        balancer = Balancer(configuration(upstreams, routes, tokens, admin, guard))
        self.addCleanup(balancer.stop)
        if load:
            self.load = Load(balancer)
            self.addCleanup(self.load.stop)
        return balancer

    def setUp(self):
        # What earlier tests provoked is theirs.
        self.driver.get_log("browser")

    def open(self, balancer, token=None, size=(1280, 720), theme="light"):
        page = Page(self.driver)
        page.size(*size)
        page.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
        self.driver.get(balancer.url)
        if token:
            page.until(lambda: page.one("#token-dialog").get_attribute("open") is not None, "the question for a token")
            page.one("#token").send_keys(token, Keys.ENTER)
        page.until(lambda: page.one("#band").get_attribute("data-level") not in ("waiting", "lost"), "the first state")
        self.addCleanup(self.driver.get, "about:blank")
        return page

    # ------------------------------------------------------------------------------------------------ what is seen

    def test_five_seconds(self):
        """At 1280 × 720, without scrolling: what is served, how it is split, what is wrong, what changed last, the way back."""
        balancer = self.serve()
        balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"gateway": 30}, "reason": "a little more"})
        page = self.open(balancer)
        page.until(lambda: "Serving" in page.text("#sentence") and "as set. Nothing is wrong." in page.text("#sentence"), "all well")
        page.until(lambda: "core 75→" in page.text("#last-change") or "gateway 25→30" in page.text("#last-change"), "the last change")
        for selector in ("#sentence", "#last-change", "#retreat", ".route .bar", "#side-list .side:nth-child(2) .plot:nth-child(5)"):
            box = page.driver.execute_script(
                "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.top, b.bottom, b.width]", selector)
            self.assertTrue(box[0] >= 0 and box[1] <= 720 and box[2] > 0, f"{selector} is at {box}")
        self.assertEqual(page.text("#retreat"), "Retreat to core")
        # The bar shows what was really given, and the mark what is set.
        page.until(lambda: abs(float(page.one(".segment").value_of_css_property("width")[:-2])
                               / page.one(".bar").rect["width"] - 75 / 105) < 0.06, "the bar")
        self.two.ill = True
        self.addCleanup(setattr, self.two, "ill", False)
        page.until(lambda: "1 of 2 endpoints down for" in page.text("#sentence"), "the endpoint that is down")
        self.assertIn("status 503", page.text("#sentence"))
        self.assertEqual(page.text("#level-word"), "Look")
        self.one.ill = True
        self.addCleanup(setattr, self.one, "ill", False)
        page.until(lambda: page.text("#level-word") == "Trouble", "the side that is down")
        self.assertIn("its share is carried by the others", page.text("#sentence"))
        page.until(lambda: "Trouble" in page.driver.title, "the title")
        page.until(lambda: page.text("#live") != "", "the live region")
        self.assertIn("(set", page.text(".figures"))
        self.assertEqual(page.complaints(), [])

    def test_pictures(self):
        """Three widths and both themes: nothing is wider than the window, and accessibility has no serious finding."""
        balancer = self.serve(routes=[
            {"name": "api", "match": {"path": "/"}, "split": {"core": 75, "gateway": 25}},
            {"name": "candidates", "match": {"path": "/candidates"}, "split": {"core": 1, "gateway": 1}},
            {"name": "old", "match": {"path": "/old"}, "split": {"core": 1}}])
        for weight, reason in ((24, "first step"), (25, "no errors for an hour")):
            balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"core": 100 - weight, "gateway": weight}, "reason": reason})
        for theme in ("light", "dark"):
            for name, size in WIDTHS.items():
                with self.subTest(theme=theme, width=name):
                    page = self.open(balancer, size=size, theme=theme)
                    page.until(lambda: len(page.all(".probes svg .tick")) == 3, "endpoints")
                    page.until(lambda: "Serving" in page.text("#sentence"), "requests")
                    wide = page.driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
                    self.assertLessEqual(wide, 0)
                    self.check_accessibility(page)
                    self.picture(page, f"{theme}-{name}")
                    if name == "laptop":
                        page.keys("r")
                        page.until(lambda: page.all(".panel form"), "the panel")
                        page.all(".steps button")[5].click()
                        page.until(lambda: "→" in page.text(".result"), "what would change")
                        self.check_accessibility(page)
                        self.picture(page, f"{theme}-change")
                        page.keys(Keys.ESCAPE)
        self.assertEqual(page.complaints(), [])

    def check_accessibility(self, page):
        axe = Axe(page.driver)
        axe.inject()
        result = axe.run(options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        serious = [f"{one['id']}: {one['help']} {[node['target'] for node in one['nodes']][:4]} {one['nodes'][0].get('any') and one['nodes'][0]['any'][0].get('message')}"
                   for one in result["violations"] if one["impact"] in ("serious", "critical")]
        self.assertEqual(serious, [])

    def picture(self, page, name):
        if not SCREENSHOTS:
            return
        os.makedirs(SCREENSHOTS, exist_ok=True)
        page.driver.execute_script("document.documentElement.scrollTop = 0")
        page.driver.save_screenshot(os.path.join(SCREENSHOTS, f"{name}.png"))

    def test_first_view(self):
        """Nothing from elsewhere, little of it, and soon."""
        balancer = self.serve(load=False)
        page = self.open(balancer)
        page.driver.get_log("performance")
        self.driver.refresh()
        page.until(lambda: page.one("#band").get_attribute("data-level") == "calm", "the first state")
        entries = page.driver.execute_script(
            "return performance.getEntriesByType('resource').map((one) => [one.name, one.encodedBodySize])"
            ".concat(performance.getEntriesByType('navigation').map((one) => [one.name, one.encodedBodySize]))")
        own = [entry for entry in entries if "/api/" not in entry[0]]
        self.assertTrue(all(name.startswith(balancer.url) for name, _ in entries), entries)
        self.assertLess(sum(size for _, size in own), 200 * 1024)
        times = page.driver.execute_script(
            "const one = performance.getEntriesByType('navigation')[0]; return [one.domContentLoadedEventEnd, one.loadEventEnd]")
        self.assertLess(times[1], 2000, "on a machine that has much else to do")
        print(f"first view: {times[1]:.0f} ms, {sum(size for _, size in own)} bytes", flush=True)

    # ------------------------------------------------------------------------------------------------ what is done

    def test_keyboard_alone(self):
        """A change of weights, its undo, a retreat and the keys' page without a pointer; the focus is always seen."""
        balancer = self.serve()
        page = self.open(balancer)
        page.until(lambda: "Serving" in page.text("#sentence"), "requests")
        page.keys("r")
        page.until(lambda: page.focused()[0] == "INPUT", "the slider has the focus")
        page.keys(*[Keys.ARROW_LEFT] * 5)
        page.until(lambda: "core 70 %, gateway 30 %" in page.text(".panel button.primary"), "the slider moves by ones")
        page.until(lambda: page.text(".result").count("→") >= 4, "what would change")
        self.assertEqual(balancer.weights(), {"core": 75, "gateway": 25}, "looking changes nothing")
        # Reading order is tab order: from the slider over the second number and the steps to the reason.
        for _ in range(12):
            page.keys(Keys.TAB)
            if page.focused()[1].endswith("-reason"):
                break
            outline = page.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
            self.assertNotEqual(outline, "none", f"nothing shows where the focus is: {page.focused()}")
        self.assertTrue(page.focused()[1].endswith("-reason"), page.focused())
        page.keys("by keyboard", Keys.ENTER)
        page.until(lambda: balancer.weights() == {"core": 70, "gateway": 30}, "the change")
        page.until(lambda: page.focused()[3].startswith("Change"), "the focus goes back to where it came from")
        page.until(lambda: "by keyboard" in page.text("#journal-list"), "the journal")
        page.keys("j")
        page.until(lambda: page.focused()[1] == "journal", "the journal has the focus")
        page.keys(Keys.TAB)
        self.assertIn("Undo", page.focused()[3])
        page.keys(Keys.ENTER)
        page.until(lambda: "→" in page.text("#ask-body"), "what the undo would bring")
        self.assertFalse(page.one("#ask-submit").is_enabled(), "an undo says why")
        page.keys("too early", Keys.ENTER)
        page.until(lambda: balancer.weights() == {"core": 75, "gateway": 25}, "the undo")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        page.keys("b")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is not None, "the retreat asks")
        page.keys(Keys.ESCAPE)
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "Escape closes")
        self.assertEqual(balancer.weights(), {"core": 75, "gateway": 25})
        page.keys("b")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is not None, "the retreat asks")
        page.keys("it is ill", Keys.ENTER)
        page.until(lambda: balancer.weights() == {"core": 100, "gateway": 0}, "the retreat")
        page.until(lambda: page.one("#retreat").get_attribute("hidden") is not None, "there is nothing to retreat from")
        page.keys("?")
        page.until(lambda: page.one("#keys-dialog").get_attribute("open") is not None, "the keys")
        page.keys(Keys.ESCAPE)
        before = page.one("#theme").text
        page.keys("t")
        self.assertNotEqual(page.one("#theme").text, before)
        page.keys("t", "t")
        page.keys("s")
        page.until(lambda: page.focused()[1] == "side-list", "the plots have the focus")
        page.until(lambda: "M" in (page.one(".canvas .line").get_attribute("d") or ""), "the plot")
        page.keys(Keys.ARROW_LEFT)
        page.until(lambda: "ago" in page.text("#moment"), "a moment of the plots")
        page.keys(Keys.ESCAPE)
        page.until(lambda: "15 minutes" in page.text("#moment"), "the present again")
        self.assertEqual(page.complaints(), [])

    def test_escape_closes_the_panel(self):
        balancer = self.serve(load=False)
        page = self.open(balancer)
        page.keys("r")
        page.until(lambda: page.all(".panel form"), "the panel")
        page.keys(Keys.ESCAPE)
        page.until(lambda: not page.all(".panel form"), "it is closed")
        self.assertTrue(page.focused()[3].startswith("Change"))

    def test_change_that_is_not_meant(self):
        """Nothing on either side wants to be meant; bad numbers are told; somebody else's change is not undone unseen."""
        balancer = self.serve(load=False)
        page = self.open(balancer)
        page.keys("r")
        page.until(lambda: page.all(".panel form"), "the panel")
        first, second = page.all(".panel input[type=number]")
        apply = page.one(".panel button.primary")
        self.assertFalse(apply.is_enabled(), "nothing has changed")
        first.clear()
        first.send_keys("1.5")
        page.until(lambda: "whole numbers" in page.text(".result"), "the fault")
        self.assertFalse(apply.is_enabled())
        for field in (first, second):
            field.clear()
            field.send_keys("0")
        page.until(lambda: "503" in page.text(".result"), "what it would mean")
        self.assertFalse(apply.is_enabled())
        page.one(".panel .check input").click()
        self.assertFalse(apply.is_enabled(), "without a reason")
        for field, weight in ((first, "60"), (second, "40")):
            field.clear()
            field.send_keys(weight)
        page.until(apply.is_enabled, "Apply")
        balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"gateway": 26}})
        page.one(".panel input[type=text]").send_keys("mine", Keys.ENTER)
        page.until(lambda: "Something changed meanwhile" in page.text(".panel .error:not([hidden])"), "the other change is told")
        self.assertEqual(balancer.weights(), {"core": 75, "gateway": 26})
        page.until(apply.is_enabled, "Apply again")
        apply.click()
        page.until(lambda: balancer.weights() == {"core": 60, "gateway": 40}, "the change")

    def test_what_the_guard_says(self):
        """Its objection is shown before anything is sent; it takes a tick and a reason to overrule it."""
        balancer = self.serve(load=False, guard={"minimum": 1000000})
        page = self.open(balancer)
        page.keys("r")
        page.until(lambda: page.all(".panel form"), "the panel")
        page.all(".steps button")[5].click()
        page.until(lambda: "The guard objects" in page.text(".result"), "the objection")
        apply = page.one(".panel button.primary")
        self.assertFalse(apply.is_enabled())
        page.one(".panel .check input").click()
        self.assertFalse(apply.is_enabled(), "it needs a reason")
        page.one(".panel input[type=text]").send_keys("it was tried elsewhere")
        page.until(apply.is_enabled, "Apply")
        self.assertEqual(balancer.weights(), {"core": 75, "gateway": 25})
        apply.click()
        page.until(lambda: balancer.weights() == {"core": 50, "gateway": 50}, "the change")
        page.until(lambda: "forced" in page.text("#journal-list"), "the journal tells")

    def test_endpoints_are_set(self):
        balancer = self.serve()
        page = self.open(balancer)
        page.until(lambda: len(page.all(".row .set button")) == 9, "the endpoints")
        address = page.driver.find_elements(By.CSS_SELECTOR, ".group:nth-child(2) .address")[0].text
        page.one(f"button[aria-label^='maintenance {address}']").click()
        page.one("#ask-reason").send_keys("new kernel", Keys.ENTER)
        page.until(lambda: "in maintenance for" in page.text("#sentence"), "the sentence")
        page.until(lambda: "an operator took it out" in page.text(".group:nth-child(2)"), "the reason")
        page.until(lambda: page.one(f"button[aria-label^='maintenance {address}']").get_attribute("aria-pressed") == "true", "it is shown")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        page.until(lambda: "new kernel" in page.text("#journal-list"), "the journal")
        page.one(f"button[aria-label^='ready {address}']").click()
        page.one("#ask-reason").send_keys(Keys.ENTER)
        page.until(lambda: "Nothing is wrong." in page.text("#sentence"), "all is well")

    def test_a_plan(self):
        """A migration is started and sent back from the page; its gates show their numbers."""
        spec = configuration({"core": [self.core.address], "gateway": [self.one.address]}, [
            {"name": "api", "match": {"path": "/"}, "split": {"core": 100, "gateway": 0}}])
        spec["migrations"] = [{
            "name": "api-to-gateway", "routes": ["api"], "from": "core", "to": "gateway", "gates": {"minimum": 100000, "mismatches": False},
            "stages": [{"share": 5, "hold": "1h"}, {"share": 50, "hold": "1h"}, {"share": 100, "hold": "1h", "approval": True}]}]
        balancer = Balancer(spec)
        self.addCleanup(balancer.stop)
        if "/api/v1/migrations" not in balancer.ask("/api/v1/openapi.json")[1]["paths"]:
            self.skipTest("this balancer has no migrations")
        load = Load(balancer)
        self.addCleanup(load.stop)
        page = self.open(balancer)
        page.until(lambda: page.text("#migration-title") == "Migration", "the band")
        self.assertEqual(len(page.all(".track li")), 3)
        page.one(".plan button").click()
        page.one("#ask-reason").send_keys("let us begin", Keys.ENTER)
        page.until(lambda: page.text(".plan .tag") == "running", "the first stage")
        self.assertEqual(balancer.weights(), {"core": 950000, "gateway": 50000})
        page.until(lambda: page.text(".gates tbody").startswith("errors"), "the gates")
        page.until(lambda: "of 100,000" in page.text(".gates tbody"), "what they wait for")
        self.check_accessibility(page)
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        # By the page itself: what accessibility was tried on may have scrolled below the sentence.
        page.driver.execute_script("document.querySelector('.plan button[aria-label^=retreat]').click()")
        page.until(lambda: "gateway 50000→0" in page.text("#ask-body"), "what that would do")
        page.one("#ask-reason").send_keys("enough", Keys.ENTER)
        page.until(lambda: page.text(".plan .tag") == "retreated", "the way back")
        self.assertEqual(balancer.weights(), {"core": 1000000, "gateway": 0})

    def test_differences(self):
        """What copies have shown: classes, two examples side by side, and a judgement with a reason."""
        other = Upstream(word=b"other")
        self.addCleanup(other.stop)
        spec = configuration({"core": [self.core.address], "gateway": [other.address]}, [
            {"name": "api", "match": {"path": "/"}, "split": {"core": 100, "gateway": 0}}])
        spec["migrations"] = [{"name": "api-to-gateway", "routes": ["api"], "from": "core", "to": "gateway",
                               "stages": [{"mirror": 100, "hold": "1h"}, {"share": 50, "hold": "1h"}]}]
        balancer = Balancer(spec)
        self.addCleanup(balancer.stop)
        load = Load(balancer)
        self.addCleanup(load.stop)
        balancer.ask("/api/v1/migrations/api-to-gateway/start", "POST", {})
        page = self.open(balancer)
        page.until(lambda: len(page.all(".classes tbody tr")) > 0, "a class of differences")
        page.until(lambda: "compared: " in page.text(".differences"), "what came of comparisons")
        page.until(lambda: re.search(r"Copies: [1-9][0-9.]*/s copied, [0-9,]+ so far · 0/s lost", page.text(".copies")), "the rate of copies")
        page.driver.execute_script("document.querySelector('.classes button[data-verb=look]').click()")
        page.until(lambda: len(page.all(".example")) in (1, 2), "examples")
        sides = [one.text for one in page.all(".example-side b")][:2]
        self.assertEqual(sides, ["core", "gateway"])
        self.assertEqual(page.one(".classes button[data-verb=look]").get_attribute("aria-expanded"), "true")
        self.check_accessibility(page)
        page.driver.execute_script("document.querySelector('.classes button[data-verb=accept]').click()")
        page.one("#ask-reason").send_keys("meant so", Keys.ENTER)
        page.until(lambda: page.text(".classes .tag") == "accepted" and "meant so" in page.text(".classes .why"), "it is accepted")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        page.until(lambda: len(page.all(".classes button[data-verb=reopen]")) > 0, "the way back")

    def test_copies_that_are_lost(self):
        """A side that has no time for copies: how many are lost, why, and that it is many, in words."""
        slow = Upstream(delay=1.5)
        self.addCleanup(slow.stop)
        spec = configuration({"core": [self.core.address], "gateway": [slow.address]}, [
            {"name": "api", "match": {"path": "/"}, "split": {"core": 100, "gateway": 0}}])
        # Its probes may take their time.
        del spec["upstreams"]["gateway"]["health"]
        spec["migrations"] = [{"name": "api-to-gateway", "routes": ["api"], "from": "core", "to": "gateway",
                               "mirror": {"timeout": "1s", "perSecond": 10},
                               "stages": [{"mirror": 100, "hold": "1h"}, {"share": 50, "hold": "1h"}]}]
        balancer = Balancer(spec)
        self.addCleanup(balancer.stop)
        load = Load(balancer)
        self.addCleanup(load.stop)
        balancer.ask("/api/v1/migrations/api-to-gateway/start", "POST", {"force": True, "reason": "test"})
        page = self.open(balancer)
        page.until(lambda: re.search(r"[1-9][0-9.]*/s lost, so far .*[0-9,]+ rate", page.text(".copies")), "what is lost, and why")
        page.until(lambda: "more than one in ten is lost" in page.text(".copies"), "that it is many")
        self.assertEqual(page.one(".copies").get_attribute("data-level"), "attention")
        self.check_accessibility(page)

    # ------------------------------------------------------------------------------------------------ others that change things

    def test_retreat_alone(self):
        """Where the other replicas cannot be asked, the way back is offered for this one."""
        spec = configuration({"core": [self.core.address], "gateway": [self.one.address]}, [
            {"name": "api", "match": {"path": "/"}, "split": {"core": 100, "gateway": 0}}])
        spec["routes"][0]["split"] = {"core": 100, "gateway": 50}
        spec["cluster"] = {"name": "test", "etcd": {"endpoints": [f"http://127.0.0.1:{free_port()}"]}}
        balancer = Balancer(spec)
        self.addCleanup(balancer.stop)
        self.one.ill = True
        self.addCleanup(setattr, self.one, "ill", False)
        page = self.open(balancer)
        page.until(lambda: "Changes cannot be agreed on" in page.text("#sentence") or "down" in page.text("#sentence"), "what is wrong")
        page.until(lambda: page.one("#replicas").is_displayed(), "the replicas")
        self.assertIn("cut off for", page.text("#replicas-note"))
        self.check_accessibility(page)
        page.until(lambda: "down" in page.text("#sentence"), "the side is down")
        page.one("#retreat").click()
        page.one("#ask-reason").send_keys("it is down", Keys.ENTER)
        page.until(lambda: page.one("#ask-alone-line").is_displayed(), "the offer")
        self.assertFalse(page.one("#ask-force-line").is_displayed())
        page.one("#ask-alone").click()
        page.one("#ask-submit").click()
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        self.assertEqual(balancer.weights(), {"core": 150, "gateway": 0})

    def test_journal_has_no_gap(self):
        """More entries come at once than one page has: those between are behind "older", and none is missing."""
        balancer = self.serve(load=False)
        page = self.open(balancer)
        balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"gateway": 26}})
        page.until(lambda: len(page.all("#journal-list li")) >= 2, "the first entries")
        # What the page asks for meanwhile is not answered, as by a connection that is lost.
        page.driver.execute_script("""
          const real = window.fetch;
          window.cut = true;
          window.fetch = (path, options) => window.cut && String(path).startsWith('/api/v1/journal') ? Promise.reject(new TypeError('cut')) : real(path, options);""")
        for weight in range(30, 75):
            balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"gateway": weight}})
        page.driver.execute_script("window.cut = false")
        page.until(lambda: "73→74" in page.text("#journal-list li"), "the newest entry")
        numbers = lambda: [int(one) for one in page.driver.execute_script(
            "return [...document.querySelectorAll('#journal-list li')].map((li) => li.dataset.sequence)")]
        for _ in range(10):
            if not page.one("#older").is_displayed():
                break
            before = len(numbers())
            page.one("#older").click()
            page.until(lambda: len(numbers()) > before or not page.one("#older").is_displayed(), "older ones")
        self.assertEqual(numbers(), list(range(numbers()[0], 0, -1)))
        # Whoever is at an entry stays there when another comes.
        page.driver.execute_script("document.querySelectorAll('#journal-list button')[3].focus()")
        held = page.focused()[3]
        balancer.ask("/api/v1/routes/api/weights", "PUT", {"weights": {"gateway": 10}})
        page.until(lambda: "74→10" in page.text("#journal-list li"), "another entry")
        self.assertEqual(page.focused()[3], held)

    def test_heavy_weights(self):
        """Weights whose sum is more than one may be: the way back takes them all the same."""
        balancer = self.serve(load=False, routes=[{"name": "api", "match": {"path": "/"}, "split": {"core": 900000, "gateway": 900000}}])
        page = self.open(balancer)
        page.one("#retreat").click()
        page.one("#ask-reason").send_keys("back", Keys.ENTER)
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "the dialog closes")
        self.assertEqual(balancer.weights(), {"core": 1000000, "gateway": 0})

    def test_an_answer_that_comes_late(self):
        """A question that was closed while its answer was awaited does not close the next one."""
        balancer = self.serve(load=False)
        page = self.open(balancer)
        page.driver.execute_script("""
          const real = window.fetch;
          window.held = [];
          window.fetch = (path, options) => options && options.method === 'PUT' && !String(path).includes('dryRun')
            ? new Promise((done) => window.held.push(done)).then(() => real(path, options)) : real(path, options);""")
        page.one("#retreat").click()
        page.one("#ask-reason").send_keys("first", Keys.ENTER)
        page.until(lambda: page.driver.execute_script("return window.held.length") == 1, "the change is asked for")
        page.keys(Keys.ESCAPE)
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is None, "it is closed")
        address = self.one.address
        page.driver.execute_script("document.querySelector(arguments[0]).click()", f"button[aria-label^='drain {address}']")
        page.until(lambda: page.one("#ask-dialog").get_attribute("open") is not None, "another question")
        page.driver.execute_script("window.held[0]()")
        page.until(lambda: balancer.weights() == {"core": 100, "gateway": 0}, "the change is made")
        page.until(lambda: "Retreat to core: done." in page.text("#live"), "it is told")
        self.assertIsNotNone(page.one("#ask-dialog").get_attribute("open"), "the other question stays")

    # ------------------------------------------------------------------------------------------------ who, and when not

    def test_tokens_and_roles(self):
        balancer = self.serve(tokens=True)
        page = self.open(balancer, VIEWER)
        page.until(lambda: "victor (viewer)" in page.text("#identity"), "who it is")
        page.until(lambda: len(page.all(".row .address")) == 3, "the endpoints")
        buttons = [one.text or one.get_attribute("aria-label") for one in page.all("button") if one.is_displayed()]
        self.assertEqual([one for one in buttons if one not in ("Auto", "?", "Older")], [], "a viewer has no buttons")
        page.keys("r", "b")
        self.assertEqual(page.all(".panel form"), [])
        self.assertEqual(page.driver.execute_script("return sessionStorage.length + document.cookie.length"), 0)
        self.assertNotIn(VIEWER, page.driver.execute_script("return JSON.stringify(localStorage)"))
        self.driver.get(balancer.url)
        page.until(lambda: page.one("#token-dialog").get_attribute("open") is not None, "it asks anew")
        page.one("#token").send_keys("wrong", Keys.ENTER)
        page.until(lambda: "not known" in page.text("#token-why"), "a wrong one is told")
        self.check_accessibility(page)
        page.one("#token").send_keys(OPERATOR, Keys.ENTER)
        page.until(lambda: "alice (operator)" in page.text("#identity"), "who it is now")
        page.until(lambda: page.one("#retreat").is_displayed(), "the way back")

    def test_connection_lost_and_back(self):
        port = free_port()
        balancer = self.serve(admin=port)
        page = self.open(balancer)
        page.keys("r")
        page.until(lambda: page.all(".panel form"), "the panel")
        balancer.stop()
        page.until(lambda: "Connection lost" in page.text("#sentence"), "the loss")
        self.assertIn("lost since", page.text("#connection"))
        self.assertIn("grayscale", page.one("main").value_of_css_property("filter"))
        self.assertFalse(page.one("#retreat").is_enabled(), "changes wait")
        self.assertFalse(page.one(".panel button.primary").is_enabled())
        self.assertEqual(page.text("#level-word"), "Lost")
        self.picture(page, "lost")
        balancer.start()
        page.until(lambda: page.one("#band").get_attribute("data-level") not in ("lost", "waiting"), "it is back by itself", 40)
        page.until(lambda: page.one("#retreat").is_enabled(), "changes are possible")
        self.assertIn("live since", page.text("#connection"))

    # ------------------------------------------------------------------------------------------------ much, and malice

    def test_hostile_words(self):
        """Names are plain; what a route matches and what people and upstreams say is not."""
        routes = [{"name": "api", "match": {"path": "/", "headers": {"x-a": "<img src=x onerror=alert(1)>"}}, "split": {"core": 3, "gateway": 1}}]
        balancer = self.serve(routes=routes, load=False)
        balancer.ask("/api/v1/endpoints/" + self.one.address, "PUT", {"administrative": "drain", "reason": HOSTILE})
        page = self.open(balancer)
        page.until(lambda: HOSTILE in page.text("#journal-list"), "the reason, as text")
        page.until(lambda: "x-a: <img src=x onerror=alert(1)>" in page.text("#route-list"), "what the route matches, as text")
        self.assertEqual(page.all("img"), [])
        page.keys("r")
        page.until(lambda: page.all(".panel form"), "the panel")
        page.keys(*[Keys.ARROW_LEFT] * 3)
        page.until(lambda: "→" in page.text(".result"), "what would change")
        self.assertEqual(page.complaints(), [])

    def test_a_thousand_endpoints(self):
        addresses = [f"127.0.{number // 250 + 1}.{number % 250 + 1}:9" for number in range(1000)]
        balancer = self.serve(upstreams={"core": [self.core.address], "gateway": addresses}, routes=[
            {"name": f"route{number}", "match": {"path": f"/{number}"}, "split": {"core": 1, "gateway": 0}} for number in range(64)])
        page = self.open(balancer)
        page.until(lambda: len(page.all("#route-list .route")) == 64, "64 routes")
        page.until(lambda: len(page.all(".group:nth-child(2) .rows .row")) >= 10, "rows")
        self.assertLess(len(page.all(".group:nth-child(2) .rows .row")), 60, "only those that are seen")
        page.driver.execute_script("document.querySelector('.windowed').scrollTop = 500 * 44")
        page.until(lambda: "127.0.3.5:9" in page.text(".windowed"), "the five hundredth")
        self.assertLess(len(page.all(".group:nth-child(2) .rows .row")), 60)
        page.until(lambda: "and 97 more" in page.text(".group:nth-child(2) .group-head"), "those in trouble")
        self.check_accessibility(page)
        took = page.driver.execute_script("const t = performance.now(); for (let i = 0; i < 20; i++) show(); return (performance.now() - t) / 20")
        self.assertLess(took, 100, "milliseconds of one second's message")

    def test_nothing_to_split(self):
        balancer = self.serve(upstreams={"core": [self.core.address]}, routes=[{"name": "all", "split": {"core": 1}}])
        page = self.open(balancer)
        page.until(lambda: page.one("#routes-empty").is_displayed(), "what a split is")
        self.assertFalse(page.one("#migration").is_displayed())
        self.assertFalse(page.one("#retreat").is_displayed())


if __name__ == "__main__":
    unittest.main()
