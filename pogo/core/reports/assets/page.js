// The page: what its data says, in words, tables and figures, and what the reader has chosen of it.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const narrow = window.matchMedia("(max-width: 700px)");

// ---- what the reader has chosen, kept while the page loads itself anew -------------------------------------------

const KEPT = `pogo-report ${location.pathname}`;
const chosen = Object.assign(
  { filter: "", hidden: [], actors: null, dataset: "", value: "", mode: "", colour: "", axis: "", scroll: 0, filtering: false, reload: true,
    picker: false, tables: {} },
  recalled(),
);

function recalled() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT)) ?? {};
  } catch {
    return {}; // storage may be switched off
  }
}

function keep() {
  chosen.scroll = window.scrollY;
  chosen.filtering = document.activeElement === byId("filter");
  for (const [name, table] of Object.entries(tables)) {
    chosen.tables[name] = { sort: table.sort, opened: [...table.opened] };
  }
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(chosen));
  } catch {
    // What was chosen is lost with the next load, and nothing else.
  }
}

// ---- words --------------------------------------------------------------------------------------------------------

const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const one = (value) => (value === null || value === undefined ? "-" : value.toFixed(1));
const short = (value) => (value === null || value === undefined ? "-" : String(Number(value.toPrecision(4))));
const thousands = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 60) return `${Math.round(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.round((seconds % 86400) / 3600)} h`;
}

const date = (seconds) => new Date(1000 * seconds).toLocaleString();
const silence = (run) => Math.max(0, data.made - run.last_sign);

function state(run) {
  return run.status === "silent" ? `no sign of life for ${duration(silence(run))}` : run.status;
}

// What tells a group from the others, in as few words as that takes.
function groupNames() {
  const keys = ["dataset", "algorithm", "backend", "chain", "settings"];
  const differing = keys.filter((key) => new Set(data.groups.map((group) => group[key])).size > 1);
  const shown = differing.length > 0 ? differing : ["algorithm"];
  return data.groups.map((group) => shown.map((key) => group[key]).filter(Boolean).join(" "));
}

const names = groupNames();
const groupText = data.groups.map((group) => Object.values(group).join(" "));
const runText = data.runs.map((run) =>
  `${groupText[run.group]} ${run.path} seed ${run.seed} seed_${run.seed} ${state(run)} ${run.host ?? ""}`.toLowerCase());

// A group's rows are found by what its runs are called, too.
function searched(group) {
  return data.runs.map((run, index) => (run.group === group ? runText[index] : ""))
    .concat(groupText[group].toLowerCase()).join(" ");
}

const searchedOfGroup = data.groups.map((_, group) => searched(group));
// What is said of a part of a run, as of an actor or a mode, finds the run.
const searchedOfRun = data.runs.map((run, index) => [
  runText[index],
  ...new Set(run.last.flatMap(([actor, mode]) => [`actor ${actor}`, mode])),
].join(" "));
const clocks = [...new Set(data.runs.map((run) => run.clock))];

// ---- the summary --------------------------------------------------------------------------------------------------

function summarise() {
  const statuses = ["finished", "running", "silent", "stopped", "failed"];
  const numbers = statuses
    .map((status) => [data.runs.filter((run) => run.status === status).length, status])
    .filter(([number]) => number > 0)
    .map(([number, status]) => `${number} ${status === "silent" ? "without a sign of life" : status}`);
  const datasets = [...new Set(data.groups.map((group) => group.dataset))];
  byId("folder").textContent = data.folder;
  byId("made").textContent = `Written by pogo ${data.pogo}, ${date(data.made)}.`;
  const best = datasets.map((dataset) => {
    const rows = data.results.filter((row) => data.groups[row.group].dataset === dataset);
    const value = rows.some((row) => row.score) ? "score" : "return";
    const scored = rows.filter((row) => row[value]);
    if (scored.length === 0) return null;
    const row = scored.reduce((first, second) => (second[value][0] > first[value][0] ? second : first));
    return element("li", {}, `${dataset}: the highest mean ${value} is ${one(row[value][0])}${interval(row[value], " ")}, `
      + `of ${names[row.group]}, actor ${row.actor}, ${row.mode} (${count(row.runs.length, "seed")})`);
  });
  const common = COMMON.map((key) => [key, data.groups[0][key]]).filter(([, value]) => value).map((pair) => pair.join(" "));
  byId("summary").replaceChildren(
    element("p", {}, data.runs.length === 0 ? "No runs yet."
      : `${count(data.runs.length, "run")} of ${count(data.groups.length, "group")} on ${count(datasets.length, "data set")}: `
        + `${numbers.join(", ")}.${common.length > 0 ? ` All with ${common.join(", ")}.` : ""}`),
    element("ul", {}, ...best));
  byId("results-note").textContent = "Mean over seeds of the last evaluations of finished runs; runs of a group differ in "
    + `their seed alone. Intervals: ${data.level} %, by a bootstrap over seeds, which covers less than that for fewer than ${data.few_seeds} `
    + `seeds; none of one seed. Open a row for its runs.`;
}

