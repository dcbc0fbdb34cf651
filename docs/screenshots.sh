#!/usr/bin/env bash
# Takes the pictures in docs/screenshots anew: a fresh server, a todo MCP server, every page, light and
# dark, wide and narrow. Needs chromium and tests/node/node_modules, which ./test installs.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet -p jeton -p todo-server
data=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT
target/debug/jeton serve --data-dir "$data/data" --listen 127.0.0.1:8420 >"$data/log" 2>&1 &
target/debug/todo-server >"$data/todo" 2>&1 &
for _ in $(seq 100); do grep -q /dashboard/join/ "$data/log" && break; sleep 0.1; done
link=$(grep -o 'http://[^ ]*/dashboard/join/[^ ]*' "$data/log")
rm -rf docs/screenshots
node tests/node/screenshots.mjs http://127.0.0.1:8420 "$link" docs/screenshots http://localhost:3002/mcp
ls docs/screenshots | wc -l
