// What HTML cannot do: copying, refreshing what is live, asking before work is lost, no double submits.
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

/* Sheets, forms, toasts */

// One more row of scopes; without this script the button sends the form and gets more rows.
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-add-row]");
  if (!button) return;
  event.preventDefault();
  const rows = document.getElementById(button.dataset.addRow);
  const row = rows.lastElementChild.cloneNode(true);
  row.querySelector(".field-error")?.remove();
  for (const input of row.querySelectorAll("input")) {
    input.value = "";
    for (const name of ["id", "aria-invalid", "aria-describedby", "autofocus"]) input.removeAttribute(name);
  }
  rows.append(row);
  row.querySelector("input").focus();
});

// What was typed and not sent, and a secret that was shown and not copied.
const sheet = document.querySelector("dialog.sheet");
const hasInput = (form) => form.matches("[data-typed]") || [...form.elements].some((field) =>
  field.matches("input[type=checkbox], input[type=radio]") ? field.checked !== field.defaultChecked
    : field.matches("input:not([type=hidden], [type=search]), textarea") ? field.value !== field.defaultValue
    : field.matches("select") && [...field.options].some((option) => option.selected !== option.defaultSelected) && field.selectedIndex > 0);
const typedForms = () => [...document.querySelectorAll("form.fields")].filter((form) => form.method === "post" && !form.matches("[data-ask=no]") && hasInput(form));
// What is shown only once.
const SHOWN = ["#client-secret", "#invitation-link", "#recovery-codes"];
const SECRET = SHOWN.map((id) => `[data-secret] ${id}`).join();
const uncopied = () => document.querySelector("[data-secret]");
let isSending = false;
addEventListener("beforeunload", (event) => {
  if (!isSending && (uncopied() || typedForms().length)) event.preventDefault();
});
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  isSending = true;
  // Coming back by the browser's history, or a download instead of a page.
  addEventListener("pageshow", () => { isSending = false; }, { once: true });
});

const copied = () => {
  const shown = uncopied();
  if (!shown) return;
  shown.removeAttribute("data-secret");
  const field = shown.querySelector("input[name=copied]");
  if (field) field.value = "yes";
};
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.copy");
  const secret = document.querySelector(SECRET);
  const source = button && (document.getElementById(button.dataset.copy) ?? button.parentElement.querySelector("code, pre"));
  if (secret && source?.textContent.includes(secret.textContent)) copied();
});
document.addEventListener("copy", () => {
  const secret = document.querySelector(SECRET);
  if (secret && getSelection().toString().includes(secret.textContent)) copied();
});
// A page that the browser kept in memory shows no secret again.
addEventListener("pageshow", (event) => { if (event.persisted && document.querySelector(SHOWN.join())) location.reload(); });

// Asks before what was typed is thrown away.
const askToDiscard = (leave) => {
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  dialog.setAttribute("aria-labelledby", "ask-title");
  dialog.innerHTML = '<h2 id="ask-title">Discard what you entered?</h2><div class="actions"><button type="button" class="danger">Discard</button><button type="button" autofocus>Keep editing</button></div>';
  const [discard, keep] = dialog.querySelectorAll("button");
  const before = document.activeElement;
  const end = () => { dialog.remove(); before?.focus(); };
  discard.addEventListener("click", () => { isSending = true; end(); leave(); });
  keep.addEventListener("click", end);
  dialog.addEventListener("close", end);
  document.body.append(dialog);
  dialog.showModal();
};
const closeSheet = () => document.querySelector("dialog.sheet [data-close]")?.click();
if (sheet) {
  const wrong = sheet.querySelector("[aria-invalid=true]");
  if (wrong) wrong.focus();
  else if (!sheet.contains(document.activeElement)) (sheet.querySelector("[autofocus]") ?? sheet).focus();
  sheet.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || link.target || !new URL(link.href).pathname || link.getAttribute("href").startsWith("#") || !typedForms().length) return;
    event.preventDefault();
    askToDiscard(() => { location.href = link.href; });
  });
  document.querySelector(".backdrop")?.addEventListener("click", closeSheet);
  sessionStorage.setItem("sheet", "open");
} else {
  document.querySelector("[aria-invalid=true]")?.focus();
  // Focus goes back to what opened the sheet.
  const opener = sessionStorage.getItem("sheet") && sessionStorage.getItem("opener");
  for (const name of ["sheet", "opener"]) sessionStorage.removeItem(name);
  if (opener) {
    const link = [...document.querySelectorAll("main a[href]")].find((one) => one.getAttribute("href") === opener);
    if (link && document.activeElement === document.body) link.focus();
  }
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("main a[href]");
  if (link) sessionStorage.setItem("opener", link.getAttribute("href"));
  if (event.target.closest("[data-dismiss]")) event.target.closest(".toast").remove();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog.ask")) return;
  if (sheet) { event.preventDefault(); closeSheet(); } else document.querySelector(".toast")?.remove();
});
// Words that are there from the beginning are not read out; those that come are.
const told = document.querySelector(".toast p");
if (told) {
  const words = told.textContent;
  told.textContent = "";
  setTimeout(() => { told.textContent = words; }, 50);
}

