"""A todo server that is protected by FastMCP's own ScalekitProvider, unmodified.

    scalekit_server.py ENVIRONMENT_URL RESOURCE_ID PORT
"""

import sys

from fastmcp import FastMCP
from fastmcp.server.auth import require_scopes
from fastmcp.server.auth.providers.scalekit import ScalekitProvider

environment_url, resource_id, port = sys.argv[1:4]
auth = ScalekitProvider(
    environment_url=environment_url,
    resource_id=resource_id,
    base_url=f"http://localhost:{port}",
    scopes_supported=["todo:read", "todo:write"],
)
mcp = FastMCP("scalekit-todo", auth=auth)


@mcp.tool(auth=require_scopes("todo:read"))
def list_todos() -> dict:
    """List the todos. Needs todo:read."""
    return {"todos": []}


@mcp.tool(auth=require_scopes("todo:write"))
def create_todo(title: str) -> dict:
    """Create a todo. Needs todo:write."""
    return {"todo": {"id": "1", "title": title}}


mcp.run(transport="http", host="127.0.0.1", port=int(port), show_banner=False)
