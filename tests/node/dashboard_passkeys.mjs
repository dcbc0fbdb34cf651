// Passkeys in a real browser with a virtual authenticator: registering, signing in, removing.
//   node dashboard_passkeys.mjs URL FIRST_ADMIN_LINK
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { check, equal, launch, open, setUp, signIn } from "./dashboard.mjs";

const [url, link] = process.argv.slice(2);
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await launch();
const context = await browser.newContext();
const page = await open(context);
const devtools = await context.newCDPSession(page);
await devtools.send("WebAuthn.enable");
const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", {
  options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
});
// While somebody is there, what the browser offers beside the email field is taken at once.
const setPresent = (enabled) => devtools.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId, enabled });
const setVerified = (isUserVerified) => devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });

const problems = [];
async function inspect(name) {
  for (const colorScheme of ["light", "dark"]) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await page.setViewportSize({ width, height: 900 });
      const { violations } = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })`);
      for (const { id, nodes } of violations) problems.push(`${name} ${colorScheme} ${width}: ${id}: ${nodes[0].html.slice(0, 160)}`);
      const isWide = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      if (isWide) problems.push(`${name} ${width}: wider than the window`);
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
}

const settings = `${url}/dashboard/settings/second-factor`;
const signOut = async () => {
  await page.goto(`${url}/dashboard`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
};
// By the button, unless what the browser offered was taken before it is clicked.
const useIt = async () => {
  await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor();
  await setPresent(true);
  await page.evaluate(() => document.querySelector("form[data-passkey] button")?.click()).catch(() => {});
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await setPresent(false);
};

await setUp(page, link);
await page.goto(settings);
await inspect("two-step sign-in");
await page.getByRole("link", { name: "Add a passkey" }).click();
await inspect("adding a passkey");
await page.getByLabel("Name", { exact: true }).fill("This laptop");
await page.getByRole("button", { name: "Create passkey" }).click();
await page.locator("#recovery-codes").waitFor();
await inspect("a passkey and recovery codes");
const { credentials } = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
equal(credentials.length, 1, "passkeys in the authenticator");
check(credentials[0].isResidentCredential && credentials[0].rpId === "localhost", "it is discoverable, for this host");

// The same device again.
await page.goto(`${settings}/passkeys/new`);
await page.getByLabel("Name", { exact: true }).fill("Again");
await page.getByRole("button", { name: "Create passkey" }).click();
await page.getByText("This device already has a passkey").waitFor();
await inspect("a passkey that is there already");

await setPresent(false);
await signOut();
await inspect("signing in");
await useIt();

// The password is not enough any more; on the page that asks for a code, the passkey is.
await signOut();
await signIn(page, url);
await page.getByRole("heading", { name: "Enter a code" }).waitFor();
await inspect("asking for a code or a passkey");
await useIt();

// Where somebody is not verified, nobody signs in.
await signOut();
await setVerified(false);
await setPresent(true);
await page.getByRole("button", { name: "Sign in with a passkey" }).click();
await page.getByText("No passkey was used").waitFor();
await setPresent(false);
await setVerified(true);
await useIt();

// Removing it is a change of how one signs in; that was confirmed by signing in a moment ago.
await page.goto(settings);
await page.getByRole("link", { name: "Remove This laptop" }).click();
await page.getByText("It is your last second step").waitFor();
await inspect("removing a passkey");
await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
await page.getByText("The passkey was removed.").first().waitFor();
await signOut();
await signIn(page, url);
await page.getByRole("heading", { name: "Overview" }).waitFor();

equal(page.complaints.join("\n"), "", "what the browser complained of");
check(problems.length === 0, problems.join("\n"));
await browser.close();