function interval(estimate, before = "") {
  return !estimate || estimate[1] === null ? "" : `${before}[${one(estimate[1])}, ${one(estimate[2])}]`;
}

// ---- tables -------------------------------------------------------------------------------------------------------

const tables = {};
// Besides data set and algorithm, what all groups have in common is said once, above the tables.
const COMMON = ["backend", "chain", "settings"].filter((key) => new Set(data.groups.map((group) => group[key])).size === 1);
const GROUP_COLUMNS = ["dataset", "algorithm", "backend", "chain", "settings"].map((key) => ({
  title: key,
  value: (row) => data.groups[row.group][key],
  show: (row) => data.groups[row.group][key],
  used: () => !COMMON.includes(key),
}));
const column = (title, value, show = value, more = {}) => ({ title, value, show, ...more });
const number = (title, value, show = (row) => one(value(row))) => column(title, value, show, { number: true });

function makeTable(name, caption, columns, rows, more = {}) {
  const kept = columns.filter((each) => !each.used || each.used());
  const table = new SortedTable(byId(name), { caption, columns: kept, rows, changed: keep, ...more });
  const before = chosen.tables[name];
  if (before) {
    table.sort = before.sort && before.sort.index < kept.length ? before.sort : null;
    table.opened = new Set(before.opened);
    table.draw();
  }
  tables[name] = table;
}

function makeTables() {
  const has = (key) => () => data.results.some((row) => row[key] !== null);
  makeTable("results", "Results", [
    ...GROUP_COLUMNS,
    number("actor", (row) => row.actor, (row) => String(row.actor)),
    column("mode", (row) => row.mode),
    { ...number("score", (row) => row.score && row.score[0]), used: has("score") },
    { ...number("interval", (row) => row.score && row.score[0], (row) => interval(row.score) || "-"), used: has("score") },
    number("return", (row) => row.return[0]),
    number("interval", (row) => row.return[0], (row) => interval(row.return) || "-"),
    number("data's return", (row) => row.behaviour),
    number("seeds", (row) => row.runs.length, (row) => String(row.runs.length)),
    number("at", (row) => row.at, (row) => `${thousands(row.at)}${clocks.length > 1 ? ` ${row.clock}` : ""}`),
    column("kind", (row) => row.kind),
  ], data.results.map((row) => ({ ...row, name: `${names[row.group]}, actor ${row.actor}, ${row.mode}`,
    text: `${searchedOfGroup[row.group]} actor ${row.actor} ${row.kind} ${row.mode}`.toLowerCase() })),
  { detail: runsOfRow, key: (row) => `${groupText[row.group]} ${row.actor} ${row.mode}` });

  const measures = Object.entries(data.measures)
    .filter(([key]) => data.chain.some((row) => key in row.measures))
    .map(([key, title]) => number(title, (row) => row.measures[key] ?? null, (row) => short(row.measures[key])));
  makeTable("chain", "What the chain did", [
    ...GROUP_COLUMNS,
    number("actor", (row) => row.actor, (row) => String(row.actor)),
    number("at", (row) => row.at, (row) => thousands(row.at)),
    number("seeds", (row) => row.seeds, (row) => String(row.seeds)),
    ...measures,
  ], data.chain.map((row) => ({ ...row, text: `${searchedOfGroup[row.group]} actor ${row.actor}` })));
  byId("chain-section").hidden = data.chain.length === 0;

  const troubles = troublesOfRuns();
  makeTable("troubles", "Unfinished and failed", [
    column("run", (row) => row.path, (row) => row.path, { long: true }),
    column("what", (row) => row.what, (row) => element("span", { className: row.status }, row.what)),
    number("at", (row) => row.at, (row) => (row.at === null ? "-" : thousands(row.at))),
    column("said", (row) => row.line, (row) => row.line, { long: true }),
  ], troubles);
  byId("troubles-section").hidden = troubles.length === 0;

  makeTable("runs", "Runs", [
    column("run", (run) => run.path),
    column("state", state, (run) => element("span", { className: run.status }, state(run))),
    number("progress", (run) => run.position / run.length, progress),
    { ...number("left", (run) => run.left, (run) => duration(run.left)), used: () => data.runs.some((run) => run.left !== null) },
    number("last of actors 0, 1, ...", lastOfLastActor, (run) => lastOfActors(run).map(one).join("  ") || "-"),
    number("seed", (run) => run.seed, (run) => String(run.seed)),
    ...GROUP_COLUMNS.slice(0, 3),
    number("wall time", (run) => run.wall, (run) => duration(run.wall)),
    number("per second", (run) => run.per_second, (run) => (run.per_second === null ? "-" : String(Math.round(run.per_second)))),
    number("last sign", (run) => run.last_sign, (run) => `${duration(silence(run))} ago`),
    column("device", (run) => fact(run, "device name") ?? fact(run, "device") ?? ""),
    column("host", (run) => run.host ?? ""),
  ], data.runs.map((run, index) => ({ ...run, name: run.path, text: searchedOfRun[index] })),
  { detail: detailsOfRun, key: (run) => run.path });
}

