// What HTML cannot do: copying, refreshing what is live, one more row of scopes, no double submits.
document.documentElement.classList.add("js");

const announce = (words) => {
  const region = document.getElementById("announcements");
  if (region) region.textContent = words;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.matches(".copy")) {
    const source = document.getElementById(button.dataset.copy) ?? button.parentElement.querySelector("code, pre");
    const text = source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      const before = button.textContent;
      button.textContent = "Copied";
      announce("Copied");
      setTimeout(() => { button.textContent = before; }, 1500);
    } catch {
      // No clipboard without https or permission: select the text, so that Ctrl-C copies it.
      getSelection().selectAllChildren(source);
      announce("Selected; press Ctrl+C to copy");
    }
  } else if (button.matches("[data-add-row]")) {
    const rows = document.getElementById(button.dataset.addRow);
    const row = rows.lastElementChild.cloneNode(true);
    for (const input of row.querySelectorAll("input")) input.value = "";
    rows.append(row);
    row.querySelector("input").focus();
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "yes";
  // Coming back by the browser's history, the form works again.
  addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
});

// Escape closes the sheet, by following its own link.
document.addEventListener("keydown", (event) => {
  const close = document.querySelector(".sheet [data-close]");
  if (event.key === "Escape" && close) close.click();
});

// What is marked live is fetched anew and replaced, unless somebody is reading or typing in it.
for (const live of document.querySelectorAll("[data-live]")) {
  setInterval(async () => {
    const current = document.getElementById(live.id);
    if (document.hidden || current.contains(document.activeElement) || !getSelection().isCollapsed) return;
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (!response.ok || response.redirected) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById(live.id);
      if (fresh && fresh.innerHTML !== current.innerHTML) current.replaceChildren(...fresh.childNodes);
    } catch { /* The next round tries again. */ }
  }, Number(live.dataset.live) * 1000);
}
