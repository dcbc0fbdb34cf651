"""FastMCP's own client with its client-credentials provider, unmodified, against an MCP server.

    fastmcp_client.py ISSUER MCP_URL SCOPE

Credentials come from CLIENT_ID and CLIENT_SECRET; an empty SCOPE leaves the choice to FastMCP. Prints one JSON
document: the tools it saw, what it listed and created, or the error of create_todo.
"""

import asyncio
import json
import os
import sys

from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider


def leaves(error: BaseException) -> list[str]:
    """What went wrong at the bottom of groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in leaves(inner)]
    return [f"{type(error).__name__}: {error}"]


async def main() -> None:
    issuer, url, scope = sys.argv[1:4]
    auth = ClientCredentialsOAuthProvider(
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
        scopes=scope or None,
        issuer=issuer,
    )
    result: dict = {}
    try:
        async with Client(url, auth=auth) as client:
            result["tools"] = sorted(tool.name for tool in await client.list_tools())
            result["listed"] = (await client.call_tool("list_todos", {})).structured_content
            created = await client.call_tool(
                "create_todo", {"title": "From FastMCP"}, raise_on_error=False
            )
            result["created"] = created.structured_content
            result["is_error"] = created.is_error
    except Exception as error:  # the test wants to know which
        result["error"] = "; ".join(leaves(error))
    print(json.dumps(result))


asyncio.run(main())
