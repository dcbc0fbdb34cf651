"""Todos over MCP in Python, protected by FastMCP's stock JWT verifier with tokens from Jeton.

    python server.py --issuer http://127.0.0.1:8420 --port 3003

Register it with Jeton under the URL it prints. `todo:read` lists and gets, `todo:write` creates,
updates and deletes. Todos live in memory and belong to the client that made them.
"""

import argparse
import asyncio
import itertools

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.server.auth import RemoteAuthProvider, require_scopes
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token
from fastmcp.server.extensions import ServerExtension

READ = require_scopes("todo:read")
WRITE = require_scopes("todo:write")


class ClientCredentials(ServerExtension):
    """Tells MCP clients how this server is protected."""

    identifier = "io.modelcontextprotocol/oauth-client-credentials"


def build(issuer: str, base_url: str) -> FastMCP:
    """The server: this is all that protects it."""
    auth = RemoteAuthProvider(
        token_verifier=JWTVerifier(
            jwks_uri=f"{issuer}/keys",
            issuer=issuer,
            audience=f"{base_url}/mcp",
            algorithm="RS256",
        ),
        authorization_servers=[issuer],
        base_url=base_url,
        # MCP clients ask for every scope that is listed here; Jeton grants those that the client has.
        scopes_supported=["todo:read", "todo:write"],
        resource_name="Todo (FastMCP)",
    )
    mcp = FastMCP("fastmcp-todo", auth=auth)
    mcp.add_extension(ClientCredentials())
    todos: dict[str, dict[str, dict]] = {}
    numbers = itertools.count(1)

    def own() -> dict[str, dict]:
        """The todos of the client that the token was issued to."""
        token = get_access_token()
        if token is None:
            raise ToolError("the server is not protected")
        return todos.setdefault(token.client_id, {})

    def find(todo_id: str) -> dict:
        todo = own().get(todo_id)
        if todo is None:
            raise ToolError(f"there is no todo {todo_id!r}; list_todos names them")
        return todo

    def add(title: str, description: str | None = None) -> dict:
        if not title.strip():
            raise ToolError("title must not be empty")
        todo_id = f"todo_{next(numbers)}"
        todo = {
            "id": todo_id,
            "title": title.strip(),
            "description": description,
            "completed": False,
        }
        own()[todo_id] = todo
        return todo

    @mcp.tool(auth=WRITE)
    def create_todo(title: str, description: str | None = None) -> dict:
        """Create a todo. Needs todo:write."""
        return {"todo": add(title, description)}

    @mcp.tool(auth=WRITE)
    async def import_todos(titles: list[str], context: Context, pause_ms: int = 0) -> dict:
        """Create todos one after another, with progress; can be cancelled. Needs todo:write."""
        made = []
        for title in titles:
            await asyncio.sleep(pause_ms / 1000)
            made.append(add(title))
            await context.report_progress(len(made), len(titles))
        return {"todos": made}

    @mcp.tool(auth=READ)
    def list_todos(completed: bool | None = None) -> dict:
        """List todos. Needs todo:read."""
        wanted = [t for t in own().values() if completed is None or t["completed"] == completed]
        return {"todos": wanted}

    @mcp.tool(auth=READ)
    def get_todo(todo_id: str) -> dict:
        """Get one todo. Needs todo:read."""
        return {"todo": find(todo_id)}

    @mcp.tool(auth=WRITE)
    def update_todo(
        todo_id: str,
        title: str | None = None,
        description: str | None = None,
        completed: bool | None = None,
    ) -> dict:
        """Change a todo. Needs todo:write."""
        todo = find(todo_id)
        changes = {"title": title, "description": description, "completed": completed}
        todo.update({name: value for name, value in changes.items() if value is not None})
        return {"todo": todo}

    @mcp.tool(auth=WRITE)
    def delete_todo(todo_id: str) -> dict:
        """Delete a todo. Needs todo:write."""
        find(todo_id)
        del own()[todo_id]
        return {"deleted": todo_id}

    return mcp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--issuer", default="http://127.0.0.1:8420", help="who issues the tokens")
    parser.add_argument("--port", type=int, default=3003, help="where to listen, on 127.0.0.1")
    arguments = parser.parse_args()
    base_url = f"http://localhost:{arguments.port}"
    print(f"todo server: {base_url}/mcp", flush=True)
    build(arguments.issuer, base_url).run(
        transport="http", host="127.0.0.1", port=arguments.port, show_banner=False
    )


if __name__ == "__main__":
    main()
