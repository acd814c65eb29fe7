"use strict";
// Everything from the answers is put into the page as text, never as markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const rows = data.rows, SKIPPED = null;
  const state = { name: "", at: 0, labels: {} }; // labels: by place, a rating or SKIPPED

  function el(tag, properties = {}, ...children) {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  }

  // Labels are kept in the browser under the sheet and the annotator's name.

  const storeKey = () => `videojudge-label-${data.sheet}-${state.name}`;

  function stored() {
    try {
      return JSON.parse(localStorage.getItem(storeKey())) ?? {};
    } catch {
      return {};
    }
  }

  function keep() {
    try {
      localStorage.setItem(storeKey(), JSON.stringify(state.labels));
      return true;
    } catch {
      problem("This browser keeps nothing for this page. Export your ratings before you close it.");
      return false;
    }
  }

  function problem(text) { byId("problem").textContent = text; }

  async function send(at) {
    if (!data.served) return;
    try {
      const body = JSON.stringify({ annotator: state.name, row: at, rating: state.labels[at] });
      const headers = { "Content-Type": "application/json" };
      const reply = await fetch("labels", { method: "POST", headers, body });
      if (!reply.ok) throw new Error(await reply.text());
      problem("");
      progress();
    } catch (error) {
      problem(`Not written: ${error.message}. The browser has it; rate again when the server runs.`);
    }
  }

  let asking = false;
  async function progress() {
    if (!data.served || asking) return;
    asking = true;
    try {
      const reply = await fetch("progress");
      if (reply.ok) byId("progress").textContent = await reply.text();
      byId("progress").hidden = false;
    } finally {
      asking = false;
    }
  }

  async function start(event) {
    event.preventDefault();
    state.name = byId("name").value.replaceAll(",", " ").trim().replaceAll(/\s+/g, " ");
    if (!state.name) return;
    state.labels = stored();
    if (data.served) {
      const reply = await fetch(`labels?annotator=${encodeURIComponent(state.name)}`);
      if (reply.ok) Object.assign(state.labels, await reply.json());
      // What the browser has and the server lacks was rated while the server did not run.
    }
    keep();
    byId("who").hidden = true;
    byId("task").hidden = false;
    progress();
    go(firstOpen());
  }

  const firstOpen = () => Math.max(0, rows.findIndex((_, k) => !(k in state.labels)));

  function go(at) {
    state.at = Math.max(0, Math.min(at, rows.length - 1));
    const { row, video } = rows[state.at];
    byId("place").textContent = `Answer ${state.at + 1} of ${rows.length}`;
    byId("instruction").textContent = row.instruction;
    byId("response").textContent = row.response || "(an empty answer)";
    const references = row.references ?? [];
    byId("references").replaceChildren(...(references.length ? [el("details", {},
      el("summary", {}, `Good answers, for comparison (${references.length})`),
      el("ul", {}, ...references.map((text) => el("li", {}, text))))] : []));
    film(video, row.video_id);
    mark();
    byId("place").focus();
  }

  function film(video, name) {
    const place = byId("film");
    if (place.dataset.video === String(video ?? name)) return; // the same video plays on
    place.dataset.video = String(video ?? name);
    const player = video && el("video", { src: video, controls: true, loop: true, muted: true });
    player?.setAttribute("aria-label", "The video");
    player?.addEventListener("error", () => {
      place.append(el("p", { className: "problem" }, `The video cannot be played: ${video}`));
    }, { once: true });
    place.replaceChildren(player || el("p", { className: "hint" }, "There is no file of this video."));
  }

  function mark() {
    const label = state.labels[state.at], has = state.at in state.labels;
    for (const button of byId("levels").children) {
      button.setAttribute("aria-pressed", String(has && button.value === String(label ?? "")));
    }
    const given = Object.values(state.labels);
    const skipped = given.filter((each) => each === SKIPPED).length;
    byId("done").textContent = `${given.length - skipped} rated, ${skipped} skipped`;
    byId("back").disabled = state.at === 0;
    byId("on").disabled = state.at === rows.length - 1;
    byId("export").disabled = given.length === skipped;
  }

  function rate(label) {
    const at = state.at;
    state.labels[at] = label;
    if (keep()) problem("");
    send(at);
    if (at < rows.length - 1) go(at + 1);
    else mark();
  }

  // One line an answer, as videojudge judge --gold-subset and videojudge data add read it.

  function lines() {
    return rows.flatMap(({ row }, k) => (state.labels[k] ?? SKIPPED) === SKIPPED ? [] : [JSON.stringify(
      { ...row, ratings: [state.labels[k]], labels: { ...row.labels, annotators: state.name } })]);
  }

  function save() {
    const file = new Blob([`${lines().join("\n")}\n`], { type: "application/jsonl" });
    const name = state.name.replaceAll(/[^\p{L}\p{N}]+/gu, "-");
    const link = el("a", { href: URL.createObjectURL(file), download: `labels-${name}.jsonl` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function key(event) {
    const busy = event.ctrlKey || event.metaKey || event.altKey || byId("task").hidden;
    if (busy || event.target.tagName === "INPUT") return;
    const film = byId("film").querySelector("video"), plays = event.target === document.body
      || event.target === byId("place");
    if (data.levels.map(String).includes(event.key)) rate(Number(event.key));
    else if (event.key === "s") rate(SKIPPED);
    else if (event.key === "ArrowRight" && event.target !== film) go(state.at + 1);
    else if (event.key === "ArrowLeft" && event.target !== film) go(state.at - 1);
    else if (event.key === " " && film && plays) film.paused ? film.play() : film.pause();
    else return;
    event.preventDefault();
  }

  for (const level of data.levels) {
    const button = el("button", { type: "button", value: String(level) }, String(level));
    button.addEventListener("click", () => rate(level));
    byId("levels").append(button);
  }
  const skip = el("button", { type: "button", value: "" }, "Skip");
  skip.addEventListener("click", () => rate(SKIPPED));
  byId("levels").append(skip);
  byId("who").addEventListener("submit", start);
  byId("back").addEventListener("click", () => go(state.at - 1));
  byId("on").addEventListener("click", () => go(state.at + 1));
  byId("first").addEventListener("click", () => go(firstOpen()));
  byId("export").addEventListener("click", save);
  document.addEventListener("keydown", key);
  byId("stored").textContent = data.served
    ? "Ratings are written on this machine as you give them."
    : "Ratings stay in this browser until you export them; come back under the same name to go on.";
  document.documentElement.dataset.readyMs = String(Math.round(performance.now()));
})();
