// Takes pictures of every page: node screenshots.mjs URL FIRST_ADMIN_LINK FOLDER [MCP_URL]
import { addMcpServer, createClient, launch, open, requestToken, setUp } from "./dashboard.mjs";
import { shooter } from "./shoot.mjs";

const [url, link, folder, mcpUrl = "http://localhost:3002/mcp"] = process.argv.slice(2);
const browser = await launch();
const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
const page = await open(context);
const join = link;

const shoot = await shooter(page, url, folder);

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
await shoot("audit", "/dashboard/audit");
await shoot("audit-event", "/dashboard/audit/20");
await shoot("signing-keys", "/dashboard/signing-keys");
await shoot("settings", "/dashboard/settings");
await shoot("not-found", "/dashboard/nothing");
if (page.complaints.length) console.error("complaints:", page.complaints);
await browser.close();
