"""The official Python SDK's own client-credentials provider, unmodified, against an MCP server.

    sdk_client.py ISSUER MCP_URL MODE SCOPE

Credentials come from CLIENT_ID and CLIENT_SECRET; an empty SCOPE leaves the choice to the SDK. Prints one
JSON document: the tools it saw, what it created and listed, or the error of create_todo, and how many
requests it sent.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp.client.auth import TokenStorage
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client


class Memory(TokenStorage):
    """Tokens in memory."""

    def __init__(self) -> None:
        self.tokens = None
        self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


def leaves(error: BaseException) -> list[str]:
    """What went wrong at the bottom of groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in leaves(inner)]
    return [f"{type(error).__name__}: {error}"]


async def main() -> None:
    issuer, url, mode, scope = sys.argv[1:5]
    storage = Memory()
    provider = ClientCredentialsOAuthProvider(
        server_url=url,
        storage=storage,
        client_id=os.environ["CLIENT_ID"],
        client_secret=os.environ["CLIENT_SECRET"],
        token_endpoint_auth_method=os.environ.get("AUTH_METHOD", "client_secret_basic"),
        scope=scope or None,
        issuer=issuer,
    )
    result: dict = {"requests": 0}

    async def count(_request) -> None:
        result["requests"] += 1

    hooks = {"request": [count]}
    try:
        async with httpx2.AsyncClient(auth=provider, timeout=30, event_hooks=hooks) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                tools = await client.list_tools()
                result["tools"] = sorted(tool.name for tool in tools.tools)
                listed = await client.call_tool("list_todos", {})
                result["listed"] = listed.structured_content
                created = await client.call_tool("create_todo", {"title": "From Python"})
                result["created"] = created.structured_content
                result["is_error"] = created.is_error
    except Exception as error:  # the test wants to know which
        result["error"] = "; ".join(leaves(error))
    result["scope"] = storage.tokens.scope if storage.tokens else None
    print(json.dumps(result))


asyncio.run(main())
