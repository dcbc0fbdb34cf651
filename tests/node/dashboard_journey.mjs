// An operator's journey through the dashboard, in a real browser:
//   node dashboard_journey.mjs URL FIRST_ADMIN_LINK MCP_URL [no-javascript]
// Prints one JSON document for the test that started it: the client's credentials.
import {
  PASSWORD, addMcpServer, check, createClient, equal, launch, open, requestToken, setUp, signIn,
} from "./dashboard.mjs";

const [url, link, mcpUrl, mode] = process.argv.slice(2);
const javaScriptEnabled = mode !== "no-javascript";
const browser = await launch();
const context = await browser.newContext({ javaScriptEnabled });
if (javaScriptEnabled) await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
const page = await open(context);

// Everything that the server sends after the secret was shown is searched for it.
const later = [];
let recording = false;
page.on("response", async (response) => {
  if (!recording) return;
  later.push(JSON.stringify(response.headers()));
  later.push(await response.text().catch(() => ""));
});

// First run, sign-out, sign-in.
await setUp(page, link);
const used = await page.goto(link);
equal(used.status(), 410, "the link works once");
await page.goto(`${url}/dashboard`);
await page.getByRole("button", { name: "Sign out" }).click();
await page.getByRole("heading", { name: "Sign in" }).waitFor();
await page.goto(`${url}/dashboard/clients`);
await page.getByRole("heading", { name: "Sign in" }).waitFor();
await page.getByLabel("Email").fill("ada@example.com");
await page.getByLabel("Password").fill("not the password");
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByText("The e-mail address or the password is wrong.").waitFor();
await page.getByLabel("Password").fill(PASSWORD);
await page.getByRole("button", { name: "Sign in" }).click();
await page.getByRole("heading", { name: "Clients" }).waitFor();

// MCP Servers: add one, with a mistake first.
await page.getByRole("link", { name: "MCP Servers" }).first().click();
await page.getByRole("link", { name: "Add MCP server" }).first().click();
await page.getByRole("dialog").getByLabel("Name", { exact: true }).fill("Todo");
await page.getByRole("dialog").getByLabel("URL").fill("javascript:alert(1)");
await page.getByRole("dialog").getByRole("button", { name: "Add MCP server" }).click();
equal(await page.locator("#url").getAttribute("aria-invalid"), "true", "a URL that is none is refused at its field");
equal(await page.locator("#name").inputValue(), "Todo", "what was typed stays");
// The rest of the page is inert behind a sheet, and leaving what was typed asks with the script.
await page.getByRole("dialog").getByRole("link", { name: "Close" }).click();
if (javaScriptEnabled) {
  await page.getByRole("heading", { name: "Discard what you entered?" }).waitFor();
  await page.getByRole("button", { name: "Keep editing" }).click();
  equal(await page.locator("#name").inputValue(), "Todo", "what was typed is still there");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Discard" }).click();
}
await page.getByRole("dialog").waitFor({ state: "detached" });
await addMcpServer(page, {
  name: "Todo", url: mcpUrl,
  scopes: [["todo:read", "See todos"], ["todo:write", "Change todos"]],
});

// The mission's clicks: open MCP Servers, select the server, Clients tab, Create Client.
await page.getByRole("link", { name: "MCP Servers", exact: true }).first().click();
await page.getByRole("link", { name: "Todo", exact: true }).click();
const shown = await createClient(page, { name: "Agent", scopes: ["todo:read"] });
equal(await page.getByRole("heading", { name: "Agent is ready" }).count(), 1, "a client with a scope is ready");
check((await page.getByRole("dialog").textContent()).includes("not shown again"), "the page says that the secret is not shown again");
if (javaScriptEnabled) {
  await page.getByRole("button", { name: `Copy ${shown.id}` }).last().click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), shown.id, "the copied client ID");
  await page.getByRole("button", { name: `Copy ${shown.secret}` }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), shown.secret, "the copied secret");
  const curl = await page.locator("#snippet-curl").textContent();
  check(curl.includes(shown.secret) && curl.includes(shown.id), "the curl line has the real values");
  for (const id of ["jeton-call", "rust"]) {
    const code = await page.locator(`#snippet-${id}`).textContent();
    check(code.includes(shown.secret) && code.includes(url), `${id} says which issuer the secret belongs to`);
  }
} else {
  equal(await page.locator(".copy:visible").count(), 0, "no copy buttons that do nothing");
}
// Save keeps the sheet and the secret, and rewrites the code.
const sheet = page.getByRole("dialog");
const sheetUrl = page.url();
await sheet.getByLabel("todo:write").check();
await sheet.getByRole("button", { name: "Save" }).click();
await page.getByText("Scopes saved").waitFor();
equal((await page.locator("#client-secret").textContent()).trim(), shown.secret, "the secret is still shown after Save");
check((await page.locator("#snippet-curl").textContent()).includes("todo:read todo:write"), "the code has the scopes that were saved");
// Leaving asks where nothing was copied; with the script, having copied is enough.
if (!javaScriptEnabled) {
  for (const button of ["Close", "Open the client", "Done"]) {
    await sheet.getByRole("button", { name: button }).click();
    await page.getByText("Have you copied the secret?").waitFor();
    equal((await page.locator("#client-secret").textContent()).trim(), shown.secret, `the secret is still shown after ${button}`);
  }
}
await sheet.getByRole("button", { name: javaScriptEnabled ? "Done" : "Leave" }).click();
await sheet.waitFor({ state: "detached" });
recording = true;
await page.goBack();
check(!(await page.content()).includes(shown.secret), "going back does not show the secret again");
await page.goto(sheetUrl);
check(!(await page.content()).includes(shown.secret), "the sheet does not show the secret again");
await page.goto(`${url}/dashboard/clients`);

