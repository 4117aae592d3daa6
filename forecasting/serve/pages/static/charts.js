"use strict";
// Draws every [data-chart] from the JSON inside of it. Plotly is fetched when the first chart is there, and charts are
// drawn anew when the colours of the system change.

const charts = (() => {
  let loading = null;

  function plotly() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = document.body.dataset.plotly;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => reject(new Error("Plotly cannot be fetched"));
      document.head.append(script);
    });
    return loading;
  }

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function line(x, y, name, shade, width) {
    return { x, y, name, mode: "lines", type: "scatter", line: { color: colour(shade), width } };
  }

  function bands(data) {
    return data.bands.flatMap(({ name, x, low, high }) => [
      { ...line(x, low, name, "chart-forecast", 0), hoverinfo: "skip" },
      {
        ...line(x, high, name, "chart-forecast", 0),
        fill: "tonexty",
        fillcolor: colour("chart-band"),
        text: low.map((value, i) => `${short(value)} to ${short(high[i])}`),
        hovertemplate: "%{text}",
      },
    ]);
  }

  /** Rings around points, with words of their own where they have any. */
  function dots(x, y, name, text = null) {
    const ring = { size: 11, symbol: "circle-open", color: colour("bad"), line: { width: 2.4 } };
    const said = text ? { text, hovertemplate: "%{text}<extra></extra>" } : {};
    return { x, y, name, mode: "markers", type: "scatter", marker: ring, ...said };
  }

  const short = (value) => Number(value.toPrecision(4)).toString();

  function forecast(data) {
    const lines = [line(data.history.x, data.history.y, "Reading", "chart-readings", 1.7), ...bands(data)];
    if (data.median) lines.push(line(data.median.x, data.median.y, data.name || "Forecast", "chart-forecast", 2.6));
    (data.others ?? []).forEach(({ name, x, y }, i) => {
      const other = line(x, y, name, `chart-other-${i % 4}`, 2.4);
      lines.push({ ...other, line: { ...other.line, dash: i % 2 ? "dot" : "dash" } });
    });
    if (data.came) lines.push(line(data.came.x, data.came.y, "What came", "chart-came", 1.9));
    if (data.unusual) lines.push(dots(data.unusual.x, data.unusual.y, "Unusual reading"));
    const mark = { type: "line", xref: "x", yref: "paper", y0: 0, y1: 1, x0: data.cutoff, x1: data.cutoff };
    const shapes = data.cutoff ? [{ ...mark, line: { color: colour("chart-readings"), width: 1.2, dash: "dot" } }] : [];
    return { lines, layout: { shapes } };
  }

  function single(data) {
    const mode = data.x.length < 40 ? "lines+markers" : "lines";
    const marker = { size: 6, color: colour("chart-forecast") };
    const lines = [{ ...line(data.x, data.y, data.name, "chart-forecast", 2.2), mode, marker }];
    const marked = [...data.x.keys()].filter((i) => data.marks[i]);
    const at = (values) => marked.map((i) => values[i]);
    if (marked.length) lines.push(dots(at(data.x), at(data.y), "", at(data.marks)));
    const yaxis = data.share ? { tickformat: ".0%", hoverformat: ".1%" } : { rangemode: "tozero" };
    const xaxis = data.title ? { title: { text: data.title, font: { size: 13 }, standoff: 8 }, tickformat: "d" } : { hoverformat: "%Y-%m-%d", ...(data.x.length <= 4 ? { dtick: 864e5 } : {}) };
    const mark = { type: "line", xref: "paper", x0: 0, x1: 1, y0: data.promised, y1: data.promised };
    const shapes =
      data.promised === null ? [] : [{ ...mark, line: { color: colour("chart-readings"), width: 1.4, dash: "dash" } }];
    return { lines, layout: { shapes, xaxis, yaxis } };
  }

  function layout(extra) {
    const axis = { gridcolor: colour("chart-grid"), zeroline: false, automargin: true, linecolor: colour("chart-grid") };
    return {
      ...extra,
      xaxis: { ...axis, nticks: innerWidth < 640 ? 5 : 9, tickangle: 0, ...extra.xaxis },
      yaxis: { ...axis, nticks: 6, ...extra.yaxis },
      margin: { l: 8, r: 12, t: 10, b: 8 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("soft") },
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink"), size: 13 } },
      showlegend: false,
      dragmode: false,
    };
  }

  async function draw(root) {
    const places = [...root.querySelectorAll("[data-chart]")];
    if (!places.length) return;
    const Plotly = await plotly();
    for (const place of places) {
      const source = place.querySelector("script[type='application/json']");
      place.content ??= JSON.parse(source.textContent);
      const made = { forecast, line: single }[place.content.kind](place.content);
      await Plotly.react(place, made.lines, layout(made.layout), { responsive: true, displayModeBar: false });
      place.dataset.drawn = "";
    }
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw(document));
  return { draw };
})();
