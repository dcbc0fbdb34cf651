// The official TypeScript SDKs' own stdio client, unmodified, with `jeton bridge` as its server.
//
//   stdio_client.mjs PACKAGE JETON MCP_URL WHAT
//
// PACKAGE is sdk (the 1.x series) or client (the 2.x series). The bridge's settings come from the
// environment (JETON_…). WHAT is a list of steps with commas: list, create, import (with progress),
// cancel. Prints one JSON document.
const [which, jeton, url, what] = process.argv.slice(2);

async function load() {
  if (which === 'client') {
    const [{ Client }, { StdioClientTransport }] = await Promise.all([
      import('@modelcontextprotocol/client'),
      import('@modelcontextprotocol/client/stdio'),
    ]);
    return { Client, StdioClientTransport };
  }
  const [{ Client }, { StdioClientTransport }] = await Promise.all([
    import('@modelcontextprotocol/sdk/client/index.js'),
    import('@modelcontextprotocol/sdk/client/stdio.js'),
  ]);
  return { Client, StdioClientTransport };
}

const { Client, StdioClientTransport } = await load();
const settings = Object.entries(process.env).filter(([name]) => name.startsWith('JETON_'));
const transport = new StdioClientTransport({
  command: jeton,
  args: ['bridge', url],
  env: { PATH: process.env.PATH, ...Object.fromEntries(settings) },
  stderr: 'inherit',
});
const client = new Client({ name: 'jeton-tests', version: '1.0.0' });
const result = {};

function call(name, args, options) {
  const parameters = { name, arguments: args };
  return which === 'client'
    ? client.callTool(parameters, options)
    : client.callTool(parameters, undefined, options);
}

async function count() {
  return (await call('list_todos', {})).structuredContent.todos.length;
}

// Cancels a long import after its second step, and waits until nothing is added any more.
async function cancelled() {
  const controller = new AbortController();
  const titles = Array.from({ length: 1000 }, (_, number) => `Step ${number}`);
  let seen = 0;
  let error;
  await call('import_todos', { titles, pause_ms: 20 }, {
    signal: controller.signal,
    onprogress: () => {
      seen += 1;
      if (seen === 2) controller.abort('enough');
    },
  }).catch((caught) => {
    error = caught;
  });
  let before = -1;
  let now = await count();
  while (before !== now) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    before = now;
    now = await count();
  }
  return { cancelled: error !== undefined, made: now };
}

try {
  await client.connect(transport);
  const steps = what.split(',');
  result.extensions = client.getServerCapabilities()?.extensions;
  if (steps.includes('list')) {
    result.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
    result.listed = await count();
  }
  if (steps.includes('import')) {
    const progress = [];
    const answer = await call('import_todos', { titles: ['a', 'b', 'c'], pause_ms: 10 }, {
      onprogress: (seen) => progress.push([seen.progress, seen.total]),
    });
    result.imported = answer.structuredContent.todos.length;
    result.progress = progress;
  }
  if (steps.includes('cancel')) result.cancel = await cancelled();
  if (steps.includes('create')) {
    const created = await call('create_todo', { title: 'From TypeScript, by stdio' });
    result.created = created.structuredContent;
    result.is_error = created.isError === true;
  }
  await client.close();
} catch (error) {
  result.error = `${error.name}: ${error.message}`;
}
console.log(JSON.stringify(result));
process.exit(0);
