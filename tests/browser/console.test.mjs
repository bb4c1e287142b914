// Drives the console of a running collector in a real browser.
//
// It is told by environment variables: PIKETT_URL, PIKETT_USER (admin), PIKETT_PASSWORD,
// optionally PIKETT_TOKEN (scope ingest: hostile events are sent and looked for), CHROMIUM (path)
// and SHOTS (a folder for pictures of every page). A first password is changed to
// PIKETT_NEW_PASSWORD. Of each scenario that fails the name and a picture are kept, in SHOTS or a
// folder of its own. The test fails on anything the browser's console calls an error, on any
// violation of the content security policy, and on markup that came out of data.
import assert from "node:assert/strict";
import { appendFile, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as scenario, before, after } from "node:test";
import { chromium } from "playwright-core";

const url = process.env.PIKETT_URL ?? "https://127.0.0.1:8443";
const user = process.env.PIKETT_USER ?? "admin";
const next = process.env.PIKETT_NEW_PASSWORD ?? "a sentence only for the browser test";
const HOSTILE = [
  "<script>window.owned=1</script>", '"><img src=x onerror="window.owned=1">', "\u001b[2J\u001b[31mred",
  "=cmd|' /C calc'!A0", "\u202egpj.exe", "a\r\nb\tc", "javascript:window.owned=1",
];
const marker = `browsertest${Date.now()}`;
const faults = [];
let browser, context, page;

async function shot(name) {
  if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
}
async function open(hash) {
  await page.goto(`${url}/${hash}`);
  await page.waitForSelector("main");
}

/** A test that keeps its name and a picture when it fails. */
function test(name, ...rest) {
  const act = rest.pop();
  scenario(name, ...rest, async (context) => {
    try {
      await act(context);
    } catch (error) {
      const folder = process.env.SHOTS ?? join(tmpdir(), "pikett-browser");
      const picture = join(folder, `failed-${name.replace(/[^a-z0-9]+/gi, "-")}.png`);
      await mkdir(folder, { recursive: true });
      await page?.screenshot({ path: picture }).catch(() => {});
      await appendFile(join(folder, "failed.log"), `${new Date().toISOString()} ${name}: ${String(error).split("\n")[0]} (${picture})\n`);
      context.diagnostic(`kept in ${folder}`);
      throw error;
    }
  });
}

/** Sends hostile events as a shipper does. */
async function send(mark = marker) {
  const lines = HOSTILE.flatMap((text) => [
    '{"index":{"_index":"browser"}}',
    JSON.stringify({ event_type: "http", message: mark, host: { name: text.slice(0, 60) }, user: { name: text }, src_ip: "10.9.9.9", dest_ip: "10.9.9.10", flow_id: 1, http: { hostname: text, url: `/${text}`, http_user_agent: text, http_method: "GET", status: 200 } }),
  ]);
  const answer = await context.request.post(`${url}/_bulk`, { data: `${lines.join("\n")}\n`, headers: { Authorization: `Bearer ${process.env.PIKETT_TOKEN}`, "Content-Type": "application/x-ndjson" } });
  assert.equal(answer.status(), 200, await answer.text());
}

