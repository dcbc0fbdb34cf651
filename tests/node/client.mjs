// The official TypeScript SDK's own client-credentials provider, unmodified, against an MCP server.
//
//   client.mjs PACKAGE ISSUER MCP_URL SCOPE
//
// PACKAGE is sdk (the 1.x series) or client (the 2.x series). Credentials come from CLIENT_ID and
// CLIENT_SECRET; an empty SCOPE leaves the choice to the SDK. Prints one JSON document: the tools it saw,
// what it created and listed, or the error, and how many requests it sent.
const [which, issuer, url, scope] = process.argv.slice(2);

async function load() {
  if (which === 'client') return import('@modelcontextprotocol/client');
  const [{ Client }, { StreamableHTTPClientTransport }, { ClientCredentialsProvider }] =
    await Promise.all([
      import('@modelcontextprotocol/sdk/client/index.js'),
      import('@modelcontextprotocol/sdk/client/streamableHttp.js'),
      import('@modelcontextprotocol/sdk/client/auth-extensions.js'),
    ]);
  return { Client, StreamableHTTPClientTransport, ClientCredentialsProvider };
}

const { Client, StreamableHTTPClientTransport, ClientCredentialsProvider } = await load();
const authProvider = new ClientCredentialsProvider({
  clientId: process.env.CLIENT_ID,
  clientSecret: process.env.CLIENT_SECRET,
  scope: scope || undefined,
  expectedIssuer: issuer,
});
const result = { requests: 0 };
const counted = (...request) => {
  result.requests += 1;
  return fetch(...request);
};
try {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch: counted });
  const client = new Client({ name: 'jeton-tests', version: '1.0.0' });
  await client.connect(transport);
  result.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
  const listed = await client.callTool({ name: 'list_todos', arguments: {} });
  result.listed = listed.structuredContent;
  const created = await client.callTool({
    name: 'create_todo',
    arguments: { title: 'From TypeScript' },
  });
  result.created = created.structuredContent;
  result.is_error = created.isError;
  await client.close();
} catch (error) {
  result.error = `${error.name}: ${error.message}`;
}
result.scope = (await authProvider.tokens())?.scope;
console.log(JSON.stringify(result));
process.exit(0);
