// What the browser's scripts share: Debian's Chromium, and the clicks of an operator.
import { createHmac } from "node:crypto";
import { chromium } from "playwright-core";

export const PASSWORD = "correct horse battery staple";

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export function check(condition, words) {
  if (!condition) throw new Error(words);
}

export function equal(found, expected, words) {
  check(found === expected, `${words}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(found)}`);
}

// A page that remembers everything the server sent, and fails on whatever the browser complains of.
export async function open(context) {
  const page = await context.newPage();
  // A machine with much to do is slow, and nothing here goes by time.
  page.setDefaultTimeout(120_000);
  page.complaints = [];
  page.bodies = [];
  page.on("console", (message) => {
    // That a form was refused is told by the page too.
    if (message.type() === "error" && !message.text().includes("Failed to load resource")) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  return page;
}

// The link of the first start: name, e-mail, password.
export async function setUp(page, link, { name = "Ada Admin", email = "ada@example.com" } = {}) {
  await page.goto(link);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button").first().click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
}

export async function signIn(page, url, email = "ada@example.com", password = PASSWORD) {
  await page.goto(`${url}/dashboard/sign-in`);
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

// What an authenticator app shows for a secret in base 32 (RFC 6238).
export function oneTimeCode(secret, at = Date.now()) {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigInt64BE(BigInt(Math.floor(at / 30_000)));
  const tag = createHmac("sha1", key).update(step).digest();
  const number = tag.readUInt32BE(tag.at(-1) & 15) & 0x7fffffff;
  return String(number % 1_000_000).padStart(6, "0");
}

// From Settings: one-time codes by a new app; gives its secret and the recovery codes.
export async function setUpOneTimeCodes(page, url) {
  await page.goto(`${url}/dashboard/settings`);
  await page.getByRole("link", { name: "Set up two-step sign-in" }).click();
  await page.getByRole("link", { name: "Set up one-time codes" }).click();
  const secret = (await page.locator("#one-time-secret").textContent()).trim();
  await page.getByLabel("Code", { exact: true }).fill(oneTimeCode(secret));
  await page.getByRole("button", { name: "Turn on" }).click();
  const codes = (await page.locator("#recovery-codes").textContent()).trim().split("\n");
  return { secret, codes };
}

export async function addMcpServer(page, { name, url, scopes }) {
  await page.getByRole("link", { name: "MCP Servers", exact: true }).first().click();
  await page.getByRole("link", { name: "Add MCP server" }).first().click();
  const sheet = page.getByRole("dialog");
  await sheet.getByLabel("Name", { exact: true }).fill(name);
  await sheet.getByLabel("URL").fill(url);
  for (const [index, [scope, description]] of scopes.entries()) {
    if (index && index === await sheet.getByLabel("Scope", { exact: true }).count()) await sheet.getByRole("button", { name: "Add scope" }).click();
    await sheet.getByLabel("Scope", { exact: true }).nth(index).fill(scope);
    await sheet.getByLabel("What it permits").nth(index).fill(description);
  }
  await sheet.getByRole("button", { name: "Add MCP server" }).click();
  await page.getByRole("heading", { name, exact: true }).waitFor();
}

// From a server's page: the Clients tab, Create Client; what is shown then.
export async function createClient(page, { name, scopes }) {
  await page.getByRole("navigation", { name: "MCP server" }).getByRole("link", { name: "Clients" }).click();
  await page.getByRole("link", { name: "Create Client" }).first().click();
  const sheet = page.getByRole("dialog");
  await sheet.getByLabel("Name", { exact: true }).fill(name);
  for (const scope of scopes) await sheet.getByLabel(scope).check();
  await sheet.getByRole("button", { name: "Create Client" }).click();
  await page.locator("#client-secret").waitFor();
  return {
    id: (await page.locator("#client-id").textContent()).trim(),
    secret: (await page.locator("#client-secret").textContent()).trim(),
  };
}

// A token request as an agent makes it.
export async function requestToken(url, { id, secret }, more = {}) {
  const answer = await fetch(`${url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "client_credentials", client_id: id, client_secret: secret, ...more }),
  });
  return { status: answer.status, ...(await answer.json()) };
}