function progress(run) {
  const share = Math.floor((100 * run.position) / run.length);
  return element("span", { title: `${thousands(run.position)} of ${thousands(run.length)} ${run.clock}` },
    element("progress", { max: run.length, value: run.position, "aria-label": `progress of ${run.path}` }), ` ${share} %`);
}

// Scores, or returns where there are none: by the actors' index, the deterministic mode where there is one.
function lastOfActors(run) {
  const found = new Map();
  for (const [actor, mode, value, score] of run.last) {
    if (mode === "deterministic" || !found.has(actor)) found.set(actor, score ?? value);
  }
  return [...found.values()];
}

const lastOfLastActor = (run) => lastOfActors(run).at(-1) ?? null;

function runsOfRow(row) {
  const lines = row.runs.map(([index, value, score]) => element("tr", {},
    element("td", {}, data.runs[index].path),
    ...[String(data.runs[index].seed), one(value), one(score)].map((text) => element("td", { className: "number" }, text))));
  const heads = ["run", "seed", "return", "score"].map((title) => element("th", { scope: "col" }, title));
  return [element("div", { className: "box" },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines)))];
}

function troublesOfRuns() {
  const found = [];
  for (const [index, run] of data.runs.entries()) {
    const add = (what, status, at, line) =>
      found.push({ path: run.path, status, what, at, line, text: `${runText[index]} ${what} ${line}`.toLowerCase() });
    if (run.status !== "finished") add(state(run), run.status, run.position, run.note ?? "");
    for (const [at, error] of run.failures) add("evaluation failed", "failed", at, error);
  }
  for (const warning of data.warnings) {
    found.push({ path: "", status: "", what: "warning", at: null, line: warning, text: `warning ${warning}`.toLowerCase() });
  }
  return found;
}

const factsOf = (run) => run.facts.map((index) => data.facts[index]);
const fact = (run, name) => (factsOf(run).find(([each]) => each === name) ?? [null, null])[1];

function detailsOfRun(run) {
  const [given, rest] = run.settings.map((numbers) => numbers.map((index) => data.settings[index]));
  const parts = [
    definitions([
      ["state", run.note ? `${state(run)}: ${run.note}` : state(run)],
      ["progress", `${thousands(run.position)} of ${thousands(run.length)} ${run.clock}`],
      ["wall time", duration(run.wall)],
      ["last change", date(run.last_sign)],
      ...(run.command ? [["command", element("pre", {}, run.command)]] : []),
    ]),
  ];
  if (run.failures.length > 0) {
    parts.push(element("h3", {}, "Failed evaluations"),
      definitions(run.failures.map(([at, error]) => [`at ${thousands(at)}`, error])));
  }
  if (run.videos.length > 0) {
    parts.push(element("h3", {}, "Videos"), element("div", { className: "videos" }, ...run.videos.map(video)));
  }
  parts.push(element("h3", {}, "Settings"));
  if (!run.has_sources) parts.push(element("p", { className: "note" }, "This run has not recorded where its settings came from."));
  if (given.length > 0) parts.push(settingsTable(given));
  parts.push(element("details", {},
    element("summary", {}, `${count(rest.length, "setting")} ${run.has_sources ? "at their defaults" : "in all"}`),
    settingsTable(rest)));
  parts.push(element("h3", {}, "Machine and versions"), definitions(factsOf(run)));
  return parts;
}

