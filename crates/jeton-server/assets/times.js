// Times in the viewer's zone, or in UTC for whoever chooses it. The server is told in a cookie (dashboard/zone.rs), for
// what it draws itself.
{
  const CHOSEN = "jeton-utc";
  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const own = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const zone = () => (remembered(CHOSEN) ? "UTC" : own());

  // Minutes ahead of UTC.
  const offset = (format, at) => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
    const shown = Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second);
    return Math.round((shown - Math.floor(at / 1000) * 1000) / 60000);
  };

  // The zone with its offset now and those of the last two years.
  const described = (name) => {
    const format = new Intl.DateTimeFormat("en-GB", { timeZone: name, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
    const day = 86400000;
    let at = Date.now();
    const numbers = [offset(format, at)];
    for (let days = 0; days < 730 && numbers.length < 17; days += 1) {
      const here = offset(format, at), before = offset(format, at - day);
      if (before !== here) {
        let [low, high] = [at - day, at];
        while (high - low > 1000) {
          const middle = Math.floor((low + high) / 2);
          if (offset(format, middle) === here) high = middle; else low = middle;
        }
        numbers.push(Math.round(high / 60000) * 60, before);
      }
      at -= day;
    }
    return [name.replaceAll("/", "~"), ...numbers].join("_");
  };

  const tell = (name) => {
    const brand = document.querySelector(".brand");
    if (!brand) return;
    const path = new URL(brand.href).pathname;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `jeton_zone=${described(name)}; Path=${path}; Max-Age=31536000; SameSite=Lax${secure}`;
  };

  // The Swedish way to write a time is ISO 8601.
  const write = (root, name) => {
    const whole = new Intl.DateTimeFormat("sv-SE", { timeZone: name, dateStyle: "short", timeStyle: "medium" });
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      const text = whole.format(at);
      if (time.dataset.shows === "time") time.textContent = text.slice(11);
      else if (time.dataset.shows === "minute") time.textContent = text.slice(11, 16);
      else if (time.dataset.shows === "all") time.textContent = text;
      else if (time.title) time.title = text;
    }
    for (const place of root.querySelectorAll("[data-zone-name]")) place.textContent = name;
  };

  const name = zone();
  const told = document.body.dataset.zone;
  if (told !== name) tell(name);
  write(document, name);
  // What is refreshed or added later.
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1) write(node.parentNode ?? node, zone());
  }).observe(document.body, { childList: true, subtree: true });

  const toggle = document.getElementById("zone-toggle");
  if (toggle && own() !== "UTC") {
    toggle.hidden = false;
    toggle.textContent = name === "UTC" ? `Show times in ${own()}` : "Show times in UTC";
    toggle.addEventListener("click", () => {
      try {
        if (remembered(CHOSEN)) localStorage.removeItem(CHOSEN); else localStorage.setItem(CHOSEN, "yes");
      } catch { return; }
      tell(zone());
      // A page that the server drew by the other clock is asked for anew; others may show a secret only once.
      if (document.querySelector("[data-zoned]")) location.reload();
      else {
        write(document, zone());
        toggle.textContent = zone() === "UTC" ? `Show times in ${own()}` : "Show times in UTC";
      }
    });
  }
}
