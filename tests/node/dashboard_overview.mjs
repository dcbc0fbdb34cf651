// The overview and the lists in a browser: node dashboard_overview.mjs URL FIRST_ADMIN_LINK
// It prints "stop" when the server is to be stopped, and waits for a line that says that it was.
import { createInterface } from "node:readline/promises";
import { check, equal, launch, open, requestToken, setUp, addMcpServer, createClient } from "./dashboard.mjs";

const [url, link] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
const page = await open(context);
await setUp(page, link);
const LONG = "a-very-long-name-of-an-agent-".repeat(3) + "x".repeat(13);
await page.getByText("Register your first MCP server").waitFor();
const overview = await open(context);
await overview.goto(`${url}/dashboard`);

// Everything on the open overview follows: no part contradicts another.
await addMcpServer(page, { name: "Todo", url: "http://localhost:1/mcp", scopes: [["todo:read", ""], ["todo:write", ""]] });
const server = new URL(page.url()).pathname;
const client = await createClient(page, { name: LONG, scopes: ["todo:read"] });
for (let round = 0; round < 5; round += 1) equal((await requestToken(url, client)).status, 200, "a token");
await overview.bringToFront();
await overview.getByText("Register your first MCP server").waitFor({ state: "detached" });
await overview.locator(".figure", { hasText: "Tokens issued" }).getByText("5", { exact: true }).waitFor();
await overview.getByRole("heading", { name: "Busiest clients" }).locator("..").getByText("5 tokens").waitFor();
await overview.getByText("Nothing needs attention").waitFor();
await overview.getByText("Updated just now").waitFor();

// What is open stays open, and the keyboard stays where it is.
await overview.getByText("Numbers", { exact: true }).click();
await overview.locator(".chart a[tabindex='0']").focus();
equal((await requestToken(url, client, { scope: "todo:write" })).status, 400, "a scope that is not granted");
await overview.getByText("Asks for todo:write, which it was not granted").waitFor();
await overview.getByRole("heading", { name: "1 client can't get tokens" }).waitFor();
check(await overview.locator("#chart-table[open]").count() === 1, "the table of numbers is still open");

// The chart's bars by keyboard, by mouse and by touch.
const last = overview.locator(".chart a[tabindex='0']");
await last.focus();
await overview.keyboard.press("End");
await overview.keyboard.press("ArrowLeft");
await overview.keyboard.press("ArrowRight");
check(await overview.evaluate(() => document.activeElement.closest("svg.chart") !== null), "the arrows go from bar to bar");
await last.hover();
await overview.locator("#chart-readout", { hasText: "issued" }).waitFor();
const bar = await last.getAttribute("href");
check(/since=.*&until=/.test(bar), `a bar leads to its time in the audit log: ${bar}`);
await overview.goto(url + bar);
await overview.getByRole("heading", { name: "Audit log" }).waitFor();
const phone = await browser.newContext({ viewport: { width: 390, height: 800 }, hasTouch: true, storageState: await context.storageState() });
const touched = await open(phone);
await touched.goto(`${url}/dashboard`);
await touched.locator(".chart a[tabindex='0'] .hover").tap();
await touched.locator("#chart-readout", { hasText: "issued" }).waitFor();
check(new URL(touched.url()).pathname === "/dashboard", "a first touch tells, and leads nowhere");
await touched.locator(".chart a[tabindex='0'] .hover").tap();
await touched.getByRole("heading", { name: "Audit log" }).waitFor();

// On a telephone: a menu, and rows that are cards.
await touched.goto(`${url}/dashboard/clients`);
check(!await touched.locator("#menu").isVisible(), "the menu is closed");
const row = touched.getByRole("row", { name: LONG });
for (const label of ["Status", "MCP servers", "Scopes", "Last token"]) {
  const cell = row.locator(`td[data-label="${label}"]`);
  check(await cell.isVisible(), `${label} is on the card`);
}
const name = await row.getByRole("link", { name: LONG }).boundingBox();
check(name.height < 60 && name.x + name.width <= 390, `a long name takes two lines: ${JSON.stringify(name)}`);
equal(await touched.evaluate(() => document.documentElement.scrollWidth), 390, "the page's width");
await touched.getByRole("button", { name: "Menu" }).tap();
await touched.getByRole("link", { name: "MCP Servers", exact: true }).tap();
await touched.getByRole("heading", { name: "MCP Servers" }).waitFor();
await phone.close();

// No chip breaks within a name, and an ID is copied whole though it is shown short.
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
await page.bringToFront();
await page.goto(`${url}/dashboard/clients`);
const heights = await page.locator(".chip").evaluateAll((chips) => chips.map((chip) => chip.getBoundingClientRect().height));
check(heights.length > 0 && Math.max(...heights) < 26, `chips of one line: ${heights}`);
await page.getByRole("row", { name: LONG }).hover();
await page.getByRole("button", { name: `Copy ${client.id}` }).click();
equal(await page.evaluate(() => navigator.clipboard.readText()), client.id, "the copied ID");
await page.getByRole("link", { name: "Name", exact: true }).click();
check(await page.locator("th[aria-sort=ascending]").count() === 1, "sorted by name");
// With one MCP server, Create client is one click away from its form; with two, one chooses.
await page.getByRole("link", { name: "Create client", exact: true }).click();
await page.waitForURL(`${url}${server}/clients/new`);
await page.goto(`${url}/dashboard`);
await addMcpServer(page, { name: "Wiki", url: "http://localhost:2/mcp", scopes: [["wiki:read", ""]] });
await page.goto(`${url}/dashboard/clients`);
await page.getByRole("link", { name: "Create client", exact: true }).click();
await page.getByRole("dialog").getByRole("link", { name: "Wiki" }).click();
await page.waitForURL(/mcp-servers\/res_.*\/clients\/new/);

// Where refreshing fails, the page says so.
const failing = async (words, before) => {
  const watched = await open(context);
  await watched.goto(`${url}/dashboard`);
  await watched.getByText("Updated just now").waitFor();
  await before();
  await watched.locator("#freshness.failed", { hasText: words }).waitFor();
  equal(await watched.locator("#announcements").textContent(), words, "announced");
  await watched.close();
};
equal(page.complaints.concat(overview.complaints, touched.complaints).join("\n"), "", "what the browser complained of");
await failing("Not updating: your session has ended. Sign in again.", async () => {
  await context.clearCookies();
});
await setUpAgain();
await failing("Not updating: the server doesn't answer.", async () => {
  console.log("stop");
  await createInterface({ input: process.stdin }).question("");
});
await browser.close();

async function setUpAgain() {
  const { signIn } = await import("./dashboard.mjs");
  await signIn(page, url);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}