function definitions(entries) {
  return element("dl", {}, ...entries.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function settingsTable(settings) {
  const heads = ["setting", "value", "source"].map((title) => element("th", { scope: "col" }, title));
  const lines = settings.map((entry) => element("tr", {},
    ...entry.map((text, index) => element("td", { className: index === 1 ? "long" : "" }, text ?? "-"))));
  return element("div", { className: "box" },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines)));
}

function video(path) {
  const address = path.split("/").map(encodeURIComponent).join("/");
  return element("figure", {}, element("video", { src: address, controls: true, preload: "metadata" }),
    element("figcaption", {}, path.split("/").at(-1)));
}

// ---- figures ------------------------------------------------------------------------------------------------------

const MODES = ["deterministic", "stochastic"];
const allActors = [...new Set(data.runs.flatMap((run) => run.curves.map((curve) => curve.actor)))].sort((a, b) => a - b);
const views = {};

function options(key, label, entries, preferred) {
  if (!entries.some(([value]) => value === chosen[key])) chosen[key] = preferred;
  const select = element("select", { id: `choose-${key}` },
    ...entries.map(([value, text]) => element("option", { value, selected: value === chosen[key] }, text)));
  select.onchange = () => {
    chosen[key] = select.value;
    keep();
    drawSoon();
  };
  return entries.length > 1 ? [element("label", {}, `${label} `, select)] : [];
}

function makeControls() {
  const datasets = [...new Set(data.groups.map((group) => group.dataset))];
  const has = (value) => data.runs.some((run) => run.curves.some((curve) => curve[value].some((each) => each !== null)));
  const values = ["score", "return"].filter(has);
  const modes = MODES.filter((mode) => data.runs.some((run) => run.curves.some((curve) => curve.mode === mode)));
  const timed = data.runs.some((run) => run.wall_at.some((each) => each !== null));
  chosen.actors = chosen.actors === null ? [...allActors] : allActors.filter((actor) => chosen.actors.includes(actor));
  byId("controls").onsubmit = () => false;
  byId("controls").replaceChildren(
    ...options("dataset", "data", [["", "all data sets"], ...datasets.map((name) => [name, name])].slice(datasets.length > 1 ? 0 : 1), datasets.length > 1 ? "" : datasets[0]),
    ...options("value", "value", values.map((name) => [name, name]), values[0] ?? "return"),
    ...options("mode", "mode", modes.map((name) => [name, name]), modes[0] ?? "deterministic"),
    ...options("colour", "colour by", ["actor", "group", "run"].map((name) => [name, name]), data.groups.length > 1 ? "group" : "actor"),
    ...options("axis", "against", [["at", clocks.join(" or ") || "updates"], ...(timed ? [["wall_at", "wall time (s)"]] : [])], "at"),
    element("fieldset", { hidden: allActors.length < 2 }, element("legend", {}, "actors"), ...allActors.map((actor) => {
      const box = element("input", { type: "checkbox", checked: chosen.actors.includes(actor) });
      box.onchange = () => {
        chosen.actors = allActors.filter((each) => (each === actor ? box.checked : chosen.actors.includes(each)));
        keep();
        drawSoon();
      };
      return element("label", {}, box, ` ${actor}`);
    })));
}

// A box for each run, and one for each group that ticks all of its runs.
function makePicker() {
  byId("picker").open = chosen.picker;
  byId("picker").ontoggle = () => { chosen.picker = byId("picker").open; };
  const fields = data.groups.map((_, group) => {
    const members = data.runs.filter((run) => run.group === group);
    const boxes = members.map((run) => {
      const box = element("input", { type: "checkbox", checked: !chosen.hidden.includes(run.path) });
      box.onchange = () => toggle([run.path], box.checked);
      return box;
    });
    const all = element("input", { type: "checkbox", checked: boxes.some((box) => box.checked) });
    all.onchange = () => {
      boxes.forEach((box) => { box.checked = all.checked; });
      toggle(members.map((run) => run.path), all.checked);
    };
    return element("fieldset", {}, element("label", { className: "group" }, all, ` ${names[group]}`),
      ...members.map((run, index) => element("label", { title: run.path }, boxes[index], ` seed ${run.seed}`)));
  });
  byId("picker").lastElementChild.replaceChildren(...fields);
}

