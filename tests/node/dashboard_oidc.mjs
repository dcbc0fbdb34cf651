// Signing in to the dashboard through a real OpenID Connect provider (node-oidc-provider):
//   node dashboard_oidc.mjs URL PROVIDER_PORT CLIENT_SECRET
// Prints the session cookies of ada and vera.
import Provider from "oidc-provider";
import { check, equal, launch, open } from "./dashboard.mjs";

const [url, port, clientSecret] = process.argv.slice(2);
console.warn = () => {}; // The provider warns that its keys and pages are for development.
// What the provider says of an account later.
const changed = {};
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id: "jeton", client_secret: clientSecret, redirect_uris: [`${url}/dashboard/oidc/callback`] }],
  claims: { email: ["email", "email_verified"], profile: ["name"] },
  // The claims of the scopes come in the ID token, as with most providers.
  conformIdTokenClaims: false,
  // Who signs in as "vera" has the address vera@example.com; "unverified-…" has one that is not checked,
  // and "heir-of-vera" is another account, which was given the same address.
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => changed[id] ?? ({ sub: id, name: `Name of ${id}`, email: `${id.replace(/^(unverified-|heir-of-)/, "")}@${id.includes("stranger") ? "elsewhere.test" : "example.com"}`, email_verified: !id.startsWith("unverified") }),
  }),
});
// How often its metadata and keys are fetched.
let fetched = 0;
provider.use(async (context, next) => {
  if (context.path.startsWith("/.well-known/") || context.path === "/jwks") fetched += 1;
  await next();
});
const listening = provider.listen(Number(port), "127.0.0.1");

const browser = await launch();
async function signInAs(name) {
  const page = await open(await browser.newContext());
  await page.goto(`${url}/dashboard/clients`);
  await page.getByRole("link", { name: "Sign in with Example" }).click();
  await page.locator("input[name=login]").fill(name);
  await page.locator("input[name=password]").fill("any");
  await page.locator("button[type=submit]").click();
  await page.getByRole("button", { name: /continue/i }).click();
  await page.waitForURL(`${url}/**`);
  return page;
}

const ada = await signInAs("ada");
await ada.getByRole("heading", { name: "Clients" }).waitFor();
check((await ada.textContent(".who")).includes("Admin"), "ada is on the list of admins");
check((await ada.textContent(".who")).includes("Name of ada"), "her name comes from the provider");
const vera = await signInAs("vera");
check((await vera.textContent(".who")).includes("Viewer"), "others of the domain are viewers");
const stranger = await signInAs("stranger");
await stranger.getByText("may not use this dashboard").waitFor();
const unverified = await signInAs("unverified-ada");
await unverified.getByText("may not use this dashboard").waitFor();
const heir = await signInAs("heir-of-vera");
await heir.getByText("may not use this dashboard").waitFor();

// A provider that leaves the address out once takes nothing away; one that says another address does, until it
// says the listed one again.
for (const claims of [{ sub: "vera" }, { sub: "vera", email: "vera@example.com" }]) {
  changed.vera = claims;
  await (await signInAs("vera")).getByText("may not use this dashboard").waitFor();
  await vera.reload();
  check((await vera.textContent(".who")).includes("Viewer"), "her session goes on");
}
changed.vera = { sub: "vera", email: "vera@elsewhere.test", email_verified: true };
await (await signInAs("vera")).getByText("may not use this dashboard").waitFor();
await vera.reload();
await vera.getByRole("heading", { name: "Sign in" }).waitFor();
delete changed.vera;
const back = await signInAs("vera");
check((await back.textContent(".who")).includes("Viewer"), "she is back on the list");

// However many begin to sign in, the provider is asked once for its metadata, and once for its keys.
for (let hits = 0; hits < 50; hits++) {
  const answer = await fetch(`${url}/dashboard/oidc/start`, { redirect: "manual" });
  equal(answer.status, 303, "begins");
}
equal(fetched, 2, "fetches of metadata and keys");

// An answer that belongs to no sign-in of this browser's begins no session.
const forged = await open(await browser.newContext());
equal((await forged.goto(`${url}/dashboard/oidc/callback?code=x&state=y`)).status(), 400, "no sign-in under way");
await forged.goto(`${url}/dashboard/oidc/start`);
equal((await forged.goto(`${url}/dashboard/oidc/callback?code=x&state=y`)).status(), 400, "another state");
await forged.goto(`${url}/dashboard`);
await forged.getByRole("heading", { name: "Sign in" }).waitFor();
const sessions = {};
for (const [name, page] of Object.entries({ ada, vera: back })) {
  const cookie = (await page.context().cookies()).find(({ name }) => name.endsWith("jeton_session"));
  sessions[name] = `${cookie.name}=${cookie.value}`;
}
console.log(JSON.stringify(sessions));
await browser.close();
listening.close();
process.exit(0);
