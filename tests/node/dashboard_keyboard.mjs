// The keyboard, and times by the viewer's clock:
//   node dashboard_keyboard.mjs URL FIRST_ADMIN_LINK SERVER_ID CLIENT_ID TOKEN_ID
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { check, equal, launch, open, setUp } from "./dashboard.mjs";

const [url, link, server, client, token] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await launch();
const context = await browser.newContext({ timezoneId: "Asia/Tokyo" });
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
const page = await open(context);
await setUp(page, link);
const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim());
const accessible = async (name) => {
  const result = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
  equal(result.violations.map(({ id, nodes }) => `${id} ${nodes[0].html.slice(0, 120)}`).join("\n"), "", `accessibility of ${name}`);
};

// / searches on the page; in a field it is a letter.
await page.goto(`${url}/dashboard/audit`);
await page.locator("h1").click();
await page.keyboard.press("/");
equal(await focused(), "Search events", "what / leads to");
await page.keyboard.type("a/c?b");
equal(await page.locator("#q").inputValue(), "a/c?b", "letters typed in a field are letters");
equal(await page.locator("dialog[open]").count(), 0, "no dialog opens while one types");

// Ctrl+K, from within a field too: by name, by ID, by the prefix of an ID.
await page.keyboard.press("Control+k");
const palette = page.getByRole("dialog", { name: "Find" });
await palette.waitFor();
await accessible("the palette, empty");
await page.keyboard.type("nightly");
await palette.getByRole("link", { name: /Client Nightly triage/ }).waitFor();
await accessible("the palette");
await page.keyboard.press("ArrowDown");
check((await focused()).includes("Nightly triage"), `the arrow leads to what was found: ${await focused()}`);
await page.keyboard.press("Enter");
await page.getByRole("heading", { name: "Nightly triage" }).waitFor();
for (const [text, heading] of [[server, "Todo"], [client, "Nightly triage"], [token, "Token issued"]]) {
  await page.goto(`${url}/dashboard/settings`);
  await page.keyboard.press("Control+k");
  await page.keyboard.type(text);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: heading, level: 1 }).waitFor();
}
await page.keyboard.press("Control+k");
await palette.waitFor();
await page.keyboard.press("Escape");
equal(await page.locator("dialog[open]").count(), 0, "Escape closes the palette");

// ? tells, c creates.
await page.goto(`${url}/dashboard/mcp-servers`);
await page.keyboard.press("?");
const help = page.getByRole("dialog", { name: "Keyboard shortcuts" });
await help.waitFor();
await accessible("the list of keys");
await page.keyboard.press("c");
equal(new URL(page.url()).pathname, "/dashboard/mcp-servers", "a key does nothing behind a dialog");
await help.getByLabel("Single-key shortcuts").uncheck();
await page.keyboard.press("Escape");
await page.keyboard.press("c");
equal(new URL(page.url()).pathname, "/dashboard/mcp-servers", "keys that are switched off do nothing");
await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
await help.getByLabel("Single-key shortcuts").check();
await help.getByRole("button", { name: "Close" }).click();
await page.keyboard.press("c");
await page.waitForURL("**/dashboard/mcp-servers/new");

// Copy buttons of rows are no stops of their own, and yet reached.
for (const path of ["/dashboard/clients", "/dashboard/mcp-servers"]) {
  await page.goto(url + path);
  const copies = page.locator("td .copy");
  if (!(await copies.count())) continue;
  equal(await page.locator("td .copy:not([tabindex='-1'])").count(), 0, `Copy buttons of ${path} that are stops`);
  const row = page.locator("tr", { has: page.locator(".copy") }).last();
  await row.getByRole("link").first().focus();
  await page.keyboard.press("y");
  await page.waitForFunction(() => navigator.clipboard.readText().then((text) => /^(m2m|res)_/.test(text)));
  await page.keyboard.press("ArrowRight");
  check(await page.evaluate(() => document.activeElement.matches(".copy")), `the arrow leads to Copy on ${path}`);
}

// j and k go from row to row; beyond the ends there is nothing.
for (const [path, rows] of [["/dashboard/clients", "td a.row"], ["/dashboard/audit", ".log > ol > li"]]) {
  await page.goto(url + path);
  const place = () => page.evaluate((selector) => [...document.querySelectorAll(selector)].findIndex((row) => row.contains(document.activeElement)), rows);
  const count = await page.locator(rows).count();
  await page.keyboard.press("j");
  equal(await place(), 0, `the first row of ${path}`);
  await page.keyboard.press("k");
  equal(await place(), 0, `no row before the first of ${path}`);
  await page.keyboard.press("j");
  equal(await place(), Math.min(1, count - 1), `the second row of ${path}`);
}

// Times: by the viewer's clock, or UTC.
await page.goto(`${url}/dashboard/audit?kind=token.issued`);
await page.getByText("Times are in Asia/Tokyo").waitFor();
const shown = async () => {
  const time = page.locator(".log-line time").first();
  return { text: await time.textContent(), at: new Date(await time.getAttribute("datetime")) };
};
const clock = (at, zone) => new Intl.DateTimeFormat("sv-SE", { timeZone: zone, timeStyle: "medium" }).format(at);
let time = await shown();
equal(time.text, clock(time.at, "Asia/Tokyo"), "the viewer's clock");
equal((await (await context.request.get(`${url}/dashboard/audit?kind=token.issued`)).text()).includes(`>${time.text}</time>`), true, "the server tells the same");
await page.getByRole("button", { name: "Show times in UTC" }).click();
await page.getByText("Times are in UTC").waitFor();
await page.waitForLoadState("load");
time = await shown();
equal(time.text, clock(time.at, "UTC"), "UTC");
await page.getByRole("button", { name: "Show times in Asia/Tokyo" }).click();
await page.getByText("Times are in Asia/Tokyo").waitFor();
await page.goto(`${url}/dashboard/clients/${client}`);
const hover = page.locator("main time[title]").first();
const exact = new Date(await hover.getAttribute("datetime"));
check((await hover.getAttribute("title")).endsWith(clock(exact, "Asia/Tokyo")), "what hovering shows is the viewer's clock");

// A row opens its event, wherever in it one clicks; what repeats opens first.
await page.goto(`${url}/dashboard/audit?kind=token.issued&client=${client}`);
await page.locator("summary", { hasText: "×3" }).click();
await page.locator("details[open] > ol .log-line").first().click({ position: { x: 5, y: 5 } });
await page.getByRole("heading", { name: "Token issued", level: 1 }).waitFor();
await page.getByRole("button", { name: "Copy the event as JSON" }).click();
const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
equal(copied.client_id, client, "the copied event");

// Without a script: UTC, no buttons that do nothing, and finding is a page.
const plain = await browser.newContext({ javaScriptEnabled: false, storageState: await context.storageState() });
await plain.clearCookies({ name: "jeton_zone" });
const still = await open(plain);
await still.goto(`${url}/dashboard/audit?kind=token.issued`);
await still.getByText("Times are in UTC").waitFor();
equal(await still.locator("#zone-toggle:visible, #keys-opener:visible").count(), 0, "no buttons that do nothing");
await still.getByRole("link", { name: "Find" }).click();
await still.getByLabel("Find by name or ID").fill("nightly");
await still.getByRole("button", { name: "Find" }).click();
await still.getByRole("link", { name: /Nightly triage/ }).click();
await still.getByRole("heading", { name: "Nightly triage" }).waitFor();

equal(page.complaints.join("\n"), "", "what the browser complained of");
await browser.close();
