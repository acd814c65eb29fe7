"use strict";
// Everything from a run (answers, replies, names) is put into the page as text, never as markup.
(() => {
  const byId = (id) => document.getElementById(id);

  function el(tag, properties = {}, ...children) {
    const { data = {}, aria = {}, ...plain } = properties;
    const made = Object.assign(document.createElement(tag), plain);
    for (const [name, value] of Object.entries(aria)) made.setAttribute(`aria-${name}`, value);
    Object.assign(made.dataset, data);
    made.append(...children.filter((child) => child !== null && child !== ""));
    return made;
  }

  // Light or dark: the system's choice until the reader makes one.

  function theme() {
    const button = byId("theme"), root = document.documentElement;
    const kept = (value) => {
      try {
        if (value) localStorage.setItem("videojudge-theme", value);
        return localStorage.getItem("videojudge-theme");
      } catch {
        return value; // a page from a file may have no storage
      }
    };
    const isDark = () => root.dataset.theme
      ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const show = () => { button.textContent = isDark() ? "Light" : "Dark"; };
    if (kept()) root.dataset.theme = kept();
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept(root.dataset.theme);
      show();
    });
    button.hidden = false;
    button.setAttribute("aria-label", "Switch between light and dark");
    show();
  }

  // Tables whose heads sort them. Rows without a value stay at the end.

  function compare(a, b, isNumber) {
    if (a === "" || b === "") return a === b ? 0 : a === "" ? Infinity : -Infinity;
    return isNumber ? Number(a) - Number(b) : String(a).localeCompare(String(b), "en", { numeric: true });
  }

  function sorted(rows, valueOf, isNumber, down) {
    const keyed = rows.map((row, place) => [valueOf(row), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      const order = compare(a, b, isNumber);
      return (Math.abs(order) === Infinity ? order : down ? -order : order) || i - j;
    });
    return keyed.map(([, , row]) => row);
  }

  function sortHead(head, sort) {
    const heads = [...head.querySelectorAll("th[data-sort]")];
    for (const th of heads) {
      const button = el("button", { type: "button" }, ...th.childNodes);
      th.append(button);
      th.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const before = th.getAttribute("aria-sort");
        const down = before === "none" ? th.dataset.sort === "number" : before === "ascending";
        for (const other of heads) other.setAttribute("aria-sort", "none");
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(th.cellIndex, th.dataset.sort === "number", down);
      });
    }
  }

  function sortable(table) {
    const valueOf = (column, isNumber) => (row) => {
      const cell = row.cells[column];
      const text = cell.dataset.value ?? cell.firstChild?.textContent.trim() ?? "";
      return isNumber && Number.isNaN(Number(text)) ? "" : text;
    };
    sortHead(table.tHead, (column, isNumber, down) => {
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("block"));
        body.append(...sorted(rows, valueOf(column, isNumber), isNumber, down));
      }
    });
  }

  function filterBoard() {
    const input = byId("filter");
    if (!input) return;
    const standings = [...document.querySelectorAll(".standing")];
    input.closest("label").hidden = false;
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const standing of standings) {
        const isSet = standing.querySelector("h3").textContent.toLowerCase().includes(wanted);
        let left = 0;
        for (const row of standing.querySelectorAll(".board tbody tr:not(.block)")) {
          row.hidden = !isSet && !row.cells[1].textContent.toLowerCase().includes(wanted);
          left += row.hidden ? 0 : 1;
        }
        standing.hidden = left === 0;
      }
      byId("none").hidden = standings.some((standing) => !standing.hidden);
    });
  }

  // The items: a list in pages, and beside it the one that is selected.

  const PAGE = 50;
  const GROUP = 1, TEXTS = 2, GOLD = 3, LABELS = 4, UNIT = 5, RUNS = 6; // places in an item; 0: id
  const VERDICT = 0, FAR = 1, REPLY = 2, REASON = 3, PROBABILITIES = 4; // places in a run's part
  const VIDEO = 0, INSTRUCTION = 1, REFERENCES = 2, DESCRIPTION = 3; // places in a group

  function items(data) {
    const two = data.runs.length === 2;
    const far = (item, run) => item[RUNS + run]?.[FAR] ?? null;
    const gain = (item) => far(item, 0) === null || far(item, 1) === null
      ? null : far(item, 0) - far(item, 1);
    const units = new Map();
    for (const item of data.items) {
      const key = data.shape === "ratings" ? item[GROUP] : `u${item[UNIT]}`;
      item.key = key;
      if (!units.has(key)) units.set(key, []);
      units.get(key).push(item);
    }
    const shows = {
      "all items": () => true,
      "disagreements": (item) => far(item, 0) > 0 || far(item, 1) > 0,
      "without a verdict": (item) => data.runs.some((_, run) => item[RUNS + run] && far(item, run) === null),
      "with frames and prompt": (item) => Object.hasOwn(data.prompts, item[0]),
      ...(two && {
        "flipped: not equally far from gold": (item) => Boolean(gain(item)),
        [`nearer to gold: ${data.runs[0]}`]: (item) => gain(item) < 0,
        [`nearer to gold: ${data.runs[1]}`]: (item) => gain(item) > 0,
      }),
    };
    const columns = [
      ["response", (item) => item[TEXTS].join("  ⟷  "), "text"],
      ["gold", (item) => item[GOLD], data.shape === "ratings" ? "number" : "text"],
      ...data.runs.map((name, run) => [name, (item) => item[RUNS + run]?.[VERDICT] ?? "", "text"]),
      ["off", (item) => two ? Math.max(far(item, 0) ?? -1, far(item, 1) ?? -1) : far(item, 0) ?? -1, "number"],
      ...(two ? [["change", (item) => gain(item) ?? "", "number"]] : []),
    ];
    const state = { kept: data.items, page: 0, at: 0 };
    const parts = skeleton(data, shows, columns);

    const textOf = (item) => item.text ??= [
      item[0], ...item[TEXTS], item[LABELS], ...data.groups[item[GROUP]].slice(0, 2),
      ...item.slice(RUNS).map((part) => part ? `${part[VERDICT]} ${part[REPLY]} ${part[REASON]}` : ""),
    ].join("\n").toLowerCase();

    function keep() {
      const wanted = parts.search.value.trim().toLowerCase(), shown = shows[parts.show.value];
      state.kept = data.items.filter((item) => shown(item) && (!wanted || textOf(item).includes(wanted)));
      if (state.sort) state.kept = sorted(state.kept, ...state.sort);
      go(0);
    }

    function go(at, focus = false) {
      state.at = Math.max(0, Math.min(at, state.kept.length - 1));
      state.page = Math.floor(state.at / PAGE);
      const first = state.page * PAGE, last = Math.min(first + PAGE, state.kept.length);
      parts.body.replaceChildren(...state.kept.slice(first, last).map((item, k) => line(item, first + k)));
      parts.count.textContent = state.kept.length
        ? `${(first + 1).toLocaleString("en")} to ${last.toLocaleString("en")} of ${state.kept.length.toLocaleString("en")}`
        : "No item fits.";
      parts.back.disabled = first === 0;
      parts.on.disabled = last >= state.kept.length;
      detail(parts.detail, data, state.kept[state.at], units);
      if (focus) parts.body.rows[state.at - first]?.focus();
    }

    function line(item, at) {
      const shown = (value) => typeof value === "number"
        ? (value < 0 && !two ? "–" : String(Math.round(value * 1000) / 1000)) : String(value).slice(0, 200);
      const row = el("tr", { tabIndex: at === state.at ? 0 : -1, aria: { selected: at === state.at } });
      for (const [, valueOf] of columns) row.append(el("td", {}, shown(valueOf(item)) || "–"));
      row.addEventListener("click", () => go(at, true));
      return row;
    }

    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: PAGE, PageUp: -PAGE, Home: -Infinity, End: Infinity };
    parts.body.addEventListener("keydown", (event) => {
      if (event.key === "Enter") parts.detail.focus();
      else if (event.key in moves) go(state.at + moves[event.key], true);
      else return;
      event.preventDefault();
    });
    parts.detail.addEventListener("keydown", (event) => {
      if (event.key === "Escape") go(state.at, true);
    });
    parts.back.addEventListener("click", () => go((state.page - 1) * PAGE));
    parts.on.addEventListener("click", () => go((state.page + 1) * PAGE));
    parts.search.addEventListener("input", keep);
    parts.show.addEventListener("change", keep);
    sortHead(parts.head, (column, isNumber, down) => {
      state.sort = [columns[column][1], isNumber, down];
      keep();
    });
    go(0);
  }

  function skeleton(data, shows, columns) {
    const search = el("input", { type: "search", placeholder: "in ids, texts, labels, replies" });
    const show = el("select", {}, ...Object.keys(shows).map((name) => el("option", { value: name }, name)));
    const head = el("tr", {}, ...columns.map(([name, , kind]) => el("th", { scope: "col", title: name, data: { sort: kind } }, name)));
    const body = el("tbody");
    const table = el("table", { role: "grid", aria: { label: "Items" } }, el("thead", {}, head), body);
    const count = el("span", { role: "status" });
    const back = el("button", { type: "button" }, "Previous"), on = el("button", { type: "button" }, "Next");
    const detail = el("article", { className: "detail", tabIndex: -1, aria: { label: "The selected item" } });
    byId("browser").append(
      el("div", { className: "controls" }, el("label", {}, "Search ", search), el("label", {}, "Show ", show),
        el("span", { className: "hint" }, `off: how far from gold (${data.unit}). Arrow keys move, Enter reads.`)),
      el("div", { className: "split" },
        el("div", { className: "list" }, table, el("div", { className: "pages" }, back, on, count)), detail));
    return { search, show, head, body, count, back, on, detail };
  }

  function detail(place, data, item, units) {
    place.replaceChildren();
    place.hidden = !item;
    if (!item) return;
    const group = data.groups[item[GROUP]];
    const pair = item[TEXTS].length === 2;
    const text = (title, value) => value ? [el("h4", {}, title), el("p", {}, value)] : [];
    const folded = (title, value, open = false) => value
      ? [el("details", { open }, el("summary", {}, title), el("pre", {}, value))] : [];
    place.append(el("h3", {}, item[0]), verdicts(data, item), ...frames(data.videos[group[VIDEO]], item, data),
      ...text("Instruction", group[INSTRUCTION]),
      ...item[TEXTS].flatMap((value, k) => text(pair ? ["First response", "Second response"][k] : "Response", value)));
    if (group[REFERENCES].length) {
      place.append(el("h4", {}, "References"), el("ul", {}, ...group[REFERENCES].map((one) => el("li", {}, one))));
    }
    data.runs.forEach((name, run) => {
      const part = item[RUNS + run], whose = data.runs.length > 1 ? ` of ${name}` : "";
      if (!part) return;
      place.append(...text(`No verdict${whose}`, part[REASON]), ...folded(`Reply${whose}`, part[REPLY], true),
        ...folded(`Prompt${whose}`, data.prompts[item[0]]?.[run]));
    });
    place.append(...siblings(data, item, units.get(item.key)), ...text("Labels", item[LABELS]),
      ...folded("Description of the video", group[DESCRIPTION]));
    place.scrollTop = 0;
  }

  function verdicts(data, item) {
    const list = el("dl", {}, el("dt", {}, "gold"), el("dd", {}, item[GOLD]));
    data.runs.forEach((name, run) => {
      const part = item[RUNS + run];
      const likely = Object.entries(part?.[PROBABILITIES] ?? {}).map(([value, p]) => `${value}: ${p}`).join("  ");
      list.append(el("dt", {}, name), el("dd", {}, part ? part[VERDICT] : "not judged"));
      if (likely) list.append(el("dt", {}, ""), el("dd", { className: "hint" }, likely));
    });
    return list;
  }

  function frames(seen, item, data) {
    if (!seen || !Object.hasOwn(data.prompts, item[0])) return [];
    const [pictures, times, problem] = seen;
    if (problem) return [el("p", { className: "hint" }, `No frames: ${problem}.`)];
    return [el("div", { className: "frames" }, ...pictures.map((src, k) => el("figure", {},
      el("img", { src, alt: `frame at ${times[k]} seconds` }), el("figcaption", {}, `${times[k]} s`))))];
  }

  function siblings(data, item, all) {
    if (all.length < 2) return [];
    const head = el("tr", {}, el("td"), ...["gold", ...data.runs].map((name) => el("th", { scope: "col" }, name)));
    const rows = all.map((other) => el("tr", { className: other === item ? "this" : "" },
      el("td", {}, other[TEXTS].join("  ⟷  ").slice(0, 160)), el("td", {}, other[GOLD]),
      ...data.runs.map((_, run) => el("td", {}, other[RUNS + run]?.[VERDICT] ?? "–"))));
    const title = { ratings: "Responses to this instruction", options: "All options", pairs: "Both orders" };
    return [el("h4", {}, title[data.shape]), el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows))];
  }

  theme();
  document.querySelectorAll("table.sortable").forEach(sortable);
  filterBoard();
  if (byId("data")) items(JSON.parse(byId("data").textContent));
  document.documentElement.dataset.readyMs = String(Math.round(performance.now()));
})();
