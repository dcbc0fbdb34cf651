// The way from "MCP Servers" to a token by curl, with a stop-watch: clicks, keystrokes, and the seconds that the machine
// takes for them. Prints a line for each order in which people go it:  node dashboard_stopwatch.mjs URL FIRST_ADMIN_LINK
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { addMcpServer, check, launch, open, setUp } from "./dashboard.mjs";

const [url, link] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext();
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
const page = await open(context);
await setUp(page, link);
await addMcpServer(page, { name: "Todo", url: "http://localhost:3002/mcp", scopes: [["todo:read", "See todos"], ["todo:write", "Change todos"]] });

async function journey(order, name) {
  await page.goto(`${url}/dashboard`);
  let clicks = 0;
  const click = async (target) => {
    clicks += 1;
    await target.click();
  };
  const sheet = page.getByRole("dialog");
  const begin = performance.now();
  await click(page.getByRole("link", { name: "MCP Servers", exact: true }).first());
  await click(page.getByRole("link", { name: "Todo", exact: true }));
  await click(page.getByRole("navigation", { name: "MCP server" }).getByRole("link", { name: "Clients" }));
  await click(page.getByRole("link", { name: "Create Client" }).first());
  // The cursor is in the field for the name already.
  check(await page.evaluate(() => document.activeElement.id === "name"), "the cursor is in the first field");
  await page.keyboard.type(name);
  if (order === "scopes first") await click(sheet.getByLabel("todo:read"));
  await click(sheet.getByRole("button", { name: "Create Client" }));
  await page.locator("#client-secret").waitFor();
  if (order === "scopes after the secret") {
    await click(sheet.getByLabel("todo:read"));
    await click(sheet.getByRole("button", { name: "Save" }).last());
    await page.getByText("Scopes saved").waitFor();
  }
  const copy = sheet.locator(".snippet", { has: page.locator("#snippet-curl") }).getByRole("button");
  await click(copy);
  await sheet.getByRole("button", { name: "Copied" }).waitFor();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  const { stdout } = await promisify(execFile)("sh", ["-c", curl]);
  const seconds = (performance.now() - begin) / 1000;
  const token = JSON.parse(stdout);
  check(token.token_type === "Bearer" && token.scope === "todo:read", `${order}: ${stdout}`);
  await click(sheet.getByRole("button", { name: "Done" }));
  console.log(`${order}: ${clicks} clicks, ${name.length} keystrokes and one paste, ${seconds.toFixed(1)} s of machine time`);
}

await journey("scopes first", "nightly-triage");
await journey("scopes after the secret", "nightly-report");
check(page.complaints.length === 0, page.complaints.join("\n"));
await browser.close();
