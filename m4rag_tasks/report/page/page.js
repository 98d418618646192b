// What the page can do beyond being read: sorting, one language alone, light and dark, numbers at the pointer.
// Without scripts everything is still there to read, to print and to download.

// Sorts a table by the column whose header button was pressed.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const header = button.closest("th");
    const body = header.closest("table").tBodies[0];
    const column = header.cellIndex;
    const descending = header.hasAttribute("aria-sort") ? header.getAttribute("aria-sort") === "ascending" : header.classList.contains("number");
    const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [key(a), key(b)];
      // Cells without a value stay at the end in both directions.
      if (x === "" || y === "") return (x === "") - (y === "");
      const numbers = !isNaN(x) && !isNaN(y);
      const order = numbers ? x - y : x.localeCompare(y);
      return descending ? -order : order;
    };
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    body.append(...[...body.rows].sort(compare));
  });
}

const tools = document.querySelector(".tools");
tools.hidden = false;

// Shows rows and examples of the chosen varieties alone; what is about no variety in particular stays.
const language = document.getElementById("language");
if (language) {
  const about = [...document.querySelectorAll("[data-language]")];
  const told = document.getElementById("filtered");
  const filter = () => {
    const chosen = language.value.split(" ");
    for (const element of about) element.hidden = language.value !== "" && !chosen.includes(element.dataset.language);
    const left = about.filter((element) => !element.hidden).length;
    told.textContent = language.value === "" ? "" : `${left} of ${about.length} rows and examples by language shown; averages and charts are over all varieties`;
  };
  language.addEventListener("change", filter);
  // A browser may remember the choice when the page is loaded again.
  filter();
}

// Light or dark by hand; until then it is as the system has it.
const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
const tell = () => theme.setAttribute("aria-pressed", String(isDark()));
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  tell();
});
dark.addEventListener("change", tell);
tell();

// A chart's numbers at the pointer, at once and by touch too; the titles that say them without scripts are taken out.
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const title of document.querySelectorAll(".drawing svg title")) {
  title.parentElement.dataset.tip = title.textContent;
  title.remove();
}
document.addEventListener("pointerover", (event) => {
  const mark = event.target.closest("[data-tip]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const box = mark.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  const top = box.top - tip.offsetHeight - 6;
  tip.style.left = `${left}px`;
  tip.style.top = `${top < 4 ? box.bottom + 6 : top}px`;
});
document.addEventListener("scroll", () => (tip.hidden = true), { passive: true });