/** Searches until what was sent is found, however slow the machine is. */
async function arrived(mark) {
  await open(`#/search?from=now-1h&q=message:${mark}`);
  for (let n = 0; n < 60; n += 1) {
    await page.click("form.bar button.primary");
    await page.waitForTimeout(500);
    if ((await page.$$(".events tbody tr")).length === HOSTILE.length) return;
  }
  assert.fail(`what was sent is not found: ${mark}`);
}

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 }, acceptDownloads: true });
  page = await context.newPage();
  page.setDefaultTimeout(Number(process.env.PIKETT_TIMEOUT ?? 10_000));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => console.error(`CSP ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  page.on("console", (message) => {
    // The first question for the session is answered with 401 before the login; the wrong login too.
    const expected = /status of (401|400)/.test(message.text());
    if (message.type() === "error" && !expected) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("dialog", (dialog) => void dialog.accept());
});
after(async () => browser?.close());

test("the page comes with a strict policy and nothing inline", async () => {
  const answer = await context.request.get(url);
  const policy = answer.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
  assert.doesNotMatch(await answer.text(), /<style|style=|<script(?![^>]*src=)|\son\w+=/);
});

test("login refuses a wrong password and takes the right one; a first password must be changed", async () => {
  await open("");
  await page.fill("input[name=name]", user);
  await page.fill("input[name=password]", "certainly wrong");
  await shot("login");
  await page.click("button.primary");
  await page.waitForSelector("[role=alert]");
  await page.fill("input[name=password]", process.env.PIKETT_PASSWORD ?? "");
  await page.keyboard.press("Enter");
  await page.waitForSelector("nav, input[name=old]");
  if (await page.$("input[name=old]")) {
    await shot("password");
    await page.fill("input[name=old]", process.env.PIKETT_PASSWORD);
    await page.fill("input[name=new]", next);
    await page.fill("input[name=again]", next);
    await page.keyboard.press("Enter");
  }
  await page.waitForSelector("nav");
});

for (const [name, hash, words] of [
  ["alerts", "#/alerts", /alerts|No live/], ["search", "#/search?from=now-24h", /events/],
  ["exceptions", "#/exceptions", /no exceptions|Holds when/], ["rules", "#/rules", /Try a rule/],
  ["agents", "#/agents", /Collector/], ["storage", "#/storage", /Classes of data/], ["oncall", "#/oncall", /On call now|Nobody is on call/],
  ["settings", "#/settings", /Tokens of programs/], ["complete", "#/complete", /What is missing/],
]) {
  test(`page ${name} renders light, dark and narrow`, async () => {
    await open(hash);
    await page.waitForFunction((source) => new RegExp(source).test(document.querySelector("main").innerText), words.source);
    await page.waitForTimeout(600);
    for (const theme of ["light", "dark"]) {
      await page.selectOption("select[aria-label=Theme]", theme);
      await shot(`${name}-${theme}`);
    }
    await page.setViewportSize({ width: 400, height: 800 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    // The list of pages follows with the next frame.
    await page.waitForFunction(() => [...document.querySelectorAll("nav [aria-current]")].every((one) => one.getBoundingClientRect().right <= innerWidth));
    await shot(`${name}-narrow`);
    await page.setViewportSize({ width: 1280, height: 800 });
    assert.ok(over <= 1, `${over} pixels wider than the window`);
    const nameless = await page.$$eval("button, input:not(.hide), select, textarea, a", (all) => all.filter((one) => {
      const label = one.getAttribute("aria-label") || one.textContent.trim() || one.getAttribute("title") || one.closest("label")?.textContent.trim();
      return !label;
    }).map((one) => one.outerHTML.slice(0, 120)));
    assert.deepEqual(nameless, []);
  });
}

test("stages give tables and charts, typing gives suggestions, mistakes are pointed at", async (context) => {
  // A collector that has just been made has no events, and no table to show.
  if (process.env.PIKETT_TOKEN) {
    await send(`${marker}first`);
    await arrived(`${marker}first`);
  }
  await open(`#/search?all=1&q=${encodeURIComponent("* | stats count() by event_type | sort -count")}`);
  await page.waitForSelector("section[aria-label=Table], .empty");
  if (!process.env.PIKETT_TOKEN && !(await page.$("section[aria-label=Table] tbody tr"))) return context.skip("no event");
  await page.waitForSelector("section[aria-label=Table] table tbody tr");
  assert.match(await page.innerText("section[aria-label=Table] thead"), /event_type\s+count/);
  assert.ok(await page.$(".completeness"));
  await shot("stats");
  await open(`#/search?all=1&q=${encodeURIComponent("* | timechart span=1h count() by event_type")}`);
  await page.waitForSelector("figure.chart canvas");
  await shot("timechart");
  await page.fill("[data-main-input]", "");
  await page.locator("[data-main-input]").pressSequentially("* | st", { delay: 20 });
  await page.waitForSelector("#offers li");
  assert.match(await page.innerText("#offers li"), /^stats/);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("[data-main-input]"), "* | stats ");
  await shot("offers");
  await page.fill("[data-main-input]", "* | stast count()");
  await page.click("form.bar button.primary");
  await page.waitForSelector("#query-error");
  assert.match(await page.innerText("#query-error"), /did you mean stats/);
  await open("#/search?from=now-24h&q=event_type:*");
  await page.click("text=Kept searches");
  await page.fill("dialog input:not([type=checkbox])", "Kept by the test");
  await page.click("dialog button.primary");
  await page.waitForSelector("dialog >> text=Kept by the test");
  await shot("kept");
  await page.click('dialog button[aria-label="Remove Kept by the test"]');
  await page.waitForSelector("dialog >> text=Kept by the test", { state: "detached" });
  await page.keyboard.press("Escape");
});