const token = await requestToken(url, shown);
equal(token.status, 200, "the token request with what the page displayed");
equal(token.scope, "todo:read todo:write", "the scopes that were saved");

// The client's page: rotation, revocation, disabling, each proven at the token endpoint.
await page.getByRole("link", { name: "Agent", exact: true }).click();
await page.getByRole("heading", { name: "Agent", exact: true }).waitFor();
recording = false;
await page.getByRole("link", { name: "Rotate", exact: true }).click();
await page.getByRole("dialog").getByLabel("24 hours").waitFor();
await page.getByRole("dialog").getByRole("button", { name: "Rotate", exact: true }).click();
const rotated = { ...shown, secret: (await page.locator("#client-secret").textContent()).trim() };
// Whatever is clicked, it is not lost before it was copied: the page is out of reach behind it, and leaving asks.
equal(await page.locator(".frame[inert]").count(), 1, "everything else is out of reach");
for (const button of ["Close", "Done"]) {
  await page.getByRole("dialog").getByRole("button", { name: button }).click();
  await page.getByText("Have you copied it?").waitFor();
  equal((await page.locator("#client-secret").textContent()).trim(), rotated.secret, `the new secret is still shown after ${button}`);
}
if (javaScriptEnabled) {
  await page.keyboard.press("Escape");
  await page.getByText("Have you copied it?").waitFor();
  await page.getByRole("button", { name: `Copy ${rotated.secret}` }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), rotated.secret, "the copied new secret");
}
await page.getByRole("dialog").getByRole("button", { name: javaScriptEnabled ? "Done" : "Leave" }).click();
await page.getByRole("dialog").waitFor({ state: "detached" });
for (const again of [() => page.goBack(), () => page.goForward(), () => page.reload(), () => page.goto(`${url}/dashboard/clients/${shown.id}`)]) {
  await again();
  check(!(await page.content()).includes(rotated.secret), "the new secret is shown once");
}
equal((await requestToken(url, rotated)).status, 200, "the new secret works");
equal((await requestToken(url, shown)).status, 200, "the old one works on, for its grace");
recording = true;
await page.getByRole("link", { name: `Revoke the secret ending in ${shown.secret.slice(-4)}` }).click();
await page.getByText("The other secret of Agent keeps working.").waitFor();
await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
await page.getByText("It no longer works.").waitFor();
equal((await requestToken(url, shown)).error, "invalid_client", "the revoked secret");
equal((await requestToken(url, rotated)).status, 200, "the other one still works");
// Its only working secret: the sheet says so in numbers, and offers the safer way.
await page.getByRole("link", { name: `Revoke the secret ending in ${rotated.secret.slice(-4)}` }).click();
await page.getByText(/It is the only working secret of Agent: \d+ tokens in the last 24 hours/).waitFor();
await page.getByRole("link", { name: "Rotate instead" }).click();
await page.getByRole("dialog").getByRole("link", { name: "Cancel" }).click();
await page.getByRole("link", { name: "Disable" }).click();
await page.getByText(/\d+ tokens in the last 24 hours/).waitFor();
await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
await page.getByText("Agent is disabled").waitFor();
equal((await requestToken(url, rotated)).error, "invalid_client", "a disabled client");
await page.getByRole("button", { name: "Undo" }).click();
await page.getByText("Agent is enabled").waitFor();
await page.reload();
equal(await page.getByText("Agent is enabled").count(), 0, "what was done is told once");
equal((await requestToken(url, rotated)).status, 200, "an enabled client");

