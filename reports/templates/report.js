(() => {
  "use strict";
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const name = () => { toggle.textContent = theme() === "dark" ? "Light colours" : "Dark colours"; };
  toggle.addEventListener("click", () => { root.dataset.theme = theme() === "dark" ? "light" : "dark"; name(); });
  dark.addEventListener("change", name);
  name();
  toggle.hidden = false;

  const form = document.getElementById("filter");
  const findings = [...document.querySelectorAll(".finding")];
  if (form) {
    const boxes = [...form.querySelectorAll('[name="severity"]')];
    const only = document.getElementById("only-blocking");
    const text = document.getElementById("text");
    const shown = document.getElementById("shown");
    const known = new Map();
    const words = (item) => {
      if (!known.has(item)) known.set(item, item.textContent.toLowerCase());
      return known.get(item);
    };
    const apply = () => {
      const levels = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
      const wanted = text.value.trim().toLowerCase();
      let count = 0;
      for (const item of findings) {
        const fits = levels.has(item.dataset.severity) && (!only.checked || item.dataset.blocking === "yes")
          && (!wanted || words(item).includes(wanted));
        item.hidden = !fits;
        count += fits;
      }
      shown.textContent = `${count} of ${findings.length} shown`;
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", apply);
    apply();
    form.hidden = false;
  }

  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });
})();