function toggle(paths, isShown) {
  chosen.hidden = chosen.hidden.filter((path) => !paths.includes(path)).concat(isShown ? [] : paths);
  keep();
  drawSoon();
}

// The runs that the figures show: of the chosen data set, ticked, and found by the filter.
function shownRuns() {
  return data.runs.map((run, index) => ({ ...run, index })).filter((run) =>
    (chosen.dataset === "" || data.groups[run.group].dataset === chosen.dataset)
    && !chosen.hidden.includes(run.path) && matches(searchedOfRun[run.index], words()));
}

const words = () => chosen.filter.toLowerCase().split(/\s+/).filter(Boolean);
const runName = (run) => `${names[run.group]} seed ${run.seed}`;

function tips(...pairs) {
  return pairs.map(([field, title, type = "nominal"]) => ({ field, title, type, ...(type === "quantitative" ? { format: ",.4~f" } : {}) }));
}

function colouring() {
  if (chosen.colour === "group") return { title: "group", names, of: (run) => names[run.group] };
  if (chosen.colour === "run") return { title: "run", names: data.runs.map(runName), of: runName };
  return { title: "actor", names: allActors.map(String), of: (_, actor) => String(actor) };
}

function curveFigure(runs) {
  const by = colouring();
  const points = runs.flatMap((run) => run.curves
    .filter((curve) => curve.mode === chosen.mode && chosen.actors.includes(curve.actor))
    .flatMap((curve) => run.at.map((_, index) => ({
      x: run[chosen.axis][index], y: curve[chosen.value][index], line: `${run.path} ${curve.actor}`, actor: curve.actor,
      colour: by.of(run, curve.actor), run: run.path,
    })).filter((point) => point.x !== null && point.y !== null)));
  return lineFigure({
    points,
    x: chosen.axis === "at" ? clocks.join(" or ") : "wall time (s)",
    y: `${chosen.mode} ${chosen.value}`,
    colours: by.names,
    colourTitle: by.title,
    dashes: chosen.colour === "actor" ? null : allActors,
    tips: tips(["run", "run"], ["actor", "actor"], ["x", "at", "quantitative"], ["y", chosen.value, "quantitative"]),
    isDark: dark.matches,
    columns: narrow.matches ? 1 : 3,
    height: 320,
    ticks: null,
  });
}

// What each actor of a run reached and how far it went, at the last evaluation; actor 0 is where the distance is from.
function profileFigures(runs) {
  const by = chosen.colour === "actor" ? { title: "group", names, of: (run) => names[run.group] } : colouring();
  const value = chosen.value === "score" ? 3 : 2;
  // The legend of the curves is this one's too, unless they are coloured by actor.
  const columns = chosen.colour === "actor" && names.length > 1 && names.length <= 8 ? 1 : 0;
  const quantities = [
    [`${chosen.mode} ${chosen.value}`, (run) => run.last.filter(([, mode]) => mode === chosen.mode).map((entry) => [entry[0], entry[value]])],
    ["Q", (run) => measured(run, "q")],
    ["distance to actor 0", (run) => (measured(run, "from_actor_0").length > 0 ? [[0, 0], ...measured(run, "from_actor_0").filter(([actor]) => actor > 0)] : [])],
  ];
  return quantities.map(([title, entries]) => ({
    title,
    spec: lineFigure({
      points: runs.flatMap((run) => entries(run).filter(([, y]) => y !== null)
        .map(([x, y]) => ({ x, y, line: run.path, colour: by.of(run), run: run.path }))),
      x: "actor", y: title, colours: by.names, colourTitle: by.title, dashes: null,
      tips: tips(["run", "run"], ["x", "actor"], ["y", title, "quantitative"]),
      isDark: dark.matches, columns, height: 200, ticks: allActors,
    }),
  }));
}

const measured = (run, name) => Object.entries(run.measured).filter(([, values]) => name in values)
  .map(([actor, values]) => [Number(actor), values[name]]);

