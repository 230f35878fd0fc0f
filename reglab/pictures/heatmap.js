// Heatmap: means as the colours of cells, at the last position of a further axis that has results.
kinds.heatmap = (panel, { point, lines, add, table, last, reduce, ends, written, told }) => {
  const filled = [];
  const cell = (source, seeds, x, y) => {
    const now = reduce(seeds, ends(source));
    const [line, place] = [panel.upwards + panel.names.y[y], panel.names.x[x]];
    const row = { line, x: place, ...now, seeds };
    table.push(row);
    if (now.mean === null) return;
    add("cells", { x, y, value: now.mean, said: `${panel.along} ${place}\n${told(row)}` });
    filled.push({ value: now.mean, text: `${written(now.mean)} (${line}, ${panel.along} ${place})` });
  };
  for (const line of lines) {
    const kept = panel.upward ? ["seed", panel.upward, panel.across] : ["seed", panel.across];
    const seeds = last(line, point, ...kept);
    if (panel.upward)
      seeds[0].forEach((row, y) => row.forEach((_, x) => cell(line, seeds.map((one) => one[y][x]), x, y)));
    else seeds[0].forEach((_, x) => cell(line, seeds.map((one) => one[x]), x, panel.names.y.indexOf(line.label)));
  }
  if (!filled.length) return "No data.";
  filled.sort((one, other) => one.value - other.value);
  return `Colours: lowest ${filled[0].text}, highest ${filled.at(-1).text}.`;
};