test("hostile strings are text", { skip: !process.env.PIKETT_TOKEN && "no PIKETT_TOKEN" }, async () => {
  await send();
  await arrived(marker);
  await shot("hostile");
  for (const row of await page.$$(".events tbody tr")) {
    await row.click();
    await page.waitForSelector(".detail .fields");
    await page.click(".detail .tabs button:nth-child(2)");
    await page.waitForSelector(".detail .raw");
  }
  const found = await page.evaluate(() => ({
    owned: window.owned, scripts: document.querySelectorAll("script:not([src])").length,
    images: document.querySelectorAll("img:not([src='/icon.svg'])").length,
    text: document.body.innerText, html: document.body.innerHTML,
  }));
  assert.equal(found.owned, undefined);
  assert.equal(found.scripts + found.images, 0);
  assert.ok(found.text.includes("<script>window.owned=1</script>"));
  assert.doesNotMatch(found.html, /[\u001b\u202e]/, "control characters are shown, not passed on");
  assert.match(found.text, /\\x1b\[2J/);
});

test("a CSV cell is never a formula", { skip: !process.env.PIKETT_TOKEN && "no PIKETT_TOKEN" }, async () => {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Export CSV")]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  assert.ok(text.includes("'=cmd|"));
  assert.doesNotMatch(text, /(^|,|")[=+@]/m);
});

test("a wrong query is answered under its column", async () => {
  await open("#/search?from=now-1h");
  await page.fill("input[aria-label=Query]", "dest_port:[1 TO");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".where");
  assert.match(await page.innerText("#query-error"), /column \d+/);
  await shot("query-error");
});

test("a facet narrows the query, brushing chooses a time, the event opens, all in the address", async () => {
  await open("#/search?from=now-24h");
  await page.waitForSelector(".facets .value");
  await page.click(".facets .value >> nth=0");
  await page.waitForFunction(() => /q=event_type/.test(location.hash));
  await page.waitForTimeout(500);
  const box = await (await page.waitForSelector(".u-over")).boundingBox();
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width + 30, box.y + 40, { steps: 5 }); // to the end: the newest events are there
  await page.mouse.up();
  await page.waitForFunction(() => /from=20/.test(location.hash) && /to=20/.test(location.hash));
  await page.waitForSelector(".events tbody tr");
  await page.locator("body").press("j");
  await page.waitForSelector(".detail .fields");
  await shot("event");
  await page.reload();
  await page.waitForSelector(".detail .fields");
  await page.locator("body").press("Escape");
  await page.waitForFunction(() => !document.querySelector(".detail"));
});

test("more events follow without a repetition", async () => {
  await open("#/search?all=1");
  const ids = () => page.$$eval(".events tbody tr time", (all) => all.map((one) => one.title));
  await page.waitForSelector(".events tbody tr");
  const first = (await ids()).length;
  if (!(await page.$(".more"))) return;
  await page.click(".more");
  await page.waitForFunction((count) => document.querySelectorAll(".events tbody tr").length > count, first);
  const titles = await ids();
  assert.deepEqual(titles, [...titles].sort().reverse(), "newest first");
});

test("live tail shows what arrives", { skip: !process.env.PIKETT_TOKEN && "no PIKETT_TOKEN" }, async () => {
  await open(`#/search?live=1&q=message:${marker}`);
  await page.waitForFunction(() => /live/.test(document.querySelector(".results [role=status]")?.innerText ?? ""));
  await send();
  await page.waitForFunction((count) => document.querySelectorAll(".events tbody tr").length >= count, HOSTILE.length);
  const [line, whole] = await page.$eval(".events tbody td.line", (cell) => [cell.clientWidth, document.body.clientWidth]);
  assert.ok(line > whole / 3, `what happened has ${line} of ${whole} pixels`);
  await shot("tail");
});

test("alerts are worked by keyboard alone", async (context) => {
  await open("#/alerts?status=open");
  await page.waitForFunction(() => /\d+ alerts/.test(document.querySelector("main").innerText));
  if (!(await page.$(".alerts tbody tr"))) return context.skip("no alert");
  const press = (key) => page.locator("body").press(key);
  await press("j");
  await press("k");
  await press("Enter");
  await page.waitForSelector(".detail .facts");
  await shot("alert");
  await press("a");
  await page.waitForFunction(() => /acknowledged/.test(document.querySelector(".detail .badge.b-acknowledged")?.innerText ?? ""));
  await press("c");
  await page.waitForSelector("dialog[open] input[name=verdict]");
  await page.keyboard.press("Space");
  await page.fill("textarea[name=note]", "tried by the browser test");
  await shot("close");
  await page.click("dialog button.primary");
  await page.waitForFunction(() => /closed/.test(document.querySelector(".detail .badge.b-closed")?.innerText ?? ""));
  assert.match(await page.innerText(".timeline"), /tried by the browser test/);
  await page.click("text=Reopen");
  await page.waitForSelector(".detail .badge.b-open");
  await press("g");
  await press("a");
  await page.waitForTimeout(700);
  await page.goBack();
  await page.waitForSelector(".detail .badge.b-open", { timeout: 5_000 });
  await press("?");
  await page.waitForSelector("dialog .keys");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog[open]"));
  await press("g");
  await press("o");
  await page.waitForFunction(() => location.hash.startsWith("#/oncall"));
});

test("an exception is made from an alert after its preview, listed, and ended", async (context) => {
  await open("#/alerts?status=all");
  await page.waitForFunction(() => /\d+ alerts/.test(document.querySelector("main").innerText));
  // What Pikett tells of itself has no exceptions.
  let found = false;
  for (const row of (await page.$$(".alerts tbody tr .title")).slice(0, 12)) {
    await row.click();
    await page.waitForSelector(".detail .facts");
    if ((found = !!(await page.$("text=Make an exception")))) break;
  }
  if (!found) return context.skip("no alert of a rule");
  await page.locator("body").press("e");
  await page.waitForSelector("dialog[open] .offer input[type=checkbox]");
  await page.waitForSelector("dialog[open] .past");
  assert.match(await page.innerText("dialog .preview"), /would have suppressed \d+ of \d+ detections/);
  for (const theme of ["light", "dark"]) {
    await page.evaluate((name) => { document.documentElement.dataset.theme = name; }, theme);
    await shot(`exception-dialog-${theme}`);
  }
  await page.setViewportSize({ width: 400, height: 800 });
  const over = await page.evaluate(() => document.querySelector("dialog").scrollWidth - document.querySelector("dialog").clientWidth);
  await shot("exception-dialog-narrow");
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(over <= 1, `${over} pixels wider than the dialog`);
  // Without a condition there is nothing to make.
  const ticks = page.locator("dialog .offer input[type=checkbox]:checked");
  while (await ticks.count()) await ticks.first().uncheck();
  await page.waitForSelector("dialog .warning");
  assert.ok(await page.isDisabled("dialog button.primary"));
  await page.locator("dialog .offer input[type=checkbox]").first().check();
  await page.waitForSelector("dialog[open] .past");
  for (const box of await page.$$("dialog .failure.block input[type=checkbox]")) await box.check();
  const reason = `<img src=x onerror=window.owned=1> ${marker}`;
  await page.fill("dialog textarea[name=reason]", reason);
  await page.click("dialog button.primary");
  await page.waitForFunction(() => !document.querySelector("dialog[open]"));
  await page.waitForFunction((text) => document.querySelector(".timeline").innerText.includes(text), marker);
  await open("#/exceptions");
  await page.waitForFunction((text) => document.querySelector("main").innerText.includes(text), reason);
  for (const theme of ["light", "dark"]) {
    await page.selectOption("select[aria-label=Theme]", theme);
    await shot(`exceptions-${theme}`);
  }
  assert.equal(await page.evaluate(() => window.owned), undefined);
  const row = page.locator(".exceptions tbody tr", { hasText: marker }).first();
  await row.locator("button.danger").click();
  await page.fill("dialog textarea[name=reason]", "the browser test is over");
  await page.click("dialog button.primary");
  await row.locator(".badge.b-ended").waitFor();
});

test("a rule is tried over the past, and what is none is refused", async () => {
  await open("#/rules");
  await page.fill(".rule-text", "title: T\nid: browser-test\ndetection:\n  s:\n    event_type: [log, http]\n  condition: s\n");
  await page.click("main button.primary");
  await page.waitForFunction(() => /would (not )?have fired/.test(document.querySelector("main").innerText));
  for (const theme of ["light", "dark"]) {
    await page.selectOption("select[aria-label=Theme]", theme);
    await shot(`rule-${theme}`);
  }
  await page.fill(".rule-text", "title: [");
  await page.click("main button.primary");
  await page.waitForSelector("main [role=alert]");
  assert.match(await page.innerText("main [role=alert]"), /not readable as YAML/);
});

test("the storage is shown: classes, folders with their room, what was destroyed", async () => {
  await open("#/storage");
  await page.waitForSelector(".storage .tiles .card");
  const text = await page.innerText("main");
  assert.match(text, /Data folder/);
  assert.match(text, /[\d.]+ [KMGT]iB of [\d.]+ [KMGT]iB free/);
  assert.match(text, /Partitions that searches skip/);
  assert.match(await page.innerText(".storage table tbody"), /default/);
  assert.match(text, /Nothing was destroyed yet|Proof/);
  await page.locator("body").press("g");
  await page.locator("body").press("s");
  await page.waitForFunction(() => location.hash.startsWith("#/search"));
  await page.locator("body").press("g");
  await page.locator("body").press("t");
  await page.waitForFunction(() => location.hash.startsWith("#/storage"));
});

test("events are redacted from a search: shown first, confirmed by typing, followed to the tombstone", { skip: !process.env.PIKETT_TOKEN && "no PIKETT_TOKEN" }, async () => {
  const secret = `secret${marker}`;
  const lines = [1, 2, 3].map((n) => `{"index":{}}\n${JSON.stringify({ event_type: "log", message: secret, host: { name: "<b>h</b>" }, user: { name: `u${n}`, password: "hunter2" } })}`);
  const sent = await context.request.post(`${url}/_bulk`, { data: `${lines.join("\n")}\n`, headers: { Authorization: `Bearer ${process.env.PIKETT_TOKEN}`, "Content-Type": "application/x-ndjson" } });
  assert.equal(sent.status(), 200, await sent.text());
  await page.waitForTimeout(1_500);
  await open(`#/search?from=now-1h&q=message:${secret}`);
  await page.waitForFunction(() => document.querySelectorAll(".events tbody tr").length === 3);
  const redact = async (button, reason, fields) => {
    await page.click(button);
    await page.waitForSelector("dialog[open] textarea[name=reason]");
    assert.ok(await page.isDisabled("dialog button.primary"), "not without a reason");
    if (fields) {
      await page.check("dialog input[name=extent] >> nth=1");
      for (const name of fields) await page.check(`dialog label.choice:has-text("${name}") input`);
    }
    await page.fill("dialog textarea[name=reason]", reason);
    await page.click("dialog button.primary");
    await page.waitForSelector("dialog input[name=phrase]");
    assert.ok(await page.isDisabled("dialog footer button.danger"), "not without the phrase");
  };
  // Fields of one event, from the event itself.
  await page.click(".events tbody tr >> nth=0");
  await page.waitForSelector(".detail .fields");
  const reason = `<img src=x onerror=window.owned=1> a password was logged ${marker}`;
  await redact("text=Redact this event", reason, ["user.password"]);
  assert.match(await page.innerText("dialog section[aria-label='What would go']"), /1 event would go for good, only the fields user\.password/);
  for (const theme of ["light", "dark"]) {
    await page.evaluate((name) => { document.documentElement.dataset.theme = name; }, theme);
    await shot(`redact-dialog-${theme}`);
  }
  await page.setViewportSize({ width: 400, height: 800 });
  const over = await page.evaluate(() => document.querySelector("dialog").scrollWidth - document.querySelector("dialog").clientWidth);
  await shot("redact-dialog-narrow");
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.ok(over <= 1, `${over} pixels wider than the dialog`);
  await page.fill("dialog input[name=phrase]", "redact 1 event");
  await page.click("dialog footer button.danger");
  await page.waitForSelector("dialog >> text=written anew under a new key", { timeout: 60_000 });
  await shot("tombstone");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog[open]"));
  // All of them, whole. A changed reason wants another look.
  await redact("text=Redact these events", reason, null);
  await page.fill("dialog textarea[name=reason]", `${reason} again`);
  assert.equal(await page.$("dialog input[name=phrase]"), null);
  await page.click("dialog button.primary");
  await page.waitForSelector("dialog input[name=phrase]");
  await page.fill("dialog input[name=phrase]", "redact 3 events");
  await page.click("dialog footer button.danger");
  await page.waitForSelector("dialog >> text=3 events, whole", { timeout: 60_000 });
  await page.waitForSelector("dialog .facts");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => /No event matches/.test(document.querySelector("main").innerText));
  await page.click(".completeness button, .completeness .linkish");
  assert.match(await page.innerText(".completeness"), /events of this time were redacted/);
  await open("#/settings");
  await page.waitForFunction((text) => document.querySelector(".redactions")?.innerText.includes(text), marker);
  await page.click(".redactions tbody details summary");
  assert.equal(await page.evaluate(() => window.owned), undefined);
  await page.locator(".redactions").scrollIntoViewIfNeeded();
  for (const theme of ["light", "dark"]) {
    await page.selectOption("select[aria-label=Theme]", theme);
    await shot(`redactions-${theme}`);
  }
});