function lastResults(runs) {
  const shown = new Set(runs.map((run) => run.index));
  const index = chosen.value === "score" ? 2 : 1;
  const rows = data.results.filter((row) => row.mode === chosen.mode && row[chosen.value] && chosen.actors.includes(row.actor)
    && row.runs.some(([run]) => shown.has(run)));
  const actor = (row) => String(row.actor);
  return lastFigure({
    rows: rows.map((row) => ({ name: names[row.group], actor: actor(row), mean: row[chosen.value][0],
      low: row[chosen.value][1], high: row[chosen.value][2], interval: interval(row[chosen.value]) || "-",
      seeds: row.runs.length })),
    points: rows.flatMap((row) => row.runs.filter(([run]) => shown.has(run)).map((entry) => ({
      name: names[row.group], actor: actor(row), y: entry[index], run: data.runs[entry[0]].path }))),
    names: names.filter((name) => rows.some((row) => names[row.group] === name)),
    actors: allActors.map(String),
    value: `${chosen.mode} ${chosen.value}`,
    tips: {
      run: tips(["run", "run"], ["actor", "actor"], ["y", chosen.value, "quantitative"]),
      mean: tips(["name", "group"], ["actor", "actor"], ["mean", "mean", "quantitative"], ["interval", `${data.level} % interval`], ["seeds", "seeds"]),
    },
    isDark: dark.matches,
    columns: narrow.matches ? 4 : 10,
  });
}

async function drawFigures() {
  const runs = shownRuns();
  byId("picker").firstElementChild.textContent = `Runs in the figures (${runs.length} of ${data.runs.length})`;
  const profile = profileFigures(runs);
  const places = profile.map(() => element("div", { className: "drawing" }));
  const old = Object.values(views);
  views.curves = await draw(byId("curves"), curveFigure(runs), dark.matches);
  byId("profile").replaceChildren(...places);
  for (const [index, { title, spec }] of profile.entries()) views[title] = await draw(places[index], spec, dark.matches);
  views.last = await draw(byId("last"), lastResults(runs), dark.matches);
  old.forEach((view) => view?.finalize());
}

// One drawing after another, and of many wishes meanwhile the last.
let drawing = Promise.resolve();
let wanted = 0;
function drawSoon(wait = 150) {
  const wish = ++wanted;
  drawing = new Promise((resolve) => { setTimeout(resolve, wait); })
    .then(() => (wish === wanted ? drawFigures() : undefined));
  return drawing;
}

// ---- together -----------------------------------------------------------------------------------------------------

function filterAll() {
  Object.values(tables).forEach((table) => table.filter(words()));
  const found = data.runs.filter((_, index) => matches(searchedOfRun[index], words())).length;
  byId("filtered").textContent = chosen.filter === "" ? "" : `${found} of ${count(data.runs.length, "run")}`;
}

// A page that is rewritten while runs go on loads itself anew, but not under a film, or while it is out of sight.
function reloadInTime() {
  if (data.reload === null) return;
  byId("reloading").hidden = false;
  byId("reloading").lastElementChild.textContent = `Load anew every ${duration(data.reload)}, as runs go on`;
  byId("reload").checked = chosen.reload;
  byId("reload").onchange = () => { chosen.reload = byId("reload").checked; keep(); };
  const due = Date.now() + 1000 * data.reload;
  setInterval(() => {
    const isFilm = [...document.querySelectorAll("video")].some((film) => !film.paused);
    if (Date.now() < due || !chosen.reload || document.hidden || isFilm) return;
    keep();
    location.reload();
  }, 500);
}

async function start() {
  history.scrollRestoration = "manual";
  const scroll = chosen.scroll;
  summarise();
  makeTables();
  makeControls();
  makePicker();
  byId("filter").value = chosen.filter;
  if (chosen.filtering) byId("filter").focus({ preventScroll: true }); // one who types goes on typing
  byId("filter").oninput = () => {
    chosen.filter = byId("filter").value;
    filterAll();
    drawSoon();
  };
  filterAll();
  window.addEventListener("pagehide", keep);
  dark.addEventListener("change", () => drawSoon());
  narrow.addEventListener("change", () => drawSoon());
  await drawSoon(0);
  window.scrollTo(0, scroll);
  document.documentElement.dataset.drawn = "true"; // for what waits until all is there
  reloadInTime();
}

start();
