// Small repairs of what the theme leaves without a name or out of reach for screen readers and keyboards.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll(".bd-sidebar-primary details > summary")) {
    const part = summary.closest("li").querySelector("a").textContent.trim();
    summary.setAttribute("aria-label", `Pages of ${part}`);
  }

  // the parameters of a function over several lines: a list of definitions without terms
  document.querySelectorAll("dt.sig > dl, dt.sig > dl > dd")
    .forEach((node) => node.setAttribute("role", "presentation"));

  // the entries of a bibliography are no list items
  document.querySelectorAll(".citation-list").forEach((list) => list.removeAttribute("role"));

  // the theme has it in an attribute, which a server may forbid
  document.querySelectorAll(".btn-download-pdf-button")
    .forEach((button) => button.addEventListener("click", () => print()));

  document.querySelectorAll("form.claims-filter").forEach(filterClaims);

  // what scrolls sideways can be scrolled with the arrow keys
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    }
  });
  const wide = "pre, .pst-scrollable-table-container, .cell_output .output, div.math";
  document.querySelectorAll(`.bd-article :is(${wide})`).forEach((node) => watcher.observe(node));
});

// Paper cannot be opened: what is folded is printed, but for code, solutions and tables of numbers, and folds again.
let unfolded = [];
addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll(".bd-article details:not([open], .hide, .reglab-table)")]
    .filter((fold) => fold.querySelector("summary").textContent !== "Solution");
  for (const fold of unfolded) fold.open = fold.dataset.printed = true;
});
addEventListener("afterprint", () => {
  for (const fold of unfolded) {
    fold.open = false;
    delete fold.dataset.printed;
  }
});

// The table of claims shows the rows that a form asks for; without scripts there is no form, and all rows are shown.
function filterClaims(form) {
  const { part, paper } = form.elements;
  const rows = [...document.querySelectorAll("table.claims tbody tr")];
  const links = [...document.querySelectorAll('.bd-article li > p > a[href^="#claims-"]')];
  const of = (row) => row.querySelector('a[href^="lab/"]').getAttribute("href").match(/^lab\/(.+)\.html/)[1];

  function apply() {
    for (const option of paper.options) {
      option.disabled = option.hidden = option.value && part.value && !option.value.startsWith(`${part.value}/`);
    }
    if (paper.selectedOptions[0].disabled) paper.value = "";
    const ticked = (name) => [...form.elements[name]].filter((box) => box.checked).map((box) => box.value);
    const asked = { verdict: ticked("verdict"), "claim-group": ticked("group") };
    for (const row of rows) {
      const has = ([kind, some]) => some.some((one) => row.querySelector(`.${kind}.${one}`));
      const fits = Object.entries(asked).every(has);
      row.hidden = !fits || !of(row).startsWith(paper.value || part.value);
    }
    for (const table of document.querySelectorAll("table.claims")) {
      const section = table.closest("section");
      section.hidden = !table.querySelector("tbody tr:not([hidden])");
      const ids = [section, ...section.querySelectorAll("[id]")].map((node) => `#${node.id}`);
      links.filter((link) => ids.includes(link.getAttribute("href")))
        .forEach((link) => { link.closest("li").hidden = section.hidden; });
    }
    const shown = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${rows.length} claims shown`;
  }

  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}
