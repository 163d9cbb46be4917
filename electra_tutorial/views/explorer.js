// The replacement explorer in the page: it shows what `answer` holds and sends what the reader wants as `request`.

const PARTS = { round: "Play a round", fool: "Fool the detector", duel: "Generator against discriminator" };
const LOST = "No answer from the kernel. If it was restarted, run the cell again. If another cell is running, the " +
  "answer comes after it.";
const PATIENCE = 8000; // ms until LOST is said
const TYPING = 400; // ms without a key until what was typed is asked about

function render({ model, el }) {
  const setting = model.get("setting");
  let waiting, typing; // timers
  let open = null; // the hidden place whose proposals are shown
  let reached = 1; // the token that Tab reaches
  let lost = false;
  let typedAt = null; // the hidden place for which a word was typed last, until something else is asked

  begin(model, el, "Replacement explorer");
  const head = h("div", { class: "controls" });
  const controls = h("div", { class: "controls" });
  const problem = h("div", { role: "alert" });
  const drawing = h("div", {});
  const said = h("div", { role: "status", "aria-live": "polite", class: "said" });
  el.append(head, controls, problem, drawing, said);

  const request = () => model.get("request");
  const answer = () => model.get("answer");

  // Ask for something else. Requests count up; an answer to an older one is not drawn.
  function ask(changes) {
    typedAt = null;
    clearTimeout(typing);
    clearTimeout(waiting);
    waiting = setTimeout(() => { lost = true; draw(); }, PATIENCE);
    try {
      model.set("request", { ...request(), ...changes, seq: request().seq + 1 });
      model.save_changes();
    } catch (error) {
      lost = true;
    }
    el.setAttribute("aria-busy", "true");
    drawControls();
  }

  function answered() {
    if ((answer().seq ?? 0) < request().seq) return;
    clearTimeout(waiting);
    lost = false;
    draw();
  }

  function draw() {
    el.removeAttribute("aria-busy");
    keepingFocus(el, () => {
      drawControls();
      const found = answer();
      problem.replaceChildren(...[lost ? LOST : null, found.problem].filter(Boolean).map(
        (words) => h("p", { class: "problem" }, words)));
      // Said beside the field that it comes from: in the box of a place, else below the controls.
      const box = typedAt !== null && found.problem ? drawing.querySelector(".place") : null;
      if (box) box.append(problem);
      else drawing.before(problem);
      if (found.problem || found.kind !== request().kind) {
        said.replaceChildren();
        return; // the last picture stays
      }
      drawing.replaceChildren(...{ round: drawRound, fool: drawFool, duel: drawDuel }[found.kind](found));
      said.replaceChildren(...[found.words, found.score].filter(Boolean).map((words) => h("p", {}, words)));
    });
  }

  // --- controls ---
  // They are made once for each part, so that typing is never interrupted, and then kept at what was asked.
  let made = null;
  const fields = {};

  function drawControls() {
    if (made !== request().kind) {
      made = request().kind;
      for (const name of Object.keys(fields)) delete fields[name];
      head.replaceChildren(...Object.keys(PARTS).map((kind) => button(PARTS[kind], () => ask({ kind }), {
        "data-key": `part-${kind}`, "aria-pressed": String(kind === made), class: "part",
      })), labelled("Model", field("model", h("select", {
        onchange: (event) => ask({ model: event.target.value, own: {}, words: {} }),
      }, options(setting.models, request().model)))));
      controls.replaceChildren(...{ round: roundControls, fool: foolControls, duel: duelControls }[made]());
      drawing.replaceChildren();
    }
    for (const [name, control] of Object.entries(fields)) {
      const value = request()[name.split(" ")[0]];
      if (control.type === "checkbox") control.checked = value;
      else if (control !== el.getRootNode().activeElement || control.type === "range") control.value = value ?? "";
    }
  }

  function field(name, control) {
    fields[name] = control;
    control.dataset.key = name;
    return control;
  }

  function later(changes) {
    clearTimeout(typing);
    typing = setTimeout(() => ask(changes()), TYPING);
  }

  function heat() {
    const set = (event) => ask({ temperature: event.target.value === "" ? null : Number(event.target.value) });
    return [
      labelled("Temperature", field("temperature slider", h("input", {
        type: "range", min: 0, max: 3, step: 0.1, value: request().temperature, oninput: set,
      })), h("input", {
        type: "number", min: 0, max: setting.hottest, step: "any", value: request().temperature, oninput: set,
        "aria-label": "Temperature, as a number", ...keyOf("temperature number"),
      })),
    ].map((label) => { fields["temperature number"] = label.querySelector("input[type=number]"); return label; });
  }

  function keyOf(key) {
    return { "data-key": key };
  }

  function seedField() {
    return labelled("Seed", field("seed", h("input", {
      type: "number", min: 0, step: 1, value: request().seed,
      oninput: (event) => later(() => ({ seed: event.target.value === "" ? null : Number(event.target.value) })),
    })));
  }

  function next() {
    return (Number(request().seed) || 0) + 1;
  }

  function roundControls() {
    const written = (event) => () => ({ text: event.target.value, mask: null, own: {}, words: {} });
    return [
      labelled("Sentence", field("text", h("textarea", {
        rows: 2, value: request().text, spellcheck: "false", oninput: (event) => later(written(event)),
        onkeydown: (event) => {
          if (event.key !== "Enter") return;
          event.preventDefault();
          ask(written(event)());
        },
      }))),
      labelled("or pick one", h("select", {
        ...keyOf("pick"),
        onchange: (event) => {
          if (event.target.value) ask({ text: event.target.value, mask: null, own: {}, words: {} });
        },
      }, h("option", { value: "" }, "…"), options(setting.sentences, null))),
      button("Hide 15 % at random", () => ask({ mask: null, own: {}, words: {}, seed: next() }), keyOf("hide")),
      button("Draw again", () => ask({ mask: answer().mask ?? null, own: {}, words: {}, seed: next() }), keyOf("again")),
      button("Hide nothing", () => ask({ mask: [], own: {}, words: {} }), keyOf("nothing")),
      ...heat(), seedField(),
      labelled("Colour compares with", field("against", h("select", {
        onchange: (event) => ask({ against: event.target.value }),
      }, options(["base rate", "unedited"], request().against,
        (value) => `the ${value}${value === "unedited" ? " sentence" : ""}`)))),
      setting.models.length > 1 ? labelled("Show the same fakes to the other models", field("compare", h("input", {
        type: "checkbox", checked: request().compare, onchange: (event) => ask({ compare: event.target.checked }),
      }))) : null,
    ].filter(Boolean);
  }

  function foolControls() {
    const many = setting.fool.length;
    const go = (number) => ask({ number: (number + many) % many, word: "" });
    const tried = h("input", {
      type: "text", value: request().word, autocomplete: "off", spellcheck: "false",
      onkeydown: (event) => { if (event.key === "Enter") ask({ word: event.target.value }); },
    });
    return [
      labelled("Sentence", field("number", h("select", { onchange: (event) => go(Number(event.target.value)) },
        setting.fool.map((one, number) => h("option", { value: number }, `${number + 1}. ${one.text}`))))),
      button("Next sentence", () => go(request().number + 1), keyOf("next")),
      labelled("Your word", field("word", tried)),
      button("Put it in", () => ask({ word: tried.value }), keyOf("put")),
    ];
  }

  function duelControls() {
    return [...heat(), seedField(), button("Play again", () => ask({ seed: next() + setting.fool.length }),
      keyOf("play"))];
  }

  // --- a round ---
  function drawRound(found) {
    const hidden = found.mask.length > 0;
    const rows = ["place", "original"].concat(hidden ? ["masked", "sampled"] : [],
      request().against === "unedited" ? ["before"] : [], ["p", "truth"]);
    if (!found.places.some((one) => one.place === open)) open = found.places.length ? found.places[0].place : null;
    if (!found.tokens[reached] || found.tokens[reached].special) reached = 1;
    const words = [];
    for (const [place, token] of found.tokens.entries()) {
      if (!words.length || words.at(-1).word !== token.word) words.push({ word: token.word, pieces: [] });
      words.at(-1).pieces.push(drawToken(token, place, rows, found));
    }
    return [
      h("p", { class: "how" }, "Click a token, or use the arrow keys and Space, to hide it or show it again."),
      h("div", { class: "strip", dir: "ltr", role: "toolbar", "aria-label": "Tokens", onkeydown: arrows },
        h("div", { class: "names" }, rows.map((row) => h("span", { class: `row-${row}` }, NAMES[row]))),
        words.map((word) => h("div", { class: word.pieces.length > 1 ? "word joined" : "word" }, word.pieces))),
      legend(found.legend),
      ...found.notes.map(note), drawPlace(found), ...found.others.map(drawReader),
    ].filter(Boolean);
  }

  const NAMES = {
    place: "place", original: "original", masked: "masked", sampled: "put in", before: "P unedited",
    p: "P(replaced)", truth: "truth",
  };

  function drawToken(token, place, rows, found) {
    const truth = [token.truth, token.verdict].filter(Boolean).join(", ");
    const cells = {
      place: () => String(place),
      original: () => token.special || !token.original ? h("span", {}, token.original) : button(h("bdi", {}, token.original),
        () => toggle(place, found), {
          class: "token", "aria-pressed": String(token.hidden), "data-key": `token-${place}`, "data-roving": true,
          tabindex: place === reached ? 0 : -1, onfocus: () => { reached = place; },
          "aria-label": `${token.original}, place ${place}, ${token.hidden ? `hidden, put in: ${token.sampled}, ` : ""}` +
            `P(replaced) ${token.p}${truth ? `, ${truth}` : ""}`,
        }),
      masked: () => token.hidden ? "[MASK]" : "",
      sampled: () => token.hidden ? button(h("bdi", {}, token.sampled), () => { open = place; draw(); }, {
        class: "sampled", "aria-pressed": String(place === open), "data-key": `sampled-${place}`,
        "aria-label": `What the generator proposed at place ${place}; put in: ${token.sampled}`,
      }) : "",
      before: () => token.before,
      p: () => h("span", {
        class: `p ${token.known}`, style: `background-color:${token.colour}`,
        title: `${token.sampled}: P(replaced) ${token.p}, ${token.nats} nats`,
      }, token.p),
      truth: () => h("span", {}, h("b", {}, token.truth), token.verdict ? h("br") : null, token.verdict),
    };
    return h("div", { class: "piece" }, rows.map((row) => h("span", { class: `row-${row}` }, cells[row]())));
  }

  // Hide a token or show it again; a word of yours goes out, and what was typed stands there again.
  function toggle(place, found) {
    const { origin, yours } = found.tokens[place];
    const mask = new Set(found.mask);
    const own = { ...request().own };
    const words = { ...request().words };
    if (!mask.delete(yours ?? origin)) {
      mask.add(origin);
      open = place;
    }
    delete own[origin];
    delete words[yours];
    ask({ mask: [...mask].sort((a, b) => a - b), own, words });
  }

  // What the generator proposed at one hidden place; each proposal, or a word of your own, can be put in.
  function drawPlace(found) {
    const one = found.places.find((place) => place.place === open);
    if (!one) return null;
    const { origin, yours } = found.tokens[one.place];
    const put = (piece) => {
      const words = { ...request().words };
      delete words[yours ?? origin];
      ask({ mask: found.mask, own: { ...request().own, [yours ?? origin]: piece }, words });
    };
    // A word takes the place of the whole word there; what begins with ## is one piece.
    const type = (text) => {
      const own = { ...request().own };
      delete own[yours ?? origin];
      if (text.trim().startsWith("##")) put(text);
      else ask({ mask: found.mask, own, words: { ...request().words, [yours ?? origin]: text } });
      typedAt = one.place;
    };
    const own = h("input", {
      type: "text", value: one.own, autocomplete: "off", spellcheck: "false", "data-key": "own",
      onkeydown: (event) => { if (event.key === "Enter") type(event.target.value); },
    });
    return h("div", { class: "place", role: "group", "aria-label": `Place ${one.place}` },
      h("p", {}, h("b", {}, `Place ${one.place}`), ": the generator's likeliest pieces. Click one to put it in."),
      h("div", { class: "proposals" }, one.top.map(({ piece, p, share }, rank) => button(
        [h("bdi", {}, piece), ` ${p}`, h("span", { class: "bar", style: `width:${Math.max(1, 100 * share)}%` })],
        () => put(piece), { "data-key": `top-${rank}`, "aria-label": `Put in ${piece}, ${p}` }))),
      h("p", {}, one.drawn),
      h("div", { class: "controls" }, labelled(`Your own word at place ${one.place}`, own),
        button("Put it in", () => type(own.value), keyOf("put own"))));
  }

  function drawReader(one) {
    return h("div", {}, h("p", {}, h("b", {}, one.name), ` ${one.guess}`), drawWords(one.words, "replaced"),
      ...one.notes.map(note));
  }

  // --- fool the detector ---
  function drawFool(found) {
    const { text, word } = setting.fool[request().number % setting.fool.length];
    const [before, after] = text.split(new RegExp(`\\b${word}\\b(.*)`, "s"));
    return [
      h("p", { class: "task" }, before, h("b", { class: "target" }, word), after),
      h("p", { class: "how" }, `Put another word in place of “${word}” that the detector does not notice. It is ` +
        "caught when it is the most suspected word, or gets 50 % or more."),
      h("p", {}, "As written:"), drawWords(found.before, ""),
      ...(found.after.length ? [h("p", {}, "With your word:"), drawWords(found.after, "yours")] : []),
      legend(found.legend, "Ring: your word."), ...found.notes.map(note),
    ];
  }

  function drawWords(words, mark) {
    return h("div", { class: "strip", dir: "ltr" }, words.map((word) => h("div", { class: "word" },
      h("div", { class: "piece" }, h("span", { class: "row-sampled" }, h("bdi", {}, word.sampled)),
        h("span", { class: "row-p" }, h("span", {
          class: word.changed ? "p replaced" : "p", style: `background-color:${word.colour}`,
        }, word.p)),
        word.changed ? h("span", { class: "row-truth" }, h("b", {}, mark)) : null))));
  }

  // --- generator against discriminator ---
  function drawDuel(found) {
    return [
      h("p", { class: "how" }, `One round on each of ${setting.fool.length} sentences: the generator fills hidden ` +
        "places, the discriminator says what is fake."),
      h("table", {}, h("tbody", {}, found.rows.map(([name, value]) => h("tr", {},
        h("th", { scope: "row" }, name), h("td", {}, value))))),
      h("p", {}, `The fakes, each with P(replaced): ${found.fakes.join("; ") || "none"}.`),
    ];
  }

  // --- both ---
  function legend(scale, rings = "Ring: really replaced; dotted: hidden, but no fake.") {
    return h("p", { class: "legend" }, `Colour: how far from ${scale.what}. `,
      scale.steps.map((step) => h("span", { style: `background-color:${step.colour}` }, step.label)),
      ` ${rings}`);
  }

  function note(words) {
    return h("p", { class: "note" }, h("b", {}, "Note. "), words);
  }

  const dead = () => { lost = true; draw(); };
  const followed = () => drawControls();
  model.on("change:answer", answered);
  model.on("change:request", followed);
  model.on("comm_live_update", dead);
  draw();
  return () => {
    clearTimeout(waiting);
    clearTimeout(typing);
    model.off("change:answer", answered);
    model.off("change:request", followed);
    model.off("comm_live_update", dead);
  };
}

export default { render };
