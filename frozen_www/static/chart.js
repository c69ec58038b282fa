// Charts of an interface's numbers: what the device remembers of them, and what comes from now on.
// The library that draws them is loaded when the first one is opened.

import { state, timeOf } from "./device.js";
import { asLabel, element, setNote } from "./dom.js";

const HEIGHT = 160;
const POINTS_MAX = 2000; // more than a screen shows; then the oldest go

let library = null;

function load(tag, attributes) {
  return new Promise((resolve, reject) => {
    const made = element(tag, [], attributes);
    made.addEventListener("load", resolve);
    made.addEventListener("error", () => {
      made.remove();
      reject(new Error("The charts can't be loaded."));
    });
    document.head.append(made);
  });
}

function loadLibrary() {
  library ??= Promise.all([
    load("link", { rel: "stylesheet", href: "static/uplot.css" }),
    load("script", { src: "static/uplot.js" }),
  ]).catch((error) => {
    library = null;
    throw error;
  });
  return library;
}

const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

class Chart {
  constructor(name, key, [, unit, decimals, least, most] = []) {
    this.path = `${name}/${key}`;
    this.decimals = decimals;
    this.bounds = [least, most];
    this.title = asLabel(key) + (unit ? `, ${unit}` : "");
    const table = element("a", "CSV", {
      href: `api/history/${encodeURIComponent(name)}/${encodeURIComponent(key)}.csv`,
      download: `${name}-${key}.csv`,
      "aria-label": `${asLabel(key)} as CSV`,
    });
    this.place = element("div", [], { role: "img", "aria-label": `Chart of ${this.title}` });
    this.root = element("figure", [element("figcaption", [this.title, " ", table]), this.place]);
  }

  async fill() {
    const response = await fetch(`api/history/${this.path.split("/").map(encodeURIComponent).join("/")}`);
    if (!response.ok) throw new Error("The device has no history of this value.");
    const { begin, interval, samples } = await response.json();
    const times = samples.map((_, i) => timeOf(begin + i * interval) / 1000);
    this.data = [times, samples];
    this.plot = new window.uPlot(this.options(), this.data, this.place);
  }

  options() {
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 } };
    const value = (_, shown) => (shown === null ? "–" : String(shown));
    return {
      width: this.place.clientWidth || 280,
      height: HEIGHT,
      legend: { show: true, live: true },
      cursor: { y: false },
      axes: [{ ...axis, space: 70 }, { ...axis, size: 54 }],
      series: [
        { label: "Time" },
        { label: this.title, stroke: colour("--accent"), width: 1.5, value },
      ],
    };
  }

  /** Takes the value as it is now. */
  take(value) {
    if (!this.plot) return;
    const [times, samples] = this.data;
    const last = samples[samples.length - 1];
    const now = Date.now() / 1000;
    if (value === last && now - times[times.length - 1] < 1) return;
    times.push(now);
    samples.push(value);
    while (times.length > POINTS_MAX) {
      times.shift();
      samples.shift();
    }
    this.plot.setData(this.data);
  }

  resize() {
    const width = this.place.clientWidth;
    if (this.plot && width && width !== this.plot.width)
      this.plot.setSize({ width, height: HEIGHT });
  }
}

export class Charts {
  constructor(name, values) {
    this.name = name;
    this.values = values;
    this.charts = new Map();
    this.note = element("p", "", { class: "note", role: "status" });
    this.list = element("div");
    this.root = element("details", [element("summary", element("h4", "Charts")), this.list, this.note], {
      class: "charts",
      hidden: true,
    });
    this.root.addEventListener("toggle", () => {
      if (this.root.open) this.open();
    });
    new ResizeObserver(() => this.charts.forEach((chart) => chart.resize())).observe(this.root);
  }

  async open() {
    setNote(this.note, "");
    this.charts.clear();
    this.list.replaceChildren();
    try {
      await loadLibrary();
      for (const key of this.keys) {
        const chart = new Chart(this.name, key, this.values.get(key));
        this.charts.set(key, chart);
        this.list.append(chart.root);
        await chart.fill();
      }
    } catch (error) {
      setNote(this.note, error.message, true);
    }
  }

  /** `keys` are those of the interface's numbers. */
  render(keys) {
    this.keys = keys;
    this.root.hidden = keys.length === 0;
    if (!this.root.open) return;
    const fresh = state[`${this.name}/stale_since`] === undefined;
    for (const [key, chart] of this.charts)
      chart.take(fresh ? (state[`${this.name}/${key}`] ?? null) : null);
  }
}
