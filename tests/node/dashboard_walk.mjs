// Walks every page and activates every control on it, as people do: by mouse, or by keyboard where nothing can be
// clicked. Fails on whatever the console says, and on every request that fails:
//   node dashboard_walk.mjs URL FIRST_ADMIN_LINK javascript|no-javascript light|dark WIDTH
import { addMcpServer, check, createClient, launch, open, requestToken, setUp } from "./dashboard.mjs";

const [url, link, mode, colorScheme, width] = process.argv.slice(2);
const javaScriptEnabled = mode !== "no-javascript";
const views = [{ colorScheme, width: Number(width) }];
const browser = await launch();
const context = await browser.newContext({ javaScriptEnabled, reducedMotion: "reduce" });
if (javaScriptEnabled) await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: new URL(url).origin });
const page = await open(context);
const problems = [];
let place = "";
const report = (words) => {
  problems.push(`${place}: ${words}`);
  console.error(problems.at(-1));
};
page.on("dialog", (dialog) => dialog.accept());
page.on("requestfailed", (request) => {
  const why = request.failure()?.errorText;
  // Going elsewhere ends what is under way, and a download is no page.
  if (why !== "net::ERR_ABORTED") report(`${request.url()} failed: ${why}`);
});
page.on("response", (response) => {
  // What was typed may be refused, and what was removed has no page any more.
  const isForm = response.request().isNavigationRequest() && / back to |: button /.test(place);
  if (response.status() >= (isForm ? 500 : 400)) report(`${response.request().method()} ${response.url()}: ${response.status()}`);
});

// What can be activated, and a name for it that is the same on every page of its kind.
// A secret is opened by a device with an app for it.
const CONTROLS = "a[href]:not([href^='otpauth:']), button, summary, input:not([type=hidden]), select, textarea";
async function controls(opened) {
  return page.evaluate(([selector, opened]) => {
    for (const element of document.querySelectorAll("[data-walk]")) delete element.dataset.walk;
    const seen = new Set();
    const found = [];
    // A modal dialog keeps everything else out of reach.
    const root = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document;
    for (const [index, element] of [...root.querySelectorAll(selector)].entries()) {
      element.dataset.walk = index;
      const box = element.getBoundingClientRect();
      // What is in a menu shows when its button opens it.
      const menu = element.closest("[popover]:not(:popover-open)");
      const opener = menu && document.querySelector(`[popovertarget="${menu.id}"]`);
      const opens = Boolean(opener?.checkVisibility()) && !menu.checkVisibility();
      if (element.closest("[inert], [aria-hidden=true]") || element.disabled) continue;
      // Where rows are cards, their headings are for screen readers.
      if ((element.closest("thead")?.getBoundingClientRect().width ?? 2) <= 1) continue;
      if (!opens && (box.width === 0 || box.height === 0 || !element.checkVisibility({ visibilityProperty: true }))) continue;
      const words = (element.labels?.[0] ?? element).textContent.replace(/\s+/g, " ").trim();
      const name = `${element.localName} ${element.type ?? ""} ${element.getAttribute("aria-label") ?? ""} ${words} ${element.name ?? ""}`;
      const kind = name.replace(/(m2m|res|sec|key|adm|inv)_[0-9a-z]{10,}/g, "$1_").replace(/…\S{4}|\b[A-Za-z0-9_-]{30,}\b/g, "…").replace(/[0-9]+/g, "#");
      const place = element.closest(".side, .crumbs, .skip") ? "every page" : "";
      // What was opened once stays open on the way back, and with it what is inside.
      if (element.localName === "summary" && opened.includes(kind)) element.parentElement.open = true;
      // Rows repeat: the first of a kind is enough.
      if (seen.has(kind)) continue;
      seen.add(kind);
      const isValid = () => element.formNoValidate || element.form.checkValidity();
      const leaves = element.localName === "a" ? !element.getAttribute("href").startsWith("#")
        : element.localName === "button" && element.type === "submit" && element.form && isValid();
      // Beyond the edge until the keyboard comes to it.
      const isAway = box.right <= 0;
      found.push({ leaves, isAway, menu: element.closest("[popover]")?.id ?? "", index, place, key: kind, tag: element.localName, type: element.type ?? "", words });
    }
    return found;
  }, [CONTROLS, opened]);
}

const kindOf = (path) => path.replace(/\?.*/, "").replace(/(m2m|res|sec|key|adm|inv)_[0-9a-z]+/g, "$1_").replace(/audit\/\d+/, "audit/#");
// What ends the walk is activated after it.
const LAST = /^Sign out( everywhere)?$/;

