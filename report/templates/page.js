"use strict";
// The page's data (report/payload.py), its figures, and the explorer of runs.
(async () => {
  const { counted, el, number, Plot } = Charts;
  const $ = (selector, root = document) => root.querySelector(selector);
  const SHOWN = 50;

  async function part(name) {
    const text = $(`#data-${name}`).textContent.trim();
    const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }
  const loaded = {};
  const load = (name) => (loaded[name] ??= part(name));

  function value(columns, name, row) {
    const column = columns[name];
    if (!column) return null;
    if ("c" in column) return column.c;
    return column.d ? column.d[column.i[row]] : column.v[row];
  }

  function saved(name, rows) {
    const cell = (one) => {
      const text = one == null ? "" : String(one);
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    };
    const content = rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
    const link = el("a", { href: URL.createObjectURL(new Blob([content], { type: "text/csv" })), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // Figures

  function ofChart(panels) {
    const rows = [["panel", "series", "row", "x", "y", "low", "high", "note", "run"]];
    for (const panel of panels) for (const one of panel.series || []) (one.x || []).forEach((x, at) => {
      const y = one.y[at];
      const name = panel.rows ? panel.rows[Math.min(panel.rows.length - 1, Math.max(0, Math.round(y)))] : "";
      rows.push([panel.title, one.name, name, x, panel.rows ? "" : y, one.low?.[at], one.high?.[at], one.text?.[at], one.runs?.[at]]);
    });
    return rows;
  }

  function ofGrids(grids) {
    const rows = [["matrix", "labelled as", "predicted as", "galaxies"]];
    for (const grid of grids) grid.values.forEach((line, at) => line.forEach((count, to) => rows.push([grid.title, grid.rows[at], grid.columns[to], count])));
    return rows;
  }

  function figure(node, charts) {
    const name = node.id, chart = charts[name], tools = $(".tools", node);
    if (!chart) return;
    const csv = el("button", { type: "button", class: "button", onclick: () => saved(`${name}.csv`, chart.panels ? ofChart(chart.panels) : ofGrids(chart.grids)) }, "Data (CSV)");
    tools.prepend(csv);
    if (!chart.panels) return;
    const host = $(".chart", node);
    const alt = $(".alt", node).textContent;
    const plots = [];
    const make = () => {
      if (plots.length) return;
      host.replaceChildren();
      for (const panel of chart.panels) {
        const cell = el("div", { class: "panel" });
        host.append(cell);
        plots.push(new Plot(cell, panel, { run: showRun, label: `${panel.title}. ${alt}`.slice(0, 600) }));
      }
    };
    node.make = make;
    const axis = chart.panels.some((panel) => panel.rows) ? "x" : "y";
    const box = el("input", { type: "checkbox" });
    box.checked = chart.panels.some((panel) => (panel.log || "").includes(axis));
    box.addEventListener("change", () => { make(); for (const plot of plots) { plot.log[axis] = box.checked; plot.draw(); } });
    const positive = chart.panels.some((panel) => (panel.series || []).some((one) => one.x?.length) && (panel.series || []).every((one) => (one[axis] || []).every((v) => v == null || v > 0)));
    if (positive) tools.prepend(el("label", { class: "button" }, box, " log scale"));
    new IntersectionObserver((entries, watcher) => {
      if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); make(); }
    }, { rootMargin: "400px" }).observe(host);
  }

  addEventListener("beforeprint", () => {
    document.querySelectorAll("figure").forEach((node) => node.make && node.make());
    Charts.printing(true);
  });
  addEventListener("afterprint", () => Charts.printing(false));

  // Runs

  const runs = await load("runs");
  const { columns, n, fields } = runs;
  const byName = new Map(fields.map((field) => [field.name, field]));
  const at = new Map(Array.from({ length: n }, (_, row) => [value(columns, "execution_id", row), row]));
  const get = (name, row) => value(columns, name, row);
  const shownAs = (name, row) => {
    const found = get(name, row), field = byName.get(name);
    if (found == null) return "–";
    if (field && field.low && get(field.low, row) != null) return `${number(found)} [${number(get(field.low, row))}, ${number(get(field.high, row))}]`;
    return typeof found === "number" ? number(found) : String(found);
  };
  const title = (row) => `${get("framework", row)} ${get("architecture", row)} seed ${get("seed", row) ?? "–"}`;

  const facets = runs.facets.filter((name) => columns[name]?.d && columns[name].d.length > 1);
  const chosen = Object.fromEntries(facets.map((name) => [name, new Set()]));
  const state = { sort: "", down: false, seeds: null, words: "", x: "epoch_seconds_median", y: "test_accuracy", logx: false, logy: false, shown: [], limit: SHOWN };
  const picks = new Set();
  let plot = null;

  function seedsOf(text) {
    const found = new Set();
    for (const word of text.split(/[\s,]+/).filter(Boolean)) {
      const range = /^(\d+)-(\d+)$/.exec(word);
      if (range) for (let seed = Number(range[1]); seed <= Math.min(Number(range[2]), Number(range[1]) + 1e6); seed++) found.add(seed);
      else if (/^\d+$/.test(word)) found.add(Number(word));
    }
    return found.size ? found : null;
  }

  function apply() {
    const tests = facets.filter((name) => chosen[name].size).map((name) => [columns[name].i, chosen[name]]);
    const words = state.words.toLowerCase();
    const rows = [];
    for (let row = 0; row < n; row++) {
      if (state.seeds && !state.seeds.has(get("seed", row))) continue;
      if (!tests.every(([index, wanted]) => wanted.has(index[row]))) continue;
      if (words && !fields.some((field) => String(get(field.name, row) ?? "").toLowerCase().includes(words))) continue;
      rows.push(row);
    }
    if (state.sort) {
      const sign = state.down ? -1 : 1;
      rows.sort((a, b) => {
        const one = get(state.sort, a), other = get(state.sort, b);
        if (one == null || other == null) return (one == null) - (other == null);
        return sign * (typeof one === "number" ? one - other : String(one).localeCompare(String(other)));
      });
    }
    state.shown = rows;
    state.limit = SHOWN;
    $("#shown").textContent = `${rows.length.toLocaleString("en")} of ${counted(n, "run")} shown`;
    for (const name of facets) {
      const size = chosen[name].size;
      $(`#facet-${name} summary span`).textContent = size ? `${size} of ${columns[name].d.length}` : "all";
    }
    list();
    scatter();
  }

  function list() {
    const body = $("#runs tbody");
    body.replaceChildren(...state.shown.slice(0, state.limit).map((row) => {
      const box = el("input", { type: "checkbox", "aria-label": `compare ${title(row)}` });
      box.checked = picks.has(row);
      box.addEventListener("change", () => {
        if (box.checked) picks.add(row); else picks.delete(row);
        comparable();
      });
      const open = el("button", { type: "button", class: "link", onclick: () => showRun(get("execution_id", row)) }, String(get("run_id", row)).slice(0, 8));
      const line = el("tr", {}, el("td", {}, box), el("td", {}, open));
      for (const field of fields.filter((one) => one.listed)) {
        line.append(el("td", { class: `${field.number ? "r" : "l"}${field.narrow ? "" : " wide"}` }, shownAs(field.name, row)));
      }
      return line;
    }));
    const more = state.shown.length - state.limit;
    $("#more").hidden = more <= 0;
    $("#more").textContent = `Show ${Math.min(more, 200)} more of ${more.toLocaleString("en")}`;
    $("#none").hidden = state.shown.length > 0;
    document.querySelectorAll("#runs th[data-name]").forEach((head) => {
      const sorted = head.dataset.name === state.sort;
      if (sorted) head.setAttribute("aria-sort", state.down ? "descending" : "ascending"); else head.removeAttribute("aria-sort");
    });
  }

  function comparable() {
    $("#compare").disabled = picks.size !== 2;
    $("#compare").textContent = picks.size === 2 ? "Compare the two" : `Compare (pick two; ${picks.size} picked)`;
  }

  function scatter() {
    const series = new Map(), field = (name) => byName.get(name);
    for (const row of state.shown) {
      const x = get(state.x, row), y = get(state.y, row);
      if (x == null || y == null) continue;
      const framework = get("framework", row);
      if (!series.has(framework)) {
        const look = runs.looks[framework] || {};
        series.set(framework, { name: look.name || framework, kind: "points", colour: look.colour, marker: look.marker, x: [], y: [], low: [], high: [], runs: [], text: [], why: field(state.y).why });
      }
      const one = series.get(framework);
      one.x.push(x);
      one.y.push(y);
      one.low.push(field(state.y).low ? get(field(state.y).low, row) : null);
      one.high.push(field(state.y).low ? get(field(state.y).high, row) : null);
      one.runs.push(get("execution_id", row));
      one.text.push(`${title(row)}, ${get("tuning", row)}, ${get("precision", row)}`);
    }
    for (const one of series.values()) if (one.low.every((low) => low == null)) { delete one.low; delete one.high; } else if (one.x.length > 300) one.whiskerless = true;
    const host = $("#scatter");
    const panel = { title: `${field(state.y).label} by ${field(state.x).label}`, x: field(state.x).label, y: field(state.y).label, series: [...series.values()], log: (state.logx ? "x" : "") + (state.logy ? "y" : "") };
    if (plot) { plot.destroy(); plot = null; }
    host.replaceChildren();
    if (!series.size) return void host.append(el("p", {}, `No run shown has both: ${panel.y} and ${panel.x}.`));
    const told = `${panel.title}: ${[...series.values()].map((one) => `${counted(one.x.length, "run")} of ${one.name}`).join(", ")}. Arrow keys go from run to run.`;
    plot = new Plot(host, panel, { run: showRun, label: told });
  }

  // One run, and two side by side

  async function details(row) {
    const more = await load("details");
    const found = new Map();
    for (const [name, meaning] of more.meanings) {
      const one = value(more.columns, name, row) ?? value(columns, name, row);
      if (one != null && one !== "") found.set(name, { meaning, value: one });
    }
    return found;
  }

  async function curves(rows) {
    const epochs = await load("epochs");
    const panels = [];
    for (const measure of ["accuracy", "loss"]) {
      const series = [];
      rows.forEach((row, place) => {
        for (const split of ["train", "validation"]) {
          const [from, to] = [epochs.starts[row], epochs.starts[row + 1]];
          const line = { name: `${rows.length > 1 ? `${"AB"[place]}: ` : ""}${split === "train" ? "training" : split}`, kind: "line", colour: ["#0072B2", "#D55E00"][place], dashed: split === "train", x: [], y: [] };
          for (let one = from; one < to; one++) if (epochs.split[one] === (split === "train" ? 0 : 1) && epochs[measure][one] != null) { line.x.push(epochs.epoch[one]); line.y.push(epochs[measure][one]); }
          if (line.x.length) series.push(line);
        }
      });
      if (series.length) panels.push({ title: measure, x: "epoch", y: measure, series });
    }
    return panels;
  }

  let inDialog = [];
  async function drawCurves(host, rows) {
    const panels = await curves(rows);
    if (!panels.length) { host.append(el("p", {}, "No epochs were recorded of this.")); return; }
    for (const panel of panels) {
      const cell = el("div", { class: "panel" });
      host.append(cell);
      inDialog.push(new Plot(cell, panel, { label: `${panel.title} by epoch` }));
    }
  }

  function pretty(text) {
    if (typeof text === "string" && /^[[{]/.test(text)) try { return JSON.stringify(JSON.parse(text), null, 1); } catch { return text; }
    return typeof text === "number" ? String(text) : text;
  }

  function dialog(heading, ...content) {
    const box = $("#dialog");
    inDialog.forEach((one) => one.destroy());
    inDialog = [];
    $("#dialog-body").replaceChildren(el("h2", { id: "dialog-title" }, heading), ...content);
    if (!box.open) box.showModal();
    box.scrollTop = 0;
  }
  $("#dialog").addEventListener("close", () => {
    inDialog.forEach((one) => one.destroy());
    inDialog = [];
    if (location.hash.startsWith("#run=")) history.replaceState(null, "", location.pathname + location.search);
  });
  $("#close").addEventListener("click", () => $("#dialog").close());

  async function showRun(id) {
    const row = at.get(id);
    if (row == null) return;
    const found = await details(row);
    const command = get("command", row);
    const copy = el("button", { type: "button", class: "button", onclick: async () => {
      try { await navigator.clipboard.writeText(command); copy.textContent = "Copied"; } catch { copy.textContent = "Select the text and copy it"; }
    } }, "Copy");
    const host = el("div", { class: "chart" });
    const failed = get("status", row) !== "ok";
    const log = found.get("log");
    const facts = [...found].map(([name, one]) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, el("pre", { class: "value" }, pretty(one.value))), el("td", { class: "wide" }, one.meaning)));
    dialog(
      title(row),
      el("p", {}, `Run ${get("run_id", row)}, status ${get("status", row)}${failed ? `: ${get("reason", row) ?? "no reason was recorded"}` : ""}.`),
      failed && log ? el("h3", {}, "The end of its log") : null,
      failed && log ? el("pre", {}, log.value) : null,
      el("h3", {}, "Repeat it"),
      el("pre", { class: "command" }, command || "Its row does not say enough to repeat it."),
      command ? copy : null,
      command && get("command_note", row) ? el("p", { class: "small" }, get("command_note", row)) : null,
      el("h3", {}, "How it learned"),
      host,
      el("h3", {}, "Everything recorded"),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "all fields" }, el("table", {}, el("thead", {}, el("tr", {}, ...["field", "value", "meaning"].map((name, place) => el("th", { scope: "col", class: place === 2 ? "wide" : null }, name)))), el("tbody", {}, ...facts))),
    );
    history.replaceState(null, "", `#run=${encodeURIComponent(id)}`);
    await drawCurves(host, [row]);
  }

  async function compare() {
    const [a, b] = [...picks];
    const [one, other] = [await details(a), await details(b)];
    const names = [...new Set([...one.keys(), ...other.keys()])];
    const body = el("tbody");
    const only = el("input", { type: "checkbox" });
    only.checked = true;
    const flat = (found) => {
      const leaves = new Map();
      const walk = (name, thing) => {
        if (thing && typeof thing === "object") for (const [key, inner] of Object.entries(thing)) walk(`${name}.${key}`, inner);
        else leaves.set(name, thing == null ? "" : String(thing));
      };
      for (const name of names) {
        let thing = found.get(name)?.value;
        if (typeof thing === "string" && /^[[{]/.test(thing)) try { thing = JSON.parse(thing); } catch { /* text */ }
        walk(name, thing);
      }
      return leaves;
    };
    const [left, right] = [flat(one), flat(other)];
    const fill = () => body.replaceChildren(...[...new Set([...left.keys(), ...right.keys()])]
      .filter((name) => !only.checked || left.get(name) !== right.get(name))
      .map((name) => el("tr", { class: left.get(name) !== right.get(name) ? "differs" : null }, el("th", { scope: "row" }, name), el("td", {}, left.get(name) ?? "–"), el("td", {}, right.get(name) ?? "–"))));
    only.addEventListener("change", fill);
    fill();
    const host = el("div", { class: "chart" });
    dialog(
      "Two runs side by side",
      el("p", {}, `A: ${title(a)}. B: ${title(b)}.`),
      host,
      el("label", { class: "button" }, only, " only what differs"),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "comparison" }, el("table", { id: "comparison" }, el("thead", {}, el("tr", {}, ...["field", `A: ${title(a)}`, `B: ${title(b)}`].map((name) => el("th", { scope: "col" }, name)))), body)),
    );
    await drawCurves(host, [a, b]);
  }

  async function download() {
    const more = await load("details");
    const names = more.meanings.map(([name]) => name);
    saved("runs.csv", [names, ...state.shown.map((row) => names.map((name) => value(more.columns, name, row) ?? value(columns, name, row)))]);
  }

  // The explorer's controls

  function controls() {
    const host = $("#facets");
    for (const name of facets) {
      const box = el("details", { class: "facet", id: `facet-${name}` }, el("summary", {}, `${byName.get(name)?.label ?? name}: `, el("span", {}, "all")));
      const group = el("div", { role: "group", "aria-label": name });
      columns[name].d.forEach((word, index) => {
        const tick = el("input", { type: "checkbox", "data-value": String(word) });
        tick.addEventListener("change", () => { if (tick.checked) chosen[name].add(index); else chosen[name].delete(index); apply(); });
        group.append(el("label", {}, tick, ` ${runs.looks[word]?.name && name === "framework" ? runs.looks[word].name : word ?? "–"}`));
      });
      box.append(group);
      host.append(box);
    }
    const line = (id, act, event = "input") => $(id).addEventListener(event, (happened) => { act(happened.target); });
    line("#seeds", (node) => { state.seeds = seedsOf(node.value); apply(); });
    line("#words", (node) => { state.words = node.value; apply(); });
    for (const way of ["x", "y"]) {
      const select = $(`#axis-${way}`);
      for (const field of fields.filter((one) => one.axis)) select.append(el("option", { value: field.name, selected: field.name === state[way] }, field.label));
      select.addEventListener("change", () => { state[way] = select.value; scatter(); });
      line(`#log-${way}`, (node) => { state[`log${way}`] = node.checked; scatter(); }, "change");
    }
    const head = $("#runs thead tr");
    for (const field of fields.filter((one) => one.listed)) {
      const button = el("button", { type: "button", class: "sort", onclick: () => {
        if (state.sort === field.name) state.down = !state.down; else { state.sort = field.name; state.down = Boolean(field.number); }
        apply();
      } }, field.label);
      head.append(el("th", { scope: "col", "data-name": field.name, class: `${field.number ? "r" : "l"}${field.narrow ? "" : " wide"}` }, button));
    }
    $("#more").addEventListener("click", () => { state.limit += 200; list(); });
    $("#compare").addEventListener("click", compare);
    $("#csv").addEventListener("click", download);
    $("#reset").addEventListener("click", () => {
      for (const name of facets) chosen[name].clear();
      document.querySelectorAll("#facets input").forEach((box) => { box.checked = false; });
      $("#seeds").value = $("#words").value = "";
      Object.assign(state, { seeds: null, words: "", sort: "" });
      apply();
    });
  }

  const charts = await load("charts");
  document.querySelectorAll("figure[data-chart]").forEach((node) => figure(node, charts));
  if (n) { controls(); comparable(); apply(); }
  const linked = () => { if (location.hash.startsWith("#run=")) showRun(decodeURIComponent(location.hash.slice(5))); };
  addEventListener("hashchange", linked);
  linked();
  document.documentElement.dataset.ready = "true";
})().catch((error) => {
  document.documentElement.dataset.ready = "failed";
  const note = document.querySelector("#script-failed");
  if (note) { note.hidden = false; note.append(` (${error.message})`); }
  console.error(error);
});
