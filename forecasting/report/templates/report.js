"use strict";
// Saves a chart as a picture on white, under its title; fits the charts to the paper while the page is printed.
const job = document.querySelector("h1").textContent;

function save(event) {
  const card = event.currentTarget.closest(".card");
  const plot = card.querySelector(".js-plotly-plot");
  const title = `${job}: ${card.querySelector("h3").textContent}`;
  const { width, height } = plot._fullLayout;
  const text = title.replaceAll("<", "&lt;");
  const layout = {
    ...plot.layout,
    width,
    height: height + 40,
    title: { text, x: 0, xref: "paper", y: 1, yref: "container", yanchor: "top", pad: { t: 12 }, font: { size: 15 } },
    margin: { ...plot.layout.margin, t: (plot.layout.margin.t ?? 0) + 48 },
    font: { ...plot.layout.font, color: "#1c2430" },
    paper_bgcolor: "#ffffff",
  };
  const filename = title.replace(/[^\p{L}\p{N}.-]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 100);
  return Plotly.downloadImage({ data: plot.data, layout }, { format: "png", scale: 2, width, height: height + 40, filename });
}

function fit(width) {
  document.querySelectorAll(".js-plotly-plot").forEach((plot) => {
    Plotly.relayout(plot, width ? { width, autosize: false } : { width: null, autosize: true });
  });
}

document.querySelectorAll(".save").forEach((button) => button.addEventListener("click", save));
addEventListener("beforeprint", () => fit(640));
addEventListener("afterprint", () => fit(0));
