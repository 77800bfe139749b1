"use strict";
// Draws the panels of report/chart.py: axes, scales and zoom are uPlot's, the marks are drawn here.
const Charts = (() => {
  const REACH = 28; // pixels from a mark that still point at it
  const PRINTED = 640; // a figure's width on paper, in CSS pixels: one column of A4 or Letter
  const drawn = [];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let inPrint = false;
  let tip;

  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") made.addEventListener("click", value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children.filter((child) => child != null));
    return made;
  }

  function number(value, digits = 4) {
    if (value == null || !Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(2);
    return Number(value.toPrecision(digits)).toLocaleString("en", { maximumFractionDigits: 8 });
  }

  const counted = (many, noun) => `${many.toLocaleString("en")} ${noun}${many === 1 ? "" : "s"}`;
  const ink = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  const isDark = () => dark.matches && !inPrint;

  function colour(value) {
    if (!value) return ink("--ink");
    if (!isDark()) return value;
    const parts = [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
    const light = (0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]) / 255;
    const mix = light < 0.5 ? 0.4 : 0.1;
    return `rgb(${parts.map((part) => Math.round(part + (255 - part) * mix)).join(" ")})`;
  }

  function extent(panel, axis, log) {
    let low = Infinity, high = -Infinity;
    const take = (value) => {
      if (value == null || !Number.isFinite(value) || (log && value <= 0)) return;
      if (value < low) low = value;
      if (value > high) high = value;
    };
    const along = panel.rows ? "x" : "y";
    for (const one of panel.series || []) {
      (one[axis] || []).forEach(take);
      if (axis === along) { (one.low || []).forEach(take); (one.high || []).forEach(take); }
    }
    for (const rule of panel.rules || []) if (rule.axis === axis) take(rule.value);
    if (axis === "x") (panel.margin || []).forEach((value) => take(1.5 * value));
    if (!Number.isFinite(low)) return log ? [0.1, 10] : [0, 1];
    if (log) return low === high ? [low / 2, high * 2] : [low / 1.3, high * 1.3];
    if (panel.zero && axis === along) low = Math.min(0, low);
    const room = (high - low || Math.abs(high) || 1) * 0.04;
    return [panel.zero && low === 0 && axis === along ? 0 : low - room, high + room];
  }

  function shape(context, marker, x, y, size, hollow, paint) {
    context.beginPath();
    const half = size;
    switch (marker) {
      case "s": context.rect(x - half * 0.85, y - half * 0.85, half * 1.7, half * 1.7); break;
      case "^": context.moveTo(x, y - half); context.lineTo(x + half, y + half); context.lineTo(x - half, y + half); context.closePath(); break;
      case "v": context.moveTo(x, y + half); context.lineTo(x + half, y - half); context.lineTo(x - half, y - half); context.closePath(); break;
      case ">": context.moveTo(x + half, y); context.lineTo(x - half, y + half); context.lineTo(x - half, y - half); context.closePath(); break;
      case "<": context.moveTo(x - half, y); context.lineTo(x + half, y + half); context.lineTo(x + half, y - half); context.closePath(); break;
      case "D": context.moveTo(x, y - half * 1.2); context.lineTo(x + half * 1.2, y); context.lineTo(x, y + half * 1.2); context.lineTo(x - half * 1.2, y); context.closePath(); break;
      case "|": context.moveTo(x, y - half * 2); context.lineTo(x, y + half * 2); context.stroke(); return;
      case "X": case "P": case "*": context.moveTo(x - half, y - half); context.lineTo(x + half, y + half); context.moveTo(x + half, y - half); context.lineTo(x - half, y + half); context.stroke(); return;
      case "ring": context.arc(x, y, half * 2, 0, 7); context.stroke(); return;
      default: context.arc(x, y, half, 0, 7);
    }
    context.fillStyle = hollow ? ink("--paper") : paint;
    context.fill();
    if (hollow) context.stroke();
  }

  class Plot {
    constructor(host, panel, options) {
      Object.assign(this, { host, panel, options, hidden: new Set(), marks: [], at: -1 });
      this.log = { x: (panel.log || "").includes("x"), y: (panel.log || "").includes("y") };
      this.box = el("div", { class: "plot", tabindex: "0", role: "group", "aria-label": options.label || panel.title });
      this.legend = el("div", { class: "legend" });
      host.append(el("p", { class: "panel-title" }, panel.title), this.legend, this.box);
      this.box.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("blur", hideTip);
      this.names();
      this.draw();
      drawn.push(this);
      this.observer = new ResizeObserver(() => this.resize());
      this.observer.observe(host);
    }

    destroy() {
      this.observer.disconnect();
      if (this.plot) this.plot.destroy();
      drawn.splice(drawn.indexOf(this), 1);
    }

    names() {
      const known = new Map();
      for (const one of this.panel.series || []) if (!known.has(one.name)) known.set(one.name, one);
      this.legend.replaceChildren();
      if (known.size < 2 && this.panel.rows) return;
      for (const [name, one] of known) {
        if (this.panel.rows && one.faint && known.size > 6 && one.kind !== "bar") continue;
        const swatch = el("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.borderTop = `3px ${one.dashed ? "dashed" : "solid"} ${colour(one.colour)}`;
        const button = el("button", { type: "button", class: "key", "aria-pressed": String(!this.hidden.has(name)) }, swatch, name);
        button.addEventListener("click", () => {
          if (this.hidden.has(name)) this.hidden.delete(name); else this.hidden.add(name);
          button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
          this.plot.redraw();
        });
        this.legend.append(button);
      }
    }

    labels(width) {
      const context = document.createElement("canvas").getContext("2d");
      context.font = "12px system-ui, sans-serif";
      const most = Math.min(0.46 * width, 300);
      return (this.panel.rows || []).map((name) => {
        let text = name;
        for (let kept = name.length - 1; kept > 3 && context.measureText(text).width > most; kept--) {
          text = `${name.slice(0, Math.ceil(kept / 2))}…${name.slice(-Math.floor(kept / 2))}`; // both ends tell names apart
        }
        return { text, width: context.measureText(text).width };
      });
    }

    draw() {
      if (this.plot) this.plot.destroy();
      const panel = this.panel, rows = panel.rows;
      const width = inPrint ? PRINTED : Math.max(200, this.host.clientWidth || 600);
      const height = rows ? 56 + Math.max(1, rows.length) * (rows.length > 30 ? 20 : 34) : width < 480 ? 230 : 280;
      const xs = extent(panel, "x", this.log.x);
      const ys = rows ? [-0.6, rows.length - 0.4] : extent(panel, "y", this.log.y);
      const labels = rows ? this.labels(width) : [];
      const axis = { stroke: () => ink("--ink"), grid: { stroke: () => ink("--faint"), width: 1 }, ticks: { stroke: () => ink("--faint"), width: 1 }, font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelSize: 22 };
      const ticks = (u, splits) => splits.map((value) => (value == null ? "" : number(value, 6)));
      this.size = [width, height];
      this.plot = new uPlot({
        width, height,
        padding: [8, 14, 0, 0],
        legend: { show: false },
        cursor: { points: { show: false }, drag: { x: true, y: false }, y: false },
        scales: {
          x: { time: false, distr: this.log.x ? 3 : 1, range: (u, low, high) => (low == null || low === high ? xs : [low, high]) },
          y: { distr: this.log.y && !rows ? 3 : 1, dir: rows ? -1 : 1, range: () => ys },
        },
        series: [{}, { paths: () => null, points: { show: false } }],
        axes: [
          { ...axis, label: panel.x, values: ticks, space: width < 480 ? 44 : 64 },
          rows
            ? { ...axis, grid: { show: false }, splits: () => rows.map((_, place) => place), values: () => labels.map((one) => one.text), size: Math.max(30, ...labels.map((one) => one.width)) + 14 }
            : { ...axis, label: panel.y, values: ticks, size: 58 },
        ],
        hooks: { draw: [(u) => this.paint(u)] },
      }, [xs, ys], this.box);
      const over = this.plot.over;
      over.addEventListener("mousemove", (event) => this.point(event));
      over.addEventListener("mouseleave", hideTip);
      over.addEventListener("click", (event) => { this.point(event); this.open(); });
    }

    resize() {
      if (!inPrint && Math.abs((this.host.clientWidth || 0) - this.size[0]) > 2 && this.host.clientWidth > 0) this.draw();
    }

    paint(u) {
      const context = u.ctx, ratio = devicePixelRatio || 1, panel = this.panel;
      const rows = Boolean(panel.rows);
      const X = (value) => u.valToPos(value, "x", true), Y = (value) => u.valToPos(value, "y", true);
      const known = (value, log) => value != null && Number.isFinite(value) && !(log && value <= 0);
      const { left, top, width, height } = u.bbox;
      this.marks = [];
      context.save();
      context.beginPath();
      context.rect(left, top, width, height);
      context.clip();
      if (panel.margin && !this.log.x) {
        context.fillStyle = ink("--faint");
        context.fillRect(X(panel.margin[0]), top, X(panel.margin[1]) - X(panel.margin[0]), height);
      }
      for (const rule of panel.rules || []) {
        if (!known(rule.value, this.log[rule.axis])) continue;
        context.strokeStyle = ink("--muted");
        context.lineWidth = ratio;
        context.setLineDash([2 * ratio, 3 * ratio]);
        context.beginPath();
        if (rule.axis === "x") { context.moveTo(X(rule.value), top); context.lineTo(X(rule.value), top + height); }
        else { context.moveTo(left, Y(rule.value)); context.lineTo(left + width, Y(rule.value)); }
        context.stroke();
        context.setLineDash([]);
        if (rule.text) {
          context.fillStyle = ink("--muted");
          context.font = `${11 * ratio}px system-ui, sans-serif`;
          context.textAlign = "right";
          context.textBaseline = "bottom";
          context.fillText(rule.text, left + width - 4 * ratio, Y(rule.value) - 2 * ratio);
        }
      }
      (panel.series || []).forEach((one, which) => {
        if (this.hidden.has(one.name)) return;
        const paint = colour(one.colour);
        const xs = one.x || [], ys = one.y || [];
        context.strokeStyle = paint;
        context.lineWidth = (one.width || 1.6) * ratio;
        context.globalAlpha = 1;
        if (one.kind === "bar") {
          context.fillStyle = one.colour ? paint : ink("--faint");
          xs.forEach((_, at) => {
            const from = X(one.low[at]), to = X(one.high[at]), tall = Math.abs(Y(1) - Y(0)) * 0.62;
            context.fillRect(from, Y(ys[at]) - tall / 2, Math.max(0, to - from), tall);
            this.marks.push({ which, at, x: (from + to) / 2, y: Y(ys[at]) });
          });
          return;
        }
        if (one.kind === "line") {
          if (one.low) {
            context.globalAlpha = 0.16;
            context.fillStyle = paint;
            context.beginPath();
            xs.forEach((x, at) => { if (known(one.high[at], this.log.y)) context.lineTo(X(x), Y(one.high[at])); });
            for (let at = xs.length - 1; at >= 0; at--) if (known(one.low[at], this.log.y)) context.lineTo(X(xs[at]), Y(one.low[at]));
            context.fill();
            context.globalAlpha = 1;
          }
          if (one.dashed) context.setLineDash([6 * ratio, 4 * ratio]);
          context.beginPath();
          let pen = false;
          xs.forEach((x, at) => {
            if (!known(ys[at], this.log.y) || !known(x, this.log.x)) { pen = false; return; }
            if (pen) context.lineTo(X(x), Y(ys[at])); else context.moveTo(X(x), Y(ys[at]));
            pen = true;
          });
          context.stroke();
          if (one.second) {
            context.strokeStyle = colour(one.second);
            context.setLineDash([6 * ratio, 6 * ratio]);
            context.stroke();
          }
          context.setLineDash([]);
        }
        const few = one.kind === "points" || xs.length === 1;
        const size = (one.faint || xs.length > 60 ? 2.6 : 4) * ratio;
        for (let at = 0; at < xs.length; at++) {
          const lost = rows && one.kind === "points" && xs[at] == null; // an arrow at the edge
          if (!(lost || known(xs[at], this.log.x)) || !known(ys[at], this.log.y && !rows)) continue;
          const x = lost ? left + width - 8 * ratio : X(xs[at]), y = Y(ys[at]);
          this.marks.push({ which, at, x, y });
          if (!few) continue;
          if (one.low && known(one.low[at], rows ? this.log.x : this.log.y) && !one.whiskerless) {
            context.globalAlpha = 0.9;
            context.beginPath();
            if (rows) { context.moveTo(X(one.low[at]), y); context.lineTo(X(one.high[at]), y); }
            else { context.moveTo(x, Y(one.low[at])); context.lineTo(x, Y(one.high[at])); }
            context.stroke();
          }
          context.globalAlpha = one.faint ? 0.55 : 1;
          context.lineWidth = (one.marker === "|" ? 2.4 : 1.4) * ratio;
          shape(context, lost && one.marker !== "ring" ? ">" : one.marker, x, y, size, one.hollow, paint);
        }
        context.globalAlpha = 1;
      });
      context.restore();
    }

    told({ which, at }) {
      const panel = this.panel, one = panel.series[which];
      const row = panel.rows ? panel.rows[Math.min(panel.rows.length - 1, Math.max(0, Math.round(one.y[at])))] : "";
      const lines = [row && row !== one.name ? `${row}: ${one.name}` : one.name];
      const along = panel.rows ? "x" : "y";
      const interval = one.kind !== "bar" && one.low && one.low[at] != null
        ? ` (${one.why ? `${one.why}: ` : ""}${number(one.low[at])} to ${number(one.high[at])})` : "";
      if (one.text && one.text[at]) lines.push(one.text[at]);
      if (!one.text || one.kind !== "bar") {
        if (!panel.rows) lines.push(`${panel.x} ${number(one.x[at])}`);
        lines.push(`${panel[along] || along} ${number(one[along][at])}${interval}`);
      }
      if (one.runs && one.runs[at] && this.options.run) lines.push("Enter or click: this run");
      return lines;
    }

    point(event) {
      this.byKey = false;
      const ratio = devicePixelRatio || 1, box = this.plot.over.getBoundingClientRect();
      const x = (event.clientX - box.left) * ratio + this.plot.bbox.left, y = (event.clientY - box.top) * ratio + this.plot.bbox.top;
      let best = -1, least = (REACH * ratio) ** 2;
      this.marks.forEach((mark, place) => {
        const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2;
        if (distance < least) { least = distance; best = place; }
      });
      this.show(best);
    }

    show(place) {
      this.at = place;
      if (place < 0) { hideTip(); return; }
      const mark = this.marks[place], ratio = devicePixelRatio || 1;
      const box = this.plot.root.getBoundingClientRect();
      showTip(this.told(mark), box.left + mark.x / ratio, box.top + mark.y / ratio);
    }

    open() {
      const mark = this.marks[this.at];
      const runs = mark && this.panel.series[mark.which].runs;
      if (runs && runs[mark.at] && this.options.run) { hideTip(); this.options.run(runs[mark.at]); }
    }

    key(event) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (step && this.marks.length) {
        event.preventDefault();
        this.byKey = true;
        this.show((this.at + step + this.marks.length) % this.marks.length);
      } else if (event.key === "Enter") this.open();
      else if (event.key === "Escape") hideTip();
    }
  }

  function showTip(lines, x, y) {
    if (!tip) {
      tip = el("div", { class: "tip", role: "status", "aria-live": "polite" });
    }
    const open = document.querySelector("dialog[open]");
    (open || document.body).append(tip);
    tip.replaceChildren(...lines.map((line) => el("div", {}, line)));
    tip.hidden = false;
    const width = tip.offsetWidth, height = tip.offsetHeight;
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
    tip.style.top = `${y - height - 10 > 4 ? y - height - 10 : y + 14}px`;
  }

  function hideTip() { if (tip) tip.hidden = true; }

  function redrawAll() { for (const one of drawn) { one.names(); one.plot.redraw(); } }
  dark.addEventListener("change", redrawAll);
  // a mark that the keyboard chose keeps its tip when focus scrolls the page
  addEventListener("scroll", () => {
    const chosen = drawn.find((one) => one.byKey && one.box === document.activeElement);
    if (chosen) chosen.show(chosen.at); else hideTip();
  }, { passive: true });
  return {
    Plot, counted, el, number, redrawAll,
    printing(on) { inPrint = on; for (const one of drawn) { one.draw(); one.names(); } },
    plots: drawn,
  };
})();
