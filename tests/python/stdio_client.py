"""The official Python SDK's own stdio client, unmodified, with `jeton bridge` as its server.

    stdio_client.py JETON MCP_URL MODE WHAT

The bridge's settings come from the environment (JETON_…). WHAT is a list of steps with commas:
list, create, import (with progress), cancel. Prints one JSON document.
"""

import asyncio
import json
import os
import sys

import anyio
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters


def leaves(error: BaseException) -> list[str]:
    """What went wrong at the bottom of groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in leaves(inner)]
    return [f"{type(error).__name__}: {error}"]


async def count(client: Client) -> int:
    listed = await client.call_tool("list_todos", {})
    return len(listed.structured_content["todos"])


async def cancelled(client: Client) -> dict:
    """Cancels a long import after its second step, and waits until nothing is added any more."""
    seen = []
    with anyio.CancelScope() as scope:

        async def on_progress(progress, total, message) -> None:
            seen.append(progress)
            if len(seen) == 2:
                scope.cancel()

        titles = [f"Step {number}" for number in range(1000)]
        await client.call_tool(
            "import_todos", {"titles": titles, "pause_ms": 20}, progress_callback=on_progress
        )
    before, now = -1, await count(client)
    while before != now:
        await asyncio.sleep(0.5)
        before, now = now, await count(client)
    return {"cancelled": scope.cancelled_caught, "made": now}


async def steps(client: Client, what: list[str], result: dict) -> None:
    if "list" in what:
        result["tools"] = sorted(tool.name for tool in (await client.list_tools()).tools)
        result["listed"] = await count(client)
    if "import" in what:
        seen = []

        async def on_progress(progress, total, message) -> None:
            seen.append([progress, total])

        answer = await client.call_tool(
            "import_todos",
            {"titles": ["a", "b", "c"], "pause_ms": 10},
            progress_callback=on_progress,
        )
        result["imported"] = len(answer.structured_content["todos"])
        result["progress"] = seen
    if "cancel" in what:
        result["cancel"] = await cancelled(client)
    if "create" in what:
        created = await client.call_tool("create_todo", {"title": "From Python, by stdio"})
        result["created"] = created.structured_content
        result["is_error"] = created.is_error


async def main() -> None:
    jeton, url, mode, what = sys.argv[1:5]
    settings = {name: value for name, value in os.environ.items() if name.startswith("JETON_")}
    server = StdioServerParameters(command=jeton, args=["bridge", url], env=settings)
    result: dict = {}
    try:
        async with Client(server, mode=mode) as client:
            result["version"] = client.protocol_version
            result["extensions"] = client.server_capabilities.extensions
            await steps(client, what.split(","), result)
    except Exception as error:  # the test wants to know which
        result["error"] = "; ".join(leaves(error))
    print(json.dumps(result))


asyncio.run(main())
