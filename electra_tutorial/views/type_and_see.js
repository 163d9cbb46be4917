// The browser's side of a line to type in. The picture is HTML of the kernel's own, in which what was typed is escaped.

function render({ model, el }) {
  begin(model, el, "A sentence of your own");
  const line = h("input", {
    type: "text", value: model.get("typed"), style: "width:min(40em, 100%)", autocomplete: "off", spellcheck: "false",
    oninput: (event) => {
      model.set("typed", event.target.value);
      model.save_changes();
    },
  });
  const status = h("p", { role: "status" });
  const picture = h("div", {});
  el.append(h("div", { class: "controls" }, labelled(model.get("label"), line)), status, picture);
  const draw = () => {
    status.textContent = model.get("status");
    picture.innerHTML = model.get("picture");
  };
  model.on("change:picture change:status", draw);
  draw();
  return () => model.off("change:picture change:status", draw);
}

export default { render };
