// What the live views of this course share. No library, nothing fetched; all text goes in as text, never as HTML.

// An element with attributes, listeners (on...), and children; what is null or undefined is left out.
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else if (name === "checked") element.checked = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Make el a view: hide the static twin while it is there, and keep the notebook's shortcuts out of it.
function begin(model, el, label) {
  el.classList.add("electra-live");
  el.setAttribute("role", "group");
  el.setAttribute("aria-label", label);
  el.dataset.lmSuppressShortcuts = "true";
  // Keys that move a slider or type in a field are not for the notebook around it; its own combinations are.
  el.addEventListener("keydown", (event) => {
    const lab = event.ctrlKey || event.metaKey || event.key === "Escape" || (event.shiftKey && event.key === "Enter");
    if (!lab) event.stopPropagation();
  });
  el.append(h("style", {}, `.${model.get("twin")} { display: none; }`));
}

// A label with its control inside, so that a click on either reaches it and a reader hears both.
function labelled(words, control, after) {
  return h("label", { class: "control" }, h("span", {}, words), control, after);
}

function button(words, onclick, more = {}) {
  return h("button", { type: "button", onclick, ...more }, words);
}

function options(values, chosen, words = (value) => value) {
  return values.map((value) => h("option", { value, selected: value === chosen }, words(value)));
}

// Draw anew without losing the reader's place: the control with the same data-key has the focus again.
function keepingFocus(el, draw) {
  const active = el.getRootNode().activeElement;
  const key = active && el.contains(active) ? active.dataset.key : undefined;
  draw();
  if (key !== undefined) el.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

// Left and right move between the controls of a row, of which one can be reached by Tab.
function arrows(event) {
  const row = [...event.currentTarget.querySelectorAll("[data-roving]")];
  const here = row.indexOf(event.target);
  const steps = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: row.length - 1 };
  if (here < 0 || !(event.key in steps)) return;
  event.preventDefault();
  event.stopPropagation();
  const next = row[Math.max(0, Math.min(row.length - 1, steps[event.key]))];
  for (const one of row) one.tabIndex = one === next ? 0 : -1;
  next.focus();
}
