// Looks at every page: accessibility (axe-core, light and dark, wide and narrow), weight, and what
// becomes of HTML in every name:  node dashboard_pages.mjs URL FIRST_ADMIN_LINK
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { addMcpServer, check, createClient, equal, launch, open, requestToken, setUp, setUpOneTimeCodes, signIn } from "./dashboard.mjs";

const [url, link] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await launch();
// The policy of the pages forbids foreign scripts, so axe comes in by the debugger.
const context = await browser.newContext({ bypassCSP: false });
const page = await open(context);
const problems = [];

async function inspect(name) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      const result = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
      for (const violation of result.violations) {
        problems.push(`${name} ${scheme} ${width}: ${violation.id}: ${violation.help}: ${violation.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
      }
      const wide = await page.evaluate(() => {
        const width = document.documentElement.clientWidth;
        if (document.documentElement.scrollWidth <= width) return [];
        const found = [...document.querySelectorAll("main *")].filter((element) => element.getBoundingClientRect().right > width && !element.closest(".table, pre, .tabs, .chart-frame"));
        return found.map((element) => element.outerHTML.slice(0, 120));
      });
      if (wide.length) problems.push(`${name} ${width}: wider than the window: ${wide.slice(0, 4).join(" | ")}`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

const weights = [];
async function visit(path) {
  let bytes = 0;
  const sizes = [];
  const count = (response) => sizes.push(response.body().then((body) => { bytes += body.length; }).catch(() => {}));
  page.on("response", count);
  await page.goto(url + path, { waitUntil: "load" });
  page.off("response", count);
  await Promise.all(sizes);
  weights.push([path, bytes]);
  if (bytes > 100_000) problems.push(`${path} weighs ${bytes} bytes`);
  await inspect(path);
}

await page.goto(link);
await inspect("the first admin's link");
const name = `<img src=x onerror="document.title='hacked'"> & "quotes' \${x}`;
await setUp(page, link, { name });
await visit("/dashboard");
await visit("/dashboard/mcp-servers");
await visit("/dashboard/clients");

// HTML in every name and description is text.
await addMcpServer(page, { name, url: "http://localhost:1/mcp", scopes: [["todo:read", `<script>document.title="hacked"</script>`], ["a<b>/.-_", name]] });
const server = new URL(page.url()).pathname;
await visit(`${server}/clients`);
const client = await createClient(page, { name, scopes: ["todo:read"] });
await inspect("a client just created");
await page.getByRole("button", { name: "Done" }).click();
await page.getByText("Have you copied the secret?").waitFor();
await inspect("leaving without having copied");
await requestToken(url, client);
await requestToken(url, client, { scope: "<b>x</b>" });
await requestToken(url, client, { resource: "http://<script>" });
await visit("/dashboard");
await visit("/dashboard?range=hour");
await visit("/dashboard/mcp-servers");
await visit("/dashboard/mcp-servers/new");
for (const tab of ["", "/clients", "/clients/new", "/scopes", "/metadata", "/metadata?check=now", "/activity", "/settings"]) await visit(server + tab);
// A scope that a client has, about to be removed; a client without one; a URL that is retired.
await page.goto(`${url}${server}/scopes`);
await page.getByLabel("Remove todo:read").check();
await page.getByRole("button", { name: "Save" }).click();
await page.getByText("1 client loses scopes").waitFor();
await inspect("a removal that has to be confirmed");
await page.getByLabel("Do it anyway").check();
await page.getByRole("button", { name: "Save" }).click();
await page.getByText(/^Scopes of .* saved\.$/).waitFor();
await inspect("what was just done");
await addMcpServer(page, { name: "Gone", url: "http://localhost:2/mcp", scopes: [["x", ""]] });
await page.getByRole("navigation", { name: "MCP server" }).getByRole("link", { name: "Settings" }).click();
await page.getByRole("link", { name: "Delete Gone" }).click();
await inspect("deleting an MCP server");
await page.getByLabel("To confirm, type Gone").fill("Gone");
await page.getByRole("button", { name: "Delete Gone" }).click();
await page.getByRole("heading", { name: "Retired URLs" }).waitFor();
await inspect("a retired URL");
await visit("/dashboard/clients");
await visit(`/dashboard/clients?q=${encodeURIComponent("\"><script>")}`);
for (const tab of ["", "/try", "/try?run=yes", "/try?run=yes&scope=%3Cb%3E", "/activity", "/settings"]) await visit(`/dashboard/clients/${client.id}${tab}`);
await visit("/dashboard/audit");
await visit(`/dashboard/audit?q=${encodeURIComponent("<b>")}&client=oops&since=never`);
await visit("/dashboard/audit?live=yes");
await visit("/dashboard/audit?outcome=refused&within=24h&q=todo");
await visit("/dashboard/find?q=todo");
await visit("/dashboard/audit/5");
const refusals = await context.request.get(`${url}/dashboard/audit?kind=client.created`);
await visit((await refusals.text()).match(/\/dashboard\/audit\/\d+/)[0]);
await visit("/dashboard/signing-keys");
await visit("/dashboard/signing-keys/replace?algorithm=RS256");
for (const question of ["disable", "delete", "revoke-tokens", "secrets/rotate"]) await visit(`/dashboard/clients/${client.id}/${question}`);
for (const question of ["Revoke the secret", "Remove access"]) {
  await page.goto(`${url}/dashboard/clients/${client.id}`);
  const link = page.getByRole("link", { name: question }).first();
  if (!(await link.isVisible())) await page.locator("#grants summary").first().click();
  await link.click();
  await inspect(question);
}
await visit("/dashboard/settings");
await visit("/dashboard/settings/second-factor");
await visit("/dashboard/settings/second-factor/one-time-codes");
await page.getByLabel("Code", { exact: true }).fill("000000");
await page.getByRole("button", { name: "Turn on" }).click();
await inspect("a code that does not match");
const { codes } = await setUpOneTimeCodes(page, url);
equal(codes.length, 10, "recovery codes");
await inspect("recovery codes");
await visit("/dashboard/settings/second-factor");
equal(await page.locator("#recovery-codes").count(), 0, "recovery codes are shown once");
await visit("/dashboard/nothing-here");
await page.goto(`${url}/dashboard/mcp-servers/new`);
await page.getByRole("dialog").getByLabel("URL").fill("x");
await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("x");
await page.getByRole("dialog").getByRole("button", { name: "Add MCP server" }).click();
await inspect("a form with a mistake");
equal(await page.locator("img, script:not([src])").count(), 0, "elements that came from names");
await page.goto(`${url}/dashboard`);
equal(await page.title(), "Overview · Jeton", "the title");
await page.getByRole("button", { name: "Sign out" }).click();
await visit("/dashboard/sign-in");
await signIn(page, url);
await page.getByRole("heading", { name: "Enter a code" }).waitFor();
await inspect("asking for a code");
await page.getByLabel("Code", { exact: true }).fill("nonsense");
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByText("This code doesn't work").waitFor();
await inspect("a code that does not work");
await page.getByLabel("Code", { exact: true }).fill(codes[0]);
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByRole("heading", { name: "Overview" }).waitFor();

// By keyboard alone: the first Tab leads past the navigation, Escape closes a sheet.
equal(page.complaints.join("\n"), "", "what the browser complained of");
weights.sort((one, two) => two[1] - one[1]);
console.error(`heaviest pages: ${weights.slice(0, 3).map(([path, bytes]) => `${path} ${bytes}`).join(", ")}`);
check(problems.length === 0, problems.join("\n"));
await browser.close();
