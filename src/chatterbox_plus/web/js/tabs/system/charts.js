// The last ten minutes, as small charts: one line each, the newest on the right.
import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { bytes, number } from "../../format.js";
import { t } from "../../text.js";

const [WIDTH, HEIGHT] = [240, 48];
const SLICES = 60; // of the server's history: ten minutes
const MB = 2 ** 20;
const SVG = "http://www.w3.org/2000/svg";
const SHOWN = {
  requests: { read: (slice) => slice.requests, say: (value) => number(value, 0) },
  refused: { read: (slice) => slice.errors + slice.refused, say: (value) => number(value, 0) },
  sound: { read: (slice) => slice.audio_seconds, say: (value) => t("system.charts.seconds", { n: value }) },
  speed: { read: (slice) => (slice.real_time_factor ? 1 / slice.real_time_factor : null), say: (value) => t("system.charts.times", { n: Math.round(value * 10) / 10 }) },
  tasks: { read: (slice) => (slice.tasks_running === null ? null : slice.tasks_running + slice.tasks_queued), say: (value) => number(value, 0) },
  memory: { read: (slice) => (slice.memory_mb === null ? null : slice.memory_mb * MB), say: bytes },
  cpu: { read: (slice) => slice.cpu_percent, say: (value) => t("system.charts.percent", { n: Math.round(value) }), top: 100 },
};

export function charts() {
  const node = h("div", { class: "charts" });
  const made = Object.entries(SHOWN).map(([key, what]) => chart(key, what));
  fill(node, made.map((one) => one.node));
  return {
    node,
    async refresh() {
      const { history } = await api.get("/api/v1/metrics");
      for (const one of made) one.show(history.slices.slice(-SLICES));
    },
  };
}

function part(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function chart(key, { read, say, top = 0 }) {
  const value = h("span", { class: "value number" });
  const most = h("span", { class: "facts number" });
  const area = part("path", { class: "area" });
  const line = part("path", { class: "line", "vector-effect": "non-scaling-stroke" });
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  svg.append(area, line);
  const node = h("figure", { class: "chart" }, h("figcaption", {}, h("span", { class: "label" }, t(`system.charts.${key}`)), value), svg, most);

  /** Slices without a value are gaps. */
  function show(slices) {
    const values = slices.map(read);
    const known = values.filter((one) => one !== null && one !== undefined);
    const highest = Math.max(top, ...known, 0);
    const scale = highest || 1;
    const first = SLICES - slices.length;
    const at = (one, n) => `${(((first + n) / (SLICES - 1)) * WIDTH).toFixed(1)} ${(HEIGHT - 2 - (one / scale) * (HEIGHT - 6)).toFixed(1)}`;
    const runs = [];
    values.forEach((one, n) => {
      if (one === null || one === undefined) return;
      if (n && runs.length && values[n - 1] !== null && values[n - 1] !== undefined) runs.at(-1).push([one, n]);
      else runs.push([[one, n]]);
    });
    const path = (run) => run.map(([one, n], index) => `${index ? "L" : "M"}${at(one, n)}`).join("") + (run.length === 1 ? "h.1" : "");
    line.setAttribute("d", runs.map(path).join(""));
    area.setAttribute("d", runs.map((run) => `${path(run)}L${at(0, run.at(-1)[1])}L${at(0, run[0][1])}Z`).join(""));
    const last = known.at(-1);
    value.textContent = last === undefined ? "–" : say(last);
    most.textContent = known.length ? t("system.charts.most", { value: say(Math.max(...known)) }) : t("system.charts.nothing");
    svg.setAttribute("aria-label", t("system.charts.told", { name: t(`system.charts.${key}`), value: value.textContent, most: most.textContent }));
  }

  show([]);
  return { node, show };
}
