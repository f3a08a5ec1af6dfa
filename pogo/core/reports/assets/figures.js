// The figures, as Vega-Lite specifications of what the page shows at the time.
"use strict";

// Okabe and Ito's colours, which remain apart for the colour-blind; those that are too faint on the ground are left out.
const COLOURS = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07a00", "#3f9fd6", "#6e6e6e"],
  dark: ["#56b4e9", "#e69f00", "#2fbf93", "#e39bc4", "#f0e442", "#e2824a", "#b5b5b5"],
};
const DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3], [10, 4]];
const SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right"];
const MOST_LEGEND_ROWS = 24;

// One of a few, over again where there are more names.
const cycled = (values, count) => Array.from({ length: count }, (_, index) => values[index % values.length]);

function theme(isDark) {
  const text = isDark ? "#e6edf3" : "#1b1f24";
  const line = isDark ? "#343b44" : "#d0d7de";
  return {
    background: "transparent",
    font: "system-ui, sans-serif",
    view: { stroke: line },
    axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12,
      titleFontSize: 12, titleFontWeight: "normal", labelLimit: 220 },
    legend: { labelColor: text, titleColor: text, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
      orient: "bottom", direction: "horizontal", labelLimit: 320, symbolLimit: MOST_LEGEND_ROWS, symbolStrokeWidth: 2 },
  };
}

// Colours that a name keeps whatever is filtered away, and shapes for the names that share one; `columns` are those of
// the legend, 0 for none.
function marking(field, names, title, isDark, columns) {
  const colours = COLOURS[isDark ? "dark" : "light"];
  const legend = columns > 0 ? { columns } : null;
  const encoded = (range) => ({ field, type: "nominal", title, scale: { domain: names, range }, legend });
  const shapes = names.map((_, index) => SHAPES[Math.floor(index / colours.length) % SHAPES.length]);
  return { color: encoded(cycled(colours, names.length)), shape: encoded(shapes) };
}

const AT_LEGEND = { name: "alone", select: { type: "point", fields: ["colour"] }, bind: "legend" };
const UNDER_POINTER = { name: "near", select: { type: "point", fields: ["line"], on: "pointerover", clear: "pointerout" } };
const FAINT = { condition: { param: "alone", value: 1 }, value: 0.08 };

// Lines with a point at each evaluation: `points` are {x, y, line, colour, actor, ...}; `ticks` are the values that the
// horizontal axis names, null for a scale from 0. Null where there is nothing to draw.
function lineFigure({ points, x, y, ticks, colours, colourTitle, dashes, tips, isDark, columns, height }) {
  if (points.length === 0) return null;
  const { color, shape } = marking("colour", colours, colourTitle, isDark, columns);
  const encoding = {
    x: { field: "x", type: "quantitative", title: x,
      axis: ticks === null ? { format: "~s", tickCount: 6 } : { values: ticks, format: "d" },
      scale: { nice: false, zero: true } },
    y: { field: "y", type: "quantitative", title: y, scale: { zero: false } },
    detail: { field: "line" },
    color,
    ...(columns > 0 ? { opacity: FAINT } : {}),
  };
  const dash = dashes === null ? {} : {
    strokeDash: { field: "actor", type: "ordinal", title: "actor",
      scale: { domain: dashes, range: cycled(DASHES, dashes.length) } },
  };
  return {
    data: { values: points },
    width: "container",
    height,
    autosize: { type: "fit-x", contains: "padding" },
    layer: [
      { name: "lines", params: columns > 0 ? [AT_LEGEND] : [], mark: { type: "line", strokeWidth: 1.6 },
        encoding: { ...encoding, ...dash } },
      { name: "points", params: [UNDER_POINTER], mark: { type: "point", filled: true },
        encoding: { ...encoding, shape, size: { condition: { param: "near", empty: false, value: 110 }, value: 22 },
          tooltip: tips } },
    ],
  };
}

// A row per group and actor: `rows` are {name, actor, mean, low, high}, `points` {name, actor, y, ...} of single runs.
// Null where there is nothing to draw.
function lastFigure({ rows, points, names, actors, value, tips, isDark, columns }) {
  if (rows.length === 0) return null;
  const { color } = marking("actor", actors, "actor", isDark, columns);
  const shape = { ...color, scale: { domain: actors, range: cycled(SHAPES, actors.length) } };
  const place = {
    y: { field: "name", type: "nominal", title: null, sort: names, axis: { labelLimit: 150 } },
    yOffset: { field: "actor", type: "ordinal", scale: { domain: actors } },
    color,
  };
  const x = (field) => ({ field, type: "quantitative", title: value, scale: { zero: false }, axis: { tickCount: 8 } });
  const measured = rows.filter((row) => row.low !== null);
  const intervals = { name: "intervals", data: { values: measured }, mark: { type: "rule", strokeWidth: 2.5 },
    encoding: { ...place, x: x("low"), x2: { field: "high" } } };
  return {
    width: "container",
    height: names.length * (14 * actors.length + 8),
    autosize: { type: "fit-x", contains: "padding" },
    layer: [
      ...(measured.length > 0 ? [intervals] : []),
      { name: "single", data: { values: points }, mark: { type: "point", size: 28, strokeWidth: 1, opacity: 0.75 },
        encoding: { ...place, x: x("y"), tooltip: tips.run } },
      { name: "means", data: { values: rows }, mark: { type: "point", filled: true, size: 85, opacity: 1 },
        encoding: { ...place, shape, x: x("mean"), tooltip: tips.mean } },
    ],
  };
}

// Draw in the place of what is there. Expressions are interpreted, so that the page needs no right to make code of text.
async function draw(place, spec, isDark) {
  if (spec === null) {
    place.replaceChildren(element("p", { className: "empty" }, "Nothing to draw of what is chosen."));
    return null;
  }
  const { view } = await vegaEmbed(place, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", ...spec }, {
    ast: true,
    config: theme(isDark),
    renderer: "canvas",
    theme: undefined,
    tooltip: { theme: isDark ? "dark" : "light" },
    actions: { export: true, source: false, compiled: false, editor: false },
  });
  return view;
}
