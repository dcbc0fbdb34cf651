// Takes pictures of a week of agents, of which three are broken: node screenshots_week.mjs URL FIRST_ADMIN_LINK FOLDER
import { launch, open, setUp } from "./dashboard.mjs";
import { shooter } from "./shoot.mjs";

const [url, link, folder] = process.argv.slice(2);
const browser = await launch();
const page = await open(await browser.newContext());
const shoot = await shooter(page, url, folder);
await setUp(page, link);
// Until everything is counted.
for (let before = "", now = "-"; before !== now;) {
  before = now;
  await page.waitForTimeout(3000);
  await page.goto(`${url}/dashboard?range=week`);
  now = await page.locator(".figures").textContent();
}
await shoot("overview-week", "/dashboard?range=week");
await shoot("overview-day", "/dashboard");
await shoot("clients-week", "/dashboard/clients");
await page.goto(`${url}/dashboard/clients?q=nightly-triage`);
await page.getByRole("link", { name: "nightly-triage" }).click();
await shoot("client-broken", new URL(page.url()).pathname);
if (page.complaints.length) console.error("complaints:", page.complaints);
await browser.close();
