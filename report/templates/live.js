"use strict";
// Asks for the state of the session every two seconds and shows it.
(() => {
  const { el, number, Plot } = Charts;
  const $ = (selector) => document.querySelector(selector);
  let plots = [], drawn = "";

  const clock = (seconds) => {
    if (seconds == null) return "unknown";
    const minutes = Math.floor(seconds / 60);
    return minutes >= 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : minutes ? `${minutes} min` : `${Math.round(seconds)} s`;
  };

  function curves(session) {
    const key = `${session.label} ${session.curves.length}`;
    if (key === drawn) return;
    drawn = key;
    plots.forEach((plot) => plot.destroy());
    plots = [];
    $("#curves").replaceChildren();
    for (const measure of ["accuracy", "loss"]) {
      const series = ["train", "validation"].map((split) => {
        const rows = session.curves.filter((row) => row.split === split && row[measure] != null);
        return { name: split === "train" ? "training" : split, kind: "line", colour: split === "train" ? "#D55E00" : "#0072B2", dashed: split === "train", x: rows.map((row) => row.epoch), y: rows.map((row) => row[measure]) };
      }).filter((one) => one.x.length);
      if (!series.length) continue;
      const cell = el("div", { class: "panel" });
      $("#curves").append(cell);
      plots.push(new Plot(cell, { title: measure, x: "epoch", y: measure, series }, { label: `${measure} by epoch` }));
    }
  }

  function show(state) {
    const session = state.sessions[0];
    $("#bar").hidden = !session;
    if (!session) {
      $("#head").textContent = "No session is running";
      $("#state").textContent = `Nothing trains into ${state.store} now. This page looks again every two seconds.`;
      return;
    }
    $("#head").textContent = `Run ${session.number} of ${session.runs}: ${session.label}`;
    const speed = session.images_per_second ? `, ${number(session.images_per_second, 3)} images/s` : "";
    const silent = session.quiet_seconds > 120 ? ` It has said nothing for ${clock(session.quiet_seconds)}: it may have been killed.` : "";
    $("#state").textContent = `${session.phase || "start"}, epoch ${session.epoch} of ${session.epochs}${speed}; about ${clock(session.seconds_left)} left.${silent}`;
    $("#bar").value = (session.number - 1 + (session.epochs ? session.epoch / session.epochs : 0)) / session.runs;
    curves(session);
    $("#next").replaceChildren(...session.next.map((label) => el("li", {}, label)));
    $("#done").replaceChildren(...[...session.done].reverse().map((run) => el("tr", {}, el("td", { class: "l" }, run.label), el("td", { class: "l" }, run.status === "ok" ? "ok" : `${run.status}: ${run.reason || ""}`), el("td", { class: "r" }, number(run.accuracy, 3)), el("td", { class: "r" }, number(run.seconds, 3)))));
  }

  async function look() {
    try {
      show(await (await fetch("/state.json", { cache: "no-store" })).json());
    } catch (error) {
      $("#state").textContent = "The server has stopped: python -m report serve starts it again.";
    }
    setTimeout(look, 2000);
  }
  look();
})();