test("an administrator adds and removes a user and a token, and enrols an agent", async () => {
  await open("#/settings");
  const name = `t${Date.now()}`;
  await page.click("text=Add a user");
  await page.fill("dialog input[name=name]", name);
  await page.fill("dialog input[name=mail]", "t@example.com");
  await page.click("dialog button.primary");
  assert.ok((await page.innerText("dialog .secret")).length > 10);
  await page.click("dialog button.primary");
  await page.click(`button[aria-label="Remove ${name}"]`);
  await page.waitForFunction((gone) => !document.querySelector("main").innerText.includes(gone), name);
  await page.click("text=Make a token");
  await page.fill("dialog input[name=name]", name);
  await page.check("dialog input[value=read]");
  await page.click("dialog button.primary");
  assert.match(await page.innerText("dialog .secret"), /^pkt_/);
  await page.click("dialog button.primary");
  await page.click(`button[aria-label="Remove ${name}"]`);
  await open("#/agents");
  await page.click("text=Enrol an agent");
  await page.click("dialog button.primary");
  await page.waitForSelector("dialog .secret");
  assert.match(await page.innerText("dialog .secret"), /pikett-agent enroll --collector/);
  await page.keyboard.press("Escape");
  for (const button of (await page.$$(".agents tr.agent button")).slice(0, 3)) await button.click();
  await shot("agent-open");
});