async function activate(control) {
  const element = page.locator(`[data-walk="${control.index}"]`);
  const open = await page.evaluate(() => document.querySelector(":popover-open")?.id ?? "");
  const opener = page.locator(`[popovertarget="${control.menu}"]`);
  if (control.menu && !open && await opener.isVisible()) await opener.click();
  // Whatever lies under an open menu.
  if (open && !control.menu) await page.keyboard.press("Escape");
  if (control.tag === "select") {
    const options = await element.locator("option").evaluateAll((all) => all.map((option) => option.value));
    await element.selectOption(options.at(-1));
  } else if (control.tag === "textarea" || (control.tag === "input" && !["checkbox", "radio"].includes(control.type))) {
    await element.fill("x");
  } else {
    const events = ["framenavigated", "download"].map((event) => page.waitForEvent(event, { timeout: 3_000 }));
    const left = Promise.any(events).catch(() => {});
    if (control.isAway) {
      await element.focus();
      check((await element.boundingBox()).x >= 0, `${control.words} is not seen where the keyboard is`);
      await page.keyboard.press("Enter");
    } else await element.click().catch((error) => check(false, `${place} cannot be clicked: ${String(error).slice(0, 200)}`));
    if (control.leaves) await left;
    const ask = page.locator("dialog.ask").getByRole("button", { name: "Discard" });
    if (await ask.count()) await ask.click();
  }
  await page.waitForLoadState("load");
  // Without scripts nothing comes after it.
  if (javaScriptEnabled) await page.waitForTimeout(control.leaves ? 50 : 5);
}

async function walk(view, roots) {
  await page.emulateMedia({ colorScheme: view.colorScheme, reducedMotion: "reduce" });
  await page.setViewportSize({ width: view.width, height: 900 });
  const waiting = [...roots];
  const kinds = new Set(roots.map(kindOf));
  const done = new Set();
  const words = [];
  while (waiting.length) {
    const path = waiting.shift();
    place = `${view.colorScheme} ${view.width}${roots.includes(path) ? "" : " back to"} ${path}`;
    const answer = await page.goto(url + path);
    if (answer.status() >= 400) continue;
    const here = page.url();
    for (let steps = 0; steps < 200; steps += 1) {
      // It lies over what is at the lower edge, and is gone with the next page.
      if (page.url() === here && await page.locator(".toast").count()) await page.goto(here);
      const opened = [...done].filter((key) => key.startsWith(`${kindOf(path)} summary`)).map((key) => key.slice(kindOf(path).length + 1));
      const next = (await controls(opened).catch(async () => {
        await page.goto(here);
        return controls(opened);
      })).find((control) => !done.has(`${control.place || kindOf(path)} ${control.key}`) && !LAST.test(control.words));
      if (!next && await page.locator("dialog:modal").count()) {
        await page.keyboard.press("Escape");
        continue;
      }
      if (!next) break;
      done.add(`${next.place || kindOf(path)} ${next.key}`);
      words.push(next.words || next.key);
      place = `${view.colorScheme} ${view.width} ${path}: ${next.tag} "${next.words || next.key}"`;
      await activate(next);
      if (page.url() === here) continue;
      await page.waitForTimeout(javaScriptEnabled ? 60 : 0);
      const undo = page.locator(".toast").getByRole("button", { name: "Undo" });
      if (await undo.count() && !done.has(`undo ${next.key}`)) {
        done.add(`undo ${next.key}`);
        words.push("Undo");
        await undo.click();
        await page.waitForLoadState("load");
      }
      const found = new URL(page.url());
      const shown = found.pathname.slice(new URL(url).pathname.replace(/\/$/, "").length) + found.search;
      if (found.origin === new URL(url).origin && shown.startsWith("/dashboard") && !kinds.has(kindOf(shown)) && kinds.size < 80) {
        kinds.add(kindOf(shown));
        waiting.push(shown);
      }
      place = `${view.colorScheme} ${view.width} back to ${path}`;
      const back = await page.goto(here);
      // What was deleted has no page any more.
      if (back.status() >= 400) break;
    }
  }
  return { kinds, words };
}

await setUp(page, link);
for (const [number, view] of views.entries()) {
  place = "setting up";
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.goto(`${url}/dashboard`);
  const scopes = ["read", "write", "admin", "share"].map((name) => [`todo:${name}`, `Can ${name}`]);
  await addMcpServer(page, { name: `Todo ${number}`, url: `http://localhost:${1 + 2 * number}/mcp`, scopes });
  const server = new URL(page.url()).pathname;
  await addMcpServer(page, { name: `Notes ${number}`, url: `http://localhost:${2 + 2 * number}/mcp`, scopes: [["notes:read", ""]] });
  await page.goto(url + server);
  const client = await createClient(page, { name: `Agent ${number}`, scopes: ["todo:read"] });
  await page.goto(`${url}/dashboard/audit`);
  await requestToken(url, client);
  await requestToken(url, client, { scope: "todo:write" });
  const { kinds, words } = await walk(view, [
    "/dashboard", "/dashboard/mcp-servers", "/dashboard/clients", "/dashboard/audit", "/dashboard/signing-keys", "/dashboard/settings",
    server, `/dashboard/clients/${client.id}`,
  ]);
  for (const needed of ["Add scope", "Create Client", "Rotate", "Remove access", "Withdraw", "Undo", "Cancel"]) {
    check(words.some((found) => found.startsWith(needed)), `${needed} was never activated: ${[...new Set(words)].join(", ")}`);
  }
  check(kinds.size > 20 && words.length > 150, `too little was walked: ${kinds.size} pages, ${words.length} controls`);
  console.error(`${mode} ${view.colorScheme} ${view.width}: ${kinds.size} kinds of page, ${words.length} controls`);
}
// Last what ends the session.
place = "signing out";
await page.goto(`${url}/dashboard/settings`);
await page.getByRole("button", { name: "Sign out everywhere" }).click();
await page.getByRole("heading", { name: "Sign in" }).waitFor();
check(page.complaints.length === 0, page.complaints.join("\n"));
check(problems.length === 0, problems.join("\n"));
await browser.close();
