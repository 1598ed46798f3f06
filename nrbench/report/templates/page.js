// Sorting, search and filters; the address says what is shown, so that a link shows the same again.
"use strict";
(() => {
  const only = document.getElementById("only");
  const root = document.documentElement;
  const started = new Map();
  const state = new URLSearchParams(location.hash.startsWith("#~") ? location.hash.slice(2) : "");
  const remember = (key, value) => {
    value ? state.set(key, value) : state.delete(key);
    history.replaceState(null, "", state.size ? `#~${state}` : location.pathname + location.search);
  };

  const start = (element) => {
    if (started.has(element.id)) return;
    const [sorted, word] = [state.get(`sort-${element.id}`), state.get(`find-${element.id}`)];
    const order = /^\d+,(asc|desc)$/.test(sorted || "") && parseInt(sorted) < element.tHead.rows[element.tHead.rows.length - 1].cells.length
      ? [[parseInt(sorted), sorted.split(",")[1]]] : [];
    const many = element.tBodies[0].rows.length > 8;
    const table = new DataTable(element, {
      paging: false, info: false, autoWidth: false, order, search: { search: word || "" },
      layout: { topStart: null, topEnd: many ? "search" : null, bottomStart: null, bottomEnd: null },
    });
    started.set(element.id, table);
    table.on("order", () => {
      const [first] = table.order();
      remember(`sort-${element.id}`, first ? `${first[0]},${first[1]}` : "");
    });
    table.on("search", () => remember(`find-${element.id}`, table.search()));
    filter(element);
  };

  const filter = (element) => {
    const table = started.get(element.id);
    if (table && element.dataset.first === "method") table.column(0).search(only.value).draw();
  };

  only.value = state.get("only") || "";
  if (state.get("theme")) root.dataset.theme = state.get("theme");
  only.addEventListener("input", () => {
    remember("only", only.value);
    document.querySelectorAll("table").forEach(filter);
  });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember("theme", root.dataset.theme);
  });
  const show = (id, smooth) => {
    const target = document.getElementById(id);
    if (!target) return;
    if (target.tagName === "DETAILS") target.open = true;
    target.scrollIntoView(smooth ? { behavior: "smooth" } : {});
  };
  document.querySelectorAll("nav a").forEach((link) => link.addEventListener("click", (event) => {
    const id = link.getAttribute("href").slice(1);
    if (state.size) { event.preventDefault(); remember("at", id); show(id, true); } else show(id);
  }));
  document.querySelectorAll("figcaption a").forEach((link) => { link.href = link.closest("figure").querySelector("img").src; });
  document.querySelectorAll("[data-script]").forEach((element) => { element.hidden = false; });
  document.querySelectorAll("table").forEach((element) => {
    const folded = element.closest("details.sheet");
    if (!folded) start(element);
    else {
      folded.addEventListener("toggle", () => folded.open && start(element));
      if (state.has(`sort-${element.id}`) || state.has(`find-${element.id}`)) folded.open = true;
    }
  });
  if (state.has("at")) show(state.get("at"));
})();
