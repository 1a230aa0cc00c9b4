// Filters the rows of a table of tasks by words and by verdict.
for (const box of document.querySelectorAll(".filter")) {
  const words = box.querySelector("input");
  const kind = box.querySelector("select");
  const shown = box.querySelector("output");
  const rows = [...box.nextElementSibling.querySelectorAll("tbody tr")];
  const apply = () => {
    const wanted = words.value.toLowerCase();
    let count = 0;
    for (const row of rows) {
      const match = row.textContent.toLowerCase().includes(wanted) && (kind.value === "all" || row.dataset.kind === kind.value);
      row.hidden = !match;
      count += match ? 1 : 0;
    }
    shown.textContent = count + " of " + rows.length + " tasks";
  };
  words.addEventListener("input", apply);
  kind.addEventListener("change", apply);
  apply();
}
