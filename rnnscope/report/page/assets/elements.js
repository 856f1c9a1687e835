// Elements of the page. Whatever comes from a file goes in as text, never as markup.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

function byId(id) {
  return document.getElementById(id);
}

function fillSelect(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => element("option", { value }, text)));
  select.value = chosen;
}

// A number field: what is typed counts when it is left, or Enter is pressed; nonsense is put back.
function numberField(id, read, write) {
  const field = byId(id);
  field.addEventListener("input", () => { field.dataset.typing = "yes"; });
  field.addEventListener("blur", () => {
    delete field.dataset.typing;
    showNumber(field, read());
  });
  field.addEventListener("change", () => {
    delete field.dataset.typing;
    const value = field.valueAsNumber;
    if (Number.isFinite(value) || field.value === "") write(field.value === "" ? null : value);
    showNumber(field, read());
  });
  return () => showNumber(field, read());
}

// What is being typed is left alone.
function showNumber(field, value) {
  if (field.dataset.typing) return;
  const text = value === null ? "" : String(value);
  if (field.value !== text) field.value = text;
}

function tableOf(caption, heads, rows) {
  return element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))))));
}
