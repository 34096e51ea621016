// Charts of runs: durations coloured by verdict, and counts per day. The figures stand beside them as text.
import uPlot from "uplot";

const dark = matchMedia("(prefers-color-scheme: dark)");

function css(name) {
  // light-dark() is resolved by a property that takes colours.
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

const COLOURS = { success: "--bar-good", failed: "--bar-bad", crashed: "--bar-bad", timed_out: "--bar-bad", running: "--warn", retrying: "--warn" };

function seconds(value) {
  if (value === null || value === undefined) return "–";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 90) return `${Math.round(value * 10) / 10} s`;
  if (value < 5400) return `${Math.round(value / 6) / 10} min`;
  return `${Math.round(value / 360) / 10} h`;
}

function axes(format) {
  const ink = css("--ink-soft");
  const grid = { stroke: css("--line"), width: 1 };
  const font = `12px ${getComputedStyle(document.body).fontFamily}`;
  return [
    { stroke: ink, grid: { show: false }, ticks: grid, font },
    { stroke: ink, grid, ticks: { show: false }, font, size: 62, values: (_, values) => values.map(format) },
  ];
}

const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

function dayOrHour(_, values) {
  return values.map((value) => {
    const moment = new Date(value * 1000);
    return moment.getHours() === 0 && moment.getMinutes() === 0 ? date.format(moment) : hour.format(moment);
  });
}

function days(_, values) {
  return values.map((value) => date.format(new Date(value * 1000)));
}

// One bar per run in the order in which they ran: even spacing tells more than gaps of nights.
function durations(holder, data) {
  const ink = data.statuses.map((status) => css(COLOURS[status] ?? "--quiet"));
  const xs = data.times.map((_, index) => index);
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const options = {
    width: holder.clientWidth,
    height: 190,
    scales: { x: { time: false, range: [-0.75, Math.max(xs.length - 0.25, 20)] }, y: { range: (_, __, max) => [0, (max || 1) * 1.08] } },
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    axes: axes(seconds),
    series: [
      {},
      {
        paths: uPlot.paths.bars({
          size: [0.7, 26],
          disp: { fill: { unit: 3, values: () => ink }, stroke: { unit: 3, values: () => ink } },
        }),
        points: { show: false },
      },
    ],
    hooks: {
      setCursor: [(plot) => {
        const at = plot.cursor.idx;
        holder.title = at === null || at === undefined ? "" :
          `${day.format(data.times[at] * 1000)}: ${data.statuses[at].replace("_", " ")}, ${seconds(data.seconds[at])}`;
      }],
    },
  };
  options.axes[0].values = (_, values) => values.map((value) => {
    const time = data.times[Math.round(value)];
    return Number.isInteger(value) && time ? day.format(time * 1000).replace(",", "") : "";
  });
  options.axes[0].space = 110;
  const plot = new uPlot(options, [xs, data.seconds.map((value) => value ?? 0)], holder);
  plot.over.addEventListener("click", () => {
    const at = plot.cursor.idx;
    if (at !== null && at !== undefined) location.href = data.links[at];
  });
  plot.over.classList.add("leads");
  return plot;
}

// Successes and failures stacked per span of time.
function trend(holder, data) {
  const total = data.good.map((value, index) => value + data.bad[index]);
  const bars = (colour) => ({ fill: css(colour), stroke: css(colour), width: 0, paths: uPlot.paths.bars({ size: [0.62, 40] }), points: { show: false } });
  const lines = axes((value) => Number.isInteger(value) ? value.toLocaleString() : "");
  Object.assign(lines[0], { values: days, incrs: [86400] });
  return new uPlot({
    width: holder.clientWidth,
    height: 190,
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    scales: { x: { range: [data.from, data.to] }, y: { range: (_, __, max) => [0, Math.max(max || 0, 4) * 1.1] } },
    axes: lines,
    // The failures are drawn over the foot of the whole bar.
    series: [{}, bars("--bar-good"), bars("--bar-bad")],
    hooks: {
      setCursor: [(plot) => {
        const at = plot.cursor.idx;
        holder.title = at === null || at === undefined ? "" :
          `${new Date(data.times[at] * 1000).toLocaleString(undefined, data.daily ? { dateStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" })}: ${data.good[at]} succeeded, ${data.bad[at]} failed`;
      }],
    },
  }, [data.times, total, data.bad], holder);
}

// What is to come: a quiet area.
function forecast(holder, data) {
  const lines = axes((value) => Number.isInteger(value) ? value.toLocaleString() : "");
  lines[0].values = dayOrHour;
  return new uPlot({
    width: holder.clientWidth,
    height: 150,
    legend: { show: false },
    cursor: { y: false, points: { show: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(max || 0, 4) * 1.1] } },
    axes: lines,
    series: [{}, { fill: css("--accent-tint"), stroke: css("--accent"), width: 1.5, paths: uPlot.paths.bars({ size: [0.8, 40], align: 1 }), points: { show: false } }],
  }, [data.times, data.counts], holder);
}

const KINDS = { durations, trend, forecast };

async function draw(holder) {
  const data = holder.dataset.chartData ? JSON.parse(holder.dataset.chartData) : await (await fetch(holder.dataset.chartFrom)).json();
  if (data.times.length === 0) {
    holder.querySelector(".chart-empty")?.removeAttribute("hidden");
    return;
  }
  let plot = KINDS[holder.dataset.chart](holder, data);
  const again = () => {
    plot.destroy();
    plot = KINDS[holder.dataset.chart](holder, data);
  };
  dark.addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  let width = holder.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(holder.clientWidth - width) < 2) return;
    width = holder.clientWidth;
    plot.setSize({ width, height: plot.height });
  }).observe(holder);
}

function drawAll(root) {
  for (const holder of root.querySelectorAll("[data-chart]:not([data-drawn])")) {
    holder.dataset.drawn = "";
    draw(holder);
  }
}
drawAll(document);
document.addEventListener("htmx:afterSettle", (event) => drawAll(event.target));
