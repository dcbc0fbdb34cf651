// Many scopes on one server: node dashboard_scopes.mjs URL FIRST_ADMIN_LINK SERVER_ID
// Prints the ID of the client that was made.
import { check, equal, launch, open, setUp } from "./dashboard.mjs";

const [url, link] = process.argv.slice(2);
const browser = await launch();
const page = await open(await browser.newContext({ viewport: { width: 1280, height: 900 } }));
await setUp(page, link);
await page.getByRole("link", { name: "MCP Servers", exact: true }).first().click();
await page.locator("td a.row").first().click();
await page.getByRole("link", { name: "Create Client" }).first().click();
const sheet = page.getByRole("dialog");
await sheet.getByText("0 of 120 selected").waitFor();
// The button is in view however long the list is.
const height = await sheet.evaluate((element) => element.scrollHeight);
check(height < 1400, `the sheet is ${height} pixels high`);
const button = await sheet.getByRole("button", { name: "Create Client" }).boundingBox();
check(button.y + button.height <= 900, `the button is in view: ${JSON.stringify(button)}`);
await sheet.getByLabel("Filter scopes").fill("issues:");
equal(await sheet.getByRole("checkbox").count(), 40, "what the filter leaves");
equal(await sheet.locator(".scope-group:visible").count(), 1, "groups with something left");
await sheet.getByRole("button", { name: "Select all" }).click();
await sheet.getByText("40 of 120 selected").waitFor();
await sheet.getByLabel("Filter scopes").fill("");
equal(await sheet.getByRole("checkbox").count(), 120, "without a filter");
await sheet.getByLabel("issues:7", { exact: true }).uncheck();
await sheet.getByText("39 of 120 selected").waitFor();
await sheet.getByRole("button", { name: "Select none" }).click();
await sheet.getByText("0 of 120 selected").waitFor();
await sheet.getByLabel("wiki:3", { exact: true }).check();
await sheet.getByLabel("Name", { exact: true }).fill("Agent");
await sheet.getByRole("button", { name: "Create Client" }).click();
await page.locator("#client-id").waitFor();
await sheet.getByText("1 of 120 selected").waitFor();
console.log((await page.locator("#client-id").textContent()).trim());
equal(page.complaints.join("\n"), "", "what the browser complained of");
await browser.close();
