// By keyboard: / searches, Ctrl+K finds anything, c creates, j and k go from row to row, y copies, ? tells. Single keys do nothing while somebody
// types, and can be switched off (WCAG 2.1.4).
{
  const OFF = "jeton-keys-off";
  const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const isOn = () => !stored(OFF);
  const base = new URL(document.querySelector(".brand")?.href ?? "/dashboard", location.href).pathname;
  const isInside = Boolean(document.querySelector(".side"));
  const types = (element) => Boolean(element.closest?.("input, textarea, select, [contenteditable]"));
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };

  const dialog = (id, title, ...content) => {
    const known = document.getElementById(id);
    if (known) return known;
    const close = make("button", { type: "button" }, "Close");
    const made = make("dialog", { id, class: "keys", "aria-label": title }, ...content, make("form", { method: "dialog" }, close));
    close.addEventListener("click", () => made.close());
    made.addEventListener("click", (event) => { if (event.target === made) made.close(); });
    document.body.append(made);
    return made;
  };
  const show = (made) => { if (!made.open) made.showModal(); };

  // The palette: what the page "Find" finds, as one types.
  const palette = () => {
    const known = document.getElementById("palette");
    if (known) return known;
    const input = make("input", { type: "search", "aria-label": "Find by name or ID", placeholder: "Name, m2m_…, res_…, tok_…", autocomplete: "off", spellcheck: "false" });
    const list = make("ul", { class: "list found", "aria-label": "Found" });
    const made = dialog("palette", "Find", input, list);
    let latest = 0;
    const look = async () => {
      const number = latest += 1;
      const text = input.value.trim();
      if (!text) { list.replaceChildren(); return; }
      try {
        const response = await fetch(`${base}/find?q=${encodeURIComponent(text)}`, { headers: { Accept: "text/html" } });
        if (number !== latest) return;
        if (!response.ok || response.redirected) { list.replaceChildren(make("li", {}, "Nothing could be searched. Reload the page.")); return; }
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const found = [...page.querySelectorAll("#found > li")];
        list.replaceChildren(...(found.length ? found : [make("li", { class: "soft" }, "Nothing has this name or ID.")]));
      } catch { /* The next letter tries again. */ }
    };
    let soon;
    input.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(look, 120); });
    made.addEventListener("keydown", async (event) => {
      const links = [...list.querySelectorAll("a")];
      const here = links.indexOf(document.activeElement);
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const next = here + (event.key === "ArrowDown" ? 1 : -1);
        (links[next] ?? input).focus();
      } else if (event.key === "Enter" && event.target === input) {
        event.preventDefault();
        clearTimeout(soon);
        await look();
        list.querySelector("a")?.click();
      }
    });
    return made;
  };
  const find = () => {
    const made = palette();
    show(made);
    const input = made.querySelector("input");
    input.focus();
    input.select();
  };

  const KEYS = [["/", "Search on this page"], ["Ctrl+K or ⌘K", "Find anything by name or ID"], ["c", "Create"], ["j, k", "Next row, previous row"], ["y", "Copy the ID of the row with the focus"], ["→", "From a row’s link to its Copy button"], ["Esc", "Close"], ["?", "Show this list"]];
  const help = () => {
    const rows = KEYS.flatMap(([key, words]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, words)]);
    const box = make("input", { type: "checkbox", id: "keys-on" });
    const made = dialog("keyboard-shortcuts", "Keyboard shortcuts", make("h2", {}, "Keyboard shortcuts"), make("dl", { class: "facts" }, ...rows), make("div", { class: "check" }, box, make("label", { for: "keys-on" }, "Single-key shortcuts")));
    const switcher = made.querySelector("#keys-on");
    switcher.checked = isOn();
    switcher.onchange = () => { try { if (switcher.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "yes"); } catch { /* Without storage they stay on. */ } };
    show(made);
  };

  const search = () => {
    const field = document.querySelector("main input[type=search]");
    if (field) { field.focus(); field.select(); } else find();
  };
  // A page's own way to create; on a server's pages a client, elsewhere a server.
  const create = () => {
    const here = document.querySelector("main a.primary[href$='/new'], main a[href$='/new']") ?? document.querySelector("main [data-create]");
    const server = location.pathname.match(/\/mcp-servers\/res_[0-9a-z]+/);
    if (here) here.click();
    else if (server) location.assign(`${base}${server[0]}/clients/new`);
    else if (!location.pathname.endsWith("/new")) location.assign(`${base}/mcp-servers/new`);
  };
  // The link of the next row, or of the one before.
  const go = (step) => {
    const rows = [...document.querySelectorAll("main td a.row, main .log > ol > li")].map((row) => row.querySelector("summary, a") ?? row);
    const here = rows.findIndex((row) => (row.closest("tr, .log > ol > li")).contains(document.activeElement));
    rows[here < 0 ? 0 : Math.max(0, Math.min(rows.length - 1, here + step))]?.focus();
  };
  const rowOf = (element) => element.closest?.("tr, li, .row-card");
  const copyOf = (element) => rowOf(element)?.querySelector(".copy");

  if (isInside) {
    document.addEventListener("keydown", (event) => {
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
        event.preventDefault();
        find();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || types(event.target)) return;
      if (document.querySelector("dialog[open], [role=dialog], [role=alertdialog]")) return;
      if (event.key === "ArrowRight" && event.target.matches("td a, li a")) {
        const copy = copyOf(event.target);
        if (copy) { event.preventDefault(); copy.focus(); }
        return;
      }
      if (event.key === "ArrowLeft" && event.target.matches(".copy[tabindex='-1']")) {
        event.preventDefault();
        rowOf(event.target)?.querySelector("a")?.focus();
        return;
      }
      if (!isOn()) return;
      const actions = { "/": search, c: create, "?": help, j: () => go(1), k: () => go(-1), y: () => copyOf(document.activeElement)?.click() };
      const action = actions[event.key];
      if (action) { event.preventDefault(); action(); }
    });

    // In lists, Copy is reached from its row: by the arrow, y, the mouse or a screen reader; not by a stop for each.
    const settle = (root) => { for (const copy of root.querySelectorAll("td .copy, .list li .copy")) copy.tabIndex = -1; };
    settle(document);
    new MutationObserver(() => settle(document)).observe(document.getElementById("main"), { childList: true, subtree: true });

    const opener = document.getElementById("find-opener");
    opener?.addEventListener("click", (event) => { event.preventDefault(); find(); });
    const keys = document.getElementById("keys-opener");
    if (keys) { keys.hidden = false; keys.addEventListener("click", help); }
  }
}
