// What a pointer does in bertviz's views, done by keys as well. Tab reaches each row of marks, arrow keys move in it; a
// token that has the focus is shown as under the pointer; Enter or Space clicks, Shift with Enter double-clicks.
(() => {
  const SELECTS = { layer: "Layer", att_head: "Head", filter: "Attention" };
  const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  const hears = (mark, type) => (mark.__on || []).some((one) => one.type === type); // where d3 keeps listeners
  const send = (mark, type) => mark.dispatchEvent(new MouseEvent(type));
  const sideOf = (token) => token.closest("g[id]") || token.parentNode; // all tokens that look, or are looked at
  const seen = (mark) => getComputedStyle(mark).visibility !== "hidden";

  // The marks that answer a pointer, row by row: tokens side by side or below one another, and what can be clicked.
  function rows() {
    const tokens = [...document.querySelectorAll("svg g")].filter((mark) => hears(mark, "mouseover"));
    const parents = [...new Set(tokens.map((token) => token.parentNode))];
    const buttons = [...document.querySelectorAll("svg rect")].filter(
      (mark) => hears(mark, "click") && !tokens.some((token) => token.contains(mark)));
    return [...parents.map((parent) => tokens.filter((token) => token.parentNode === parent)), buttons]
      .filter((row) => row.length);
  }

  function nameOf(mark, row) {
    const number = row.indexOf(mark);
    if (mark.localName === "g") {
      const side = /left/i.test(sideOf(mark).id) ? "looks" : "is looked at";
      return `${mark.textContent}, place ${number}, ${side}`;
    }
    const heads = new Set(row.map((one) => one.getAttribute("x"))).size;
    return heads === row.length ? `Head ${number}` : `Layer ${Math.floor(number / heads)}, head ${number % heads}`;
  }

  function equip(mark, row) {
    const token = mark.localName === "g";
    const inner = token ? [...mark.querySelectorAll("rect")].find((one) => hears(one, "click")) : mark;
    const toggles = hears(mark, "dblclick");
    mark.setAttribute("role", toggles ? "checkbox" : inner ? "button" : "img");
    mark.setAttribute("aria-label", nameOf(mark, row));
    mark.setAttribute("tabindex", "-1");
    if (mark.style.opacity === "0") { // so that its outline can be seen
      mark.style.opacity = 1;
      mark.style.fill = "transparent";
    }
    mark.addEventListener("focus", () => {
      for (const one of row) one.setAttribute("tabindex", one === mark ? "0" : "-1");
      if (token) send(mark, "mouseover");
    });
    mark.addEventListener("blur", () => {
      if (!token) return;
      send(mark, "mouseleave");
      send(sideOf(mark), "mouseleave");
    });
    mark.addEventListener("keydown", (event) => {
      if (event.key in STEPS) row[row.indexOf(mark) + STEPS[event.key]]?.focus();
      else if (["Enter", " "].includes(event.key) && inner) press(mark, inner, event.shiftKey && toggles, row);
      else return;
      event.preventDefault();
    });
  }

  function press(mark, inner, twice, row) {
    const number = row.indexOf(mark);
    send(inner, twice ? "dblclick" : "click");
    equipAll();
    if (!seen(mark)) rows().map((one) => one[number]).find((one) => one && seen(one))?.focus();
  }

  function equipAll() {
    for (const one of document.querySelectorAll("select")) one.setAttribute("aria-label", SELECTS[one.id] || one.id);
    for (const row of rows()) {
      for (const mark of row) if (!mark.hasAttribute("tabindex")) equip(mark, row);
      if (!row.some((mark) => mark.getAttribute("tabindex") === "0")) row[0].setAttribute("tabindex", "0");
      for (const mark of row) { // bertviz lightens the colour of a head that is left out, and then writes it as rgb()
        if (hears(mark, "dblclick")) mark.setAttribute("aria-checked", String(mark.getAttribute("fill")[0] === "#"));
      }
    }
  }

  new MutationObserver(equipAll).observe(document.body, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["fill"],
  });
  equipAll();
})();
