// Scatter: a mark for each run (and item) at the last position at which y has results, and a straight line.
kinds.scatter = (panel, tools) => {
  const { grid, point, pinned, lines, add, table, lastPlace, read, chosen, mean, written } = tools;
  const marks = [], said = [];
  const kept = panel.items ? ["seed", panel.items] : ["seed"], each = (one) => (panel.items ? one : [one]);
  const pairs = (line, where) => {
    const place = lastPlace(line, where, ...kept);
    const [across, upward] = [line.across, line].map((source) =>
      read(source, lastPlace(source, place, ...kept), ...kept).map(each)); // x has its own last place where y has none
    const cell = (values, seed, item) => values[Math.min(seed, values.length - 1)].at(values[0].length > 1 ? item : 0);
    return chosen([...Array(grid.seeds.length).keys()]).flatMap((seed) => {
      const items = Math.max(across[0].length, upward[0].length);
      return Array.from({ length: items }, (_, i) => ({ x: cell(across, seed, i), y: cell(upward, seed, i), seed }));
    }).filter(({ x, y }) => x !== null && y !== null && (x > 0 || !panel.log));
  };
  for (const line of lines) {
    const found = pairs(line, point);
    found.forEach(({ x, y, seed }) => add("marks", { line: line.label, x, y,
      said: `${line.label}, run ${grid.seeds[seed]}\n${panel.x}: ${written(x)}\n${panel.y}: ${written(y)}` }));
    if (pinned) pairs(line, pinned).forEach(({ x, y }) => add("pinned", { line: line.label, x, y }));
    found.forEach(({ x, y, seed }) => {
      const seeds = grid.seeds.map((_, i) => (i === seed ? y : null));
      table.push({ line: line.label, x, mean: y, low: null, high: null, seeds });
    });
    marks.push(...found);
    const middle = [mean(found.map(({ x }) => x)), mean(found.map(({ y }) => y))].map(written).join(", ");
    said.push(found.length ? `${line.label} ${found.length} marks, mean at (${middle})` : `${line.label}: no data`);
  }
  let line = panel.straight;
  if (line === "fit") {
    const [x, y] = [mean(marks.map((one) => one.x)), mean(marks.map((one) => one.y))];
    const spread = marks.reduce((sum, one) => sum + (one.x - x) ** 2, 0);
    const slope = marks.reduce((sum, one) => sum + (one.x - x) * (one.y - y), 0) / spread;
    line = spread > 0 ? [slope, y - slope * x] : null;
  }
  if (line) panel.ends.forEach((x) => add("straight", { x, y: line[0] * x + line[1] }));
  if (line) said.push(`dashed: ${panel.expected}, slope ${written(line[0])}, intercept ${written(line[1])}`);
  return `${panel.y} against ${panel.x}: ${said.join("; ")}.`;
};
kinds.scatter.pinned = "hollow";