// Long lists of scopes: filter, all, none, how many.
for (const list of document.querySelectorAll("[data-scopes]")) {
  const boxes = [...list.querySelectorAll(".check")];
  const count = list.querySelector("[data-scope-count]");
  if (!count) continue;
  const box = (row) => row.querySelector("input");
  const tell = () => { count.textContent = `${boxes.filter((row) => box(row).checked).length} of ${boxes.length} selected`; };
  const filter = list.querySelector("[data-scope-filter]");
  const sift = () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const row of boxes) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    for (const group of list.querySelectorAll(".scope-group")) {
      let row = group.nextElementSibling;
      let isEmpty = true;
      for (; row?.matches(".check"); row = row.nextElementSibling) isEmpty &&= row.hidden;
      group.hidden = isEmpty;
    }
  };
  filter.addEventListener("input", sift);
  filter.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  const set = (checked) => { for (const row of boxes) if (!row.hidden) box(row).checked = checked; tell(); };
  list.querySelector("[data-scope-all]").addEventListener("click", () => set(true));
  list.querySelector("[data-scope-none]").addEventListener("click", () => set(false));
  list.addEventListener("change", tell);
  tell();
}

// A page that goes on looking live after its session ended would be wrong.
const sessionEnded = () => {
  if (document.getElementById("session-ended")) return;
  const toast = document.createElement("div");
  toast.id = "session-ended";
  toast.className = "toast bad";
  toast.setAttribute("role", "alert");
  const words = document.createElement("p");
  words.textContent = "Your session ended. This page is no longer updated.";
  const link = document.createElement("a");
  link.href = location.href;
  link.textContent = "Sign in again";
  toast.append(words, link);
  document.body.append(toast);
};

// What is marked live is fetched anew and replaced, unless somebody selects or types in it. The page says how old it
// is, and whether that fails.
const ago = (seconds) => seconds < 60 ? `${seconds} seconds ago` : `${Math.floor(seconds / 60)} minute${seconds < 120 ? "" : "s"} ago`;

for (const { id, dataset } of document.querySelectorAll("[data-live]")) {
  const every = Number(dataset.live) * 1000;
  const state = document.querySelector("[data-live-state]");
  let updated = Date.now(), problem = "";
  const say = () => {
    if (!state) return;
    const seconds = Math.round((Date.now() - updated) / 1000);
    const age = seconds < every / 1000 + 5 ? "just now" : ago(seconds);
    state.classList.toggle("failed", problem !== "");
    const words = problem ? `${problem} Last updated ${age}.` : `Updated ${age}`;
    if (state.textContent !== words) state.textContent = words;
  };
  const fails = (words) => {
    if (problem !== words) announce(words);
    problem = words;
  };
  const busy = (current) => !getSelection().isCollapsed || current.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
  // What is open stays open, and the keyboard stays where it is.
  const replace = (current, fresh) => {
    const open = [...current.querySelectorAll("details[open][id]")].map((details) => details.id);
    const focused = current.contains(document.activeElement) ? document.activeElement : null;
    const same = (one) => one.getAttribute("href") === focused.getAttribute("href") && (one.textContent === focused.textContent || one.closest("svg"));
    current.replaceChildren(...fresh.childNodes);
    for (const details of open) document.getElementById(details)?.setAttribute("open", "");
    if (focused) [...current.querySelectorAll(focused.localName)].find(same)?.focus({ preventScroll: true });
  };
  const refresh = async () => {
    const current = document.getElementById(id);
    if (document.hidden || busy(current)) return say();
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById(id);
      if (response.redirected) { fails("Not updating: your session has ended. Sign in again."); sessionEnded(); }
      else if (!response.ok || !fresh) fails("Not updating: the server answers with an error.");
      else {
        if (fresh.innerHTML !== current.innerHTML) replace(current, fresh);
        updated = Date.now();
        problem = "";
      }
    } catch { fails("Not updating: the server doesn't answer."); }
    say();
  };
  setInterval(refresh, every);
  setInterval(say, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && Date.now() - updated > every) refresh(); });
  say();
}

// A chart's bars tell their numbers by mouse, touch and keyboard. A first touch tells, a second one follows.
const tell = (bar) => {
  const to = document.getElementById("chart-readout");
  if (!to || bar.classList.contains("shown")) return;
  for (const other of document.querySelectorAll(".chart a.shown")) other.classList.remove("shown");
  bar.classList.add("shown");
  const link = document.createElement("a");
  link.href = bar.getAttribute("href");
  link.textContent = "Show in the audit log";
  to.replaceChildren(`${bar.getAttribute("aria-label")}. `, link);
};
const barOf = (event) => event.target.closest?.(".chart a");
document.addEventListener("pointerover", (event) => { const bar = barOf(event); if (bar && event.pointerType !== "touch") tell(bar); });
document.addEventListener("focusin", (event) => { const bar = barOf(event); if (bar?.matches(":focus-visible")) tell(bar); });
document.addEventListener("click", (event) => {
  const bar = barOf(event);
  if (bar && event.pointerType === "touch" && !bar.classList.contains("shown")) { event.preventDefault(); tell(bar); }
});
document.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1000, End: 1000 }[event.key];
  const bar = barOf(event);
  if (!bar || !step) return;
  event.preventDefault();
  const bars = [...bar.closest("svg").querySelectorAll("a")];
  bars[Math.max(0, Math.min(bars.length - 1, bars.indexOf(bar) + step))].focus();
});
