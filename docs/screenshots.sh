#!/usr/bin/env bash
# Takes the pictures in docs/screenshots anew, light and dark, wide and narrow: of a fresh server with a todo MCP
# server, and of a week of agents, three of which are broken. Needs chromium and tests/node/node_modules, which ./test
# installs. `docs/screenshots.sh week` takes those of the week only, on port 8421. JETON_BUILT=1 takes the binaries that are there.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${JETON_BUILT:-}" ] || cargo build --quiet -p jeton -p todo-server -p jeton-bench
data=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait 2>/dev/null; rm -rf "$data"' EXIT

# serve NAME PORT [HOST]: starts a server and sets `link` to the one for its first admin.
serve() {
  target/debug/jeton serve --data-dir "$data/$1" --listen "127.0.0.1:$2" --issuer "http://${3:-127.0.0.1}:$2" >"$data/log" 2>&1 &
  for _ in $(seq 100); do grep -q /dashboard/join/ "$data/log" && break; sleep 0.1; done
  link=$(grep -o 'http://[^ ]*/dashboard/join/[^ ]*' "$data/log")
}

if [ "${1:-}" != week ]; then
  # Browsers have passkeys for names only.
  serve fresh 8420 localhost
  target/debug/todo-server --issuer http://localhost:8420 >"$data/todo" 2>&1 &
  rm -rf docs/screenshots
  node tests/node/screenshots.mjs http://localhost:8420 "$link" docs/screenshots http://localhost:3002/mcp
fi

serve week 8421
kill $! && wait $! || true
target/debug/jeton-bench week "$data/week/jeton.db"
serve week 8421
node tests/node/screenshots_week.mjs http://127.0.0.1:8421 "$link" docs/screenshots
ls docs/screenshots | wc -l