test("a viewer sees no button that it may not press", async () => {
  await open("#/settings");
  const name = `v${Date.now()}`;
  await page.click("text=Add a user");
  await page.fill("dialog input[name=name]", name);
  await page.selectOption("dialog select[name=role]", "viewer");
  await page.click("dialog button.primary");
  const first = await page.innerText("dialog .secret");
  await page.click("dialog button.primary");
  const other = await browser.newContext({ ignoreHTTPSErrors: true });
  const view = await other.newPage();
  view.setDefaultTimeout(Number(process.env.PIKETT_TIMEOUT ?? 10_000));
  view.on("pageerror", (error) => faults.push(String(error)));
  await view.goto(`${url}/#/settings`);
  await view.fill("input[name=name]", name);
  await view.fill("input[name=password]", first);
  await view.keyboard.press("Enter");
  await view.fill("input[name=old]", first);
  await view.fill("input[name=new]", next);
  await view.fill("input[name=again]", next);
  await view.keyboard.press("Enter");
  await view.waitForSelector(".password");
  assert.doesNotMatch(await view.innerText("main"), /Users|Tokens/);
  await view.goto(`${url}/#/alerts?status=open`);
  await view.waitForFunction(() => /\d+ alerts/.test(document.querySelector("main").innerText));
  if (await view.$(".alerts tbody tr")) {
    await view.click(".alerts tbody .title");
    await view.waitForSelector(".detail .facts");
    assert.doesNotMatch(await view.innerText(".detail"), /Acknowledge a|Close c|Reopen/);
    await view.locator("body").press("a");
    await view.locator("body").press("c");
    assert.equal(await view.$("dialog[open]"), null);
  }
  for (const hash of ["#/agents", "#/oncall"]) {
    await view.goto(`${url}/${hash}`);
    await view.waitForSelector(".page h1");
    assert.doesNotMatch(await view.innerText("main"), /Enrol an agent\n|Change the schedule\n/);
  }
  await other.close();
  await page.click(`button[aria-label="Remove ${name}"]`);
});

test("the schedule is saved as it stands, and not without members", async () => {
  await open("#/oncall");
  await page.click("text=Change the schedule");
  // The list of members is there and not visible while it is empty.
  await page.waitForSelector("dialog .editable", { state: "attached" });
  await shot("schedule");
  const member = await page.$("dialog fieldset:first-of-type .editable li");
  await page.click("dialog button.primary");
  if (!member) {
    await page.waitForSelector("dialog [role=alert]");
    assert.match(await page.innerText("dialog [role=alert]"), /nobody would be called/);
    await page.click("dialog >> text=Cancel");
  }
  await page.waitForFunction(() => !document.querySelector("dialog[open]"));
});

test("logging out ends the session", async () => {
  await page.click("text=Log out");
  await page.waitForSelector("input[name=password]");
  const answer = await context.request.get(`${url}/api/v1/alerts`);
  assert.equal(answer.status(), 401);
});

test("the browser had nothing to complain about", () => assert.deepEqual(faults, []));
