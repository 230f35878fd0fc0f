// Points: a cloud in the plane at the last position that has results; one run only is recorded of these.
kinds.points = (panel, { grid, point, pinned, lines: [line], add, read, last, mean, written }) => {
  if (!line) return "No data.";
  const places = (source, where) =>
    (source && where ? last(source, { ...where, seed: 0 }, ...grid.variables[source.variable].dims.slice(-2)) : []);
  const groups = panel.groups && read(panel.groups, point, grid.variables[panel.groups.variable].dims.at(-1));
  const origin = places(panel.origin, point), plain = ([x, y]) => ({ x, y }), there = [];
  places(line, point).forEach(([x, y], i) => {
    if (x === null) return;
    there.push([x, y]);
    add("lines", { line: String(groups ? Math.round(groups[i]) : 0), x, y });
    if (origin.length) add("trails", { x: origin[i][0], y: origin[i][1], x2: x, y2: y });
  });
  places(panel.crosses, point).forEach((place) => add("crosses", plain(place)));
  places(line, pinned).forEach((place) => add("pinned", plain(place)));
  const middle = [0, 1].map((side) => written(mean(there.map((place) => place[side]))));
  return there.length ? `${there.length} points of one run, middle at (${middle.join(", ")}).` : "No data.";
};
kinds.points.pinned = "small and hollow";
