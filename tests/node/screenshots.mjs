// Takes pictures of every page: node screenshots.mjs URL FIRST_ADMIN_LINK FOLDER [MCP_URL]
import { addMcpServer, createClient, launch, oneTimeCode, open, requestToken, setUp, signIn } from "./dashboard.mjs";
import { shooter } from "./shoot.mjs";

const [url, link, folder, mcpUrl = "http://localhost:3002/mcp"] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
const page = await open(context);
const join = link;

const shoot = await shooter(page, url, folder);
// A device with passkeys, whose owner is there when asked to be.
const devtools = await context.newCDPSession(page);
await devtools.send("WebAuthn.enable");
const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});

await shoot("sign-in", "/dashboard/sign-in");
await shoot("set-up", new URL(join).pathname);
await setUp(page, join);
await shoot("overview-empty", "/dashboard");
await addMcpServer(page, {
  name: "Todo list", url: mcpUrl,
  scopes: [["todo:read", "See todos"], ["todo:write", "Create, change and delete todos"]],
});
const server = new URL(page.url()).pathname;
await shoot("clients-empty", `${server}/clients`);
const made = [];
for (const [name, scopes] of [["Nightly report", ["todo:read"]], ["Support agent", ["todo:read", "todo:write"]], ["Old importer", ["todo:read"]]]) {
  await page.goto(url + server);
  made.push(await createClient(page, { name, scopes }));
}
await page.goto(url + server);
const shown = await createClient(page, { name: "Code review agent", scopes: ["todo:read"] });
await shoot("client-created");
made.push(shown);
await page.goto(url + server);
await addMcpServer(page, { name: "Company wiki", url: "https://wiki.example.com/mcp", scopes: [["wiki:search", "Search all pages"], ["wiki.page/edit", "Edit pages"]] });
for (let round = 0; round < 60; round += 1) await requestToken(url, made[round % 2]);
for (let round = 0; round < 7; round += 1) await requestToken(url, made[3], { scope: "todo:write" });
await requestToken(url, { ...made[1], secret: "wrong" });
const client = `/dashboard/clients/${made[1].id}`;
await shoot("overview", "/dashboard");
await shoot("mcp-servers", "/dashboard/mcp-servers");
await shoot("mcp-server-new", "/dashboard/mcp-servers/new");
for (const tab of ["", "/clients", "/scopes", "/metadata?check=now", "/activity", "/settings"]) {
  await shoot(`mcp-server-${tab.replace(/[/?=]/g, "").replace("checknow", "") || "overview"}`, server + tab);
}
await shoot("client-new", `${server}/clients/new`);
await shoot("clients", "/dashboard/clients");
for (const tab of ["", "/try?run=yes&scope=todo%3Aread", "/activity", "/settings"]) {
  await shoot(`client-${tab.split("?")[0].slice(1) || "overview"}`, client + tab);
}
await shoot("client-revoke", `${client}/disable`);
await page.goto(`${url}${client}/secrets/rotate`);
await shoot("client-rotate");
await page.getByRole("dialog").getByRole("button", { name: "Rotate", exact: true }).click();
await page.locator("#client-secret").waitFor();
await shoot("client-rotated");
await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();
await page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
await shoot("audit", "/dashboard/audit");
await shoot("audit-event", "/dashboard/audit/20");
await shoot("signing-keys", "/dashboard/signing-keys");
await shoot("settings", "/dashboard/settings");
const twoSteps = `${url}/dashboard/settings/second-factor`;
await page.goto(`${twoSteps}/passkeys/new`);
await page.getByLabel("Name", { exact: true }).fill("This laptop");
await shoot("passkey-new");
await page.getByRole("button", { name: "Create passkey" }).click();
await page.locator("#recovery-codes").waitFor();
await page.goto(`${twoSteps}/one-time-codes`);
await shoot("one-time-codes");
const secret = (await page.locator("#one-time-secret").textContent()).trim();
await page.getByLabel("Code", { exact: true }).fill(oneTimeCode(secret));
await page.getByRole("button", { name: "Turn on" }).click();
await page.getByText("10 of 10 left").waitFor();
await shoot("two-step", "/dashboard/settings/second-factor");
await shoot("two-step-remove", "/dashboard/settings/second-factor/one-time-codes/remove");
await shoot("not-found", "/dashboard/nothing");
await devtools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled: false });
await page.goto(`${url}/dashboard`);
await page.getByRole("button", { name: "Sign out" }).click();
await page.getByRole("heading", { name: "Sign in" }).waitFor();
await signIn(page, url);
await page.getByRole("heading", { name: "Enter a code" }).waitFor();
await shoot("sign-in-code");
if (page.complaints.length) console.error("complaints:", page.complaints);
await browser.close();
