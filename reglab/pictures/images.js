// Images: the pixels of each picture, of the chosen run or the first, at the last position that has results.
kinds.images = (panel, { point, alone, add, hidden, last, mean, finite, written }) => {
  const where = { ...point, seed: alone ?? 0 }, said = [];
  const paint = (rows, tile) => {
    const [down, across] = [tile.height / rows.length, tile.width / rows[0].length];
    const [left, top] = [tile.left, tile.top];
    add("names", { x: left, y: top - 2 - 14 * tile.name.length, text: tile.name });
    rows.forEach((row, i) => row.forEach((value, k) => value === null || add("pixels", {
      x: left + k * across, x2: left + (k + 1) * across, y: top + i * down, y2: top + (i + 1) * down, value })));
    if (finite(rows.flat()).length) said.push(`${tile.label} mean ${written(mean(rows.flat()))}`);
  };
  panel.lines.forEach((line, i) => {
    if (hidden(line.at)) return;
    if (panel.by) last(line, where, panel.by, ...panel.axes).forEach((rows, k) => paint(rows, panel.tiles[k]));
    else paint(last(line, where, ...panel.axes), panel.tiles[i]);
  });
  return `${panel.tiles.length} pictures. ${panel.x}. ${said.join("; ") || "No data"}.`;
};