// A second grant, on another server.
await addMcpServer(page, { name: "Notes", url: "https://notes.example.com/mcp", scopes: [["notes:read", ""]] });
await page.goto(`${url}/dashboard/clients/${shown.id}`);
await page.getByText("Add a grant on another MCP server").click();
await page.getByRole("button", { name: "Choose its scopes" }).click();
await page.getByRole("dialog").getByLabel("notes:read").check();
await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
await page.getByText("Agent can use Notes: notes:read.").waitFor();
equal((await requestToken(url, rotated)).status, 200, "without a resource, the default MCP server");
equal((await requestToken(url, rotated, { resource: "https://notes.example.com/mcp" })).scope, "notes:read", "the second grant");
await page.getByRole("group").filter({ hasText: "notes:read" }).locator("summary").click();
await page.getByRole("button", { name: "Make Notes the default" }).click();
await page.getByText("Notes is the default").waitFor();
equal((await requestToken(url, rotated)).scope, "notes:read", "the new default");
await page.getByRole("group").filter({ hasText: "notes:read" }).locator("summary").click();
await page.getByRole("link", { name: "Remove access" }).last().click();
await page.getByText("It is the default").waitFor();
await page.getByRole("dialog").getByRole("button", { name: "Remove access" }).click();
await page.getByText("Agent can no longer use Notes.").waitFor();
await page.getByRole("button", { name: "Undo" }).click();
await page.getByText("Agent can use Notes: notes:read.").waitFor();
await page.getByRole("button", { name: "Undo" }).click();
await page.getByText("Agent can no longer use Notes.").waitFor();
equal((await requestToken(url, rotated)).status, 200, "one grant again");

// A page that somebody else overtook: nothing is overwritten, what was ticked stays, and saving again works.
const other = await open(context);
await page.goto(`${url}/dashboard/clients/${shown.id}`);
await other.goto(page.url());
for (const [one, box, lost, outcome] of [
  [other, "todo:write", "todo:write", "Scopes on Todo saved"],
  [page, "todo:read", "", "Ada Admin changed this"],
  [page, "anyway", "todo:read", "Scopes on Todo saved"],
]) {
  const group = one.getByRole("group").filter({ hasText: "todo:read" });
  if (!(await group.locator("form").first().isVisible())) await group.locator("summary").click();
  if (box !== "anyway") await group.getByLabel(box).click();
  await group.getByRole("button", { name: box === "anyway" ? "Save anyway" : "Save" }).click();
  if (lost) {
    // The client got tokens today.
    await one.getByText(new RegExp(`It loses ${lost} on`)).waitFor();
    await group.getByLabel("Do it anyway").check();
    await group.getByRole("button", { name: "Save" }).click();
  }
  await one.getByText(outcome).waitFor();
}
equal((await requestToken(url, rotated)).scope, "todo:write", "what was ticked last");
await page.getByRole("group").filter({ hasText: "todo:read" }).locator("summary").click();
await page.getByRole("group").filter({ hasText: "todo:read" }).getByLabel("todo:read").check();
await page.getByRole("group").filter({ hasText: "todo:read" }).getByRole("button", { name: "Save" }).click();
await page.getByText("Scopes on Todo saved").waitFor();
await other.close();

// Try it: the same rules, nothing issued.
await page.getByRole("navigation", { name: "Client" }).getByRole("link", { name: "Try it" }).click();
await page.getByLabel("More scopes").fill("todo:read");
await page.getByRole("button", { name: "Try it" }).click();
await page.getByText("A token would be issued.").waitFor();
const claims = JSON.parse(await page.locator("#claims").textContent());
equal(claims.client_id, shown.id, "the previewed client_id");
equal(claims.scope, "todo:read", "the previewed scope");
await page.getByRole("radio", { name: /Todo/ }).check();
await page.getByRole("checkbox", { name: /todo:read/ }).check();
await page.getByLabel("More scopes").fill("todo:admin");
await page.getByLabel("Check a secret").fill(rotated.secret);
await page.getByRole("button", { name: "Try it" }).click();
await page.getByText("Would be refused").waitFor();
await page.getByText("invalid_scope").waitFor();
await page.getByText(`…${rotated.secret.slice(-4)}`).waitFor();

// Activity and the audit log tell what happened; one event has an address of its own.
await page.getByRole("navigation", { name: "Client" }).getByRole("link", { name: "Activity" }).click();
await page.getByText("secret.rotated").waitFor();
await page.getByRole("link", { name: "Audit log" }).first().click();
await page.getByText("More filters").click();
await page.getByLabel("Event", { exact: true }).selectOption("client.disabled");
await page.getByRole("button", { name: "Apply filters" }).click();
await page.getByText("1 event matches").waitFor();
await page.locator(".log").getByRole("link", { name: "Client disabled" }).click();
await page.getByRole("heading", { name: "Client disabled" }).waitFor();
check((await page.textContent("main")).includes("Ada Admin"), "the event names the admin");

// The live check of the MCP server, which runs.
await page.getByRole("link", { name: "MCP Servers", exact: true }).first().click();
await page.getByRole("link", { name: "Todo", exact: true }).click();
await page.getByRole("navigation", { name: "MCP server" }).getByRole("link", { name: "Metadata" }).click();
await page.getByRole("link", { name: "Check now" }).click();
await page.locator("#checks").waitFor();
equal(await page.locator("#checks .status.bad").count(), 0, "checks that failed");

// Rotating a signing key publishes the next one and changes nothing for tokens.
const before = (await (await fetch(`${url}/keys`)).json()).keys.length;
await page.getByRole("link", { name: "Signing keys" }).first().click();
await page.getByRole("button", { name: "Rotate RS256" }).click();
await page.getByText("is published. It starts signing in 24 hours.").waitFor();
equal((await (await fetch(`${url}/keys`)).json()).keys.length, before + 1, "published keys");
equal((await requestToken(url, rotated)).status, 200, "tokens are issued as before");
// The next key can be withdrawn, and one that leaked replaced at once.
await page.getByRole("link", { name: /^Withdraw/ }).click();
await page.getByRole("dialog").getByRole("button", { name: "Withdraw" }).click();
await page.getByText("It never signed.").waitFor();
equal((await (await fetch(`${url}/keys`)).json()).keys.length, before, "published keys after withdrawing");
await page.getByRole("link", { name: "Replace now the RS256 key" }).click();
await page.getByText(/MCP servers? uses? RS256/).waitFor();
await page.getByLabel("To confirm, type RS256").fill("ES256");
await page.getByRole("button", { name: "Replace the RS256 key now" }).click();
await page.getByText("Nothing was replaced").waitFor();
await page.getByLabel("To confirm, type RS256").fill("RS256");
await page.getByRole("button", { name: "Replace the RS256 key now" }).click();
await page.getByText("RS256 tokens are signed with").waitFor();
equal((await requestToken(url, rotated)).status, 200, "tokens are issued with the new key");

// A viewer joins by a link, sees everything and finds nothing to change.
await page.getByRole("link", { name: "Settings", exact: true }).first().click();
await page.getByText("Invite someone").click();
await page.getByLabel("Who is it for?").fill("Vera");
await page.getByRole("button", { name: "Create invitation link" }).click();
const invitation = (await page.locator("#invitation-link").textContent()).trim();
const viewer = await open(await browser.newContext({ javaScriptEnabled }));
await setUp(viewer, invitation, { name: "Vera Viewer", email: "vera@example.com" });
for (const path of ["/dashboard/mcp-servers", `/dashboard/clients/${shown.id}`, "/dashboard/signing-keys", "/dashboard/settings"]) {
  await viewer.goto(url + path);
  for (const words of ["Create Client", "Add MCP server", "Rotate", "Revoke", "Disable", "Delete", "Invite", "Replace", "Remove access"]) {
    equal(await viewer.locator("main").getByRole("button", { name: words }).or(viewer.locator("main").getByRole("link", { name: words })).count(), 0, `${words} on ${path} for a viewer`);
  }
}

// Deleting asks for the name.
await page.goto(`${url}/dashboard/clients/${shown.id}/settings`);
await page.getByRole("link", { name: "Delete Agent" }).click();
await page.getByRole("link", { name: "Disable instead" }).waitFor();
await page.getByLabel("To confirm, type Agent").fill("agent");
await page.getByRole("button", { name: "Delete Agent" }).click();
await page.getByText("Nothing was deleted").waitFor();
equal((await requestToken(url, rotated)).status, 200, "nothing was deleted");

// Signing out everywhere ends other sessions too.
const elsewhere = await open(await browser.newContext({ javaScriptEnabled }));
await signIn(elsewhere, url);
await elsewhere.getByRole("heading", { name: "Overview" }).waitFor();
await page.goto(`${url}/dashboard/settings`);
await page.getByRole("button", { name: "Sign out everywhere" }).click();
await page.getByText("You are signed out on all devices.").waitFor();
await elsewhere.reload();
await elsewhere.getByRole("heading", { name: "Sign in" }).waitFor();

for (const body of later) check(!body.includes(shown.secret), "the server sent the secret again");
for (const one of [page, viewer, elsewhere]) equal(one.complaints.join("\n"), "", "what the browser complained of");
console.log(JSON.stringify({ client_id: rotated.id, client_secret: rotated.secret }));
await browser.close();
