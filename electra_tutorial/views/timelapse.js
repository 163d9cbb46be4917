// The time-lapse in the page: it holds every moment, so the slider and the play button need no kernel.

const PAUSE = 700; // ms a moment is shown while playing
const WIDTH = 420, HEIGHT = 190, LEFT = 34, RIGHT = 8, TOP = 8, BOTTOM = 24; // of the exam's drawing
const LOW = 0.4; // where its axis begins; chance is 0.5

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function render({ model, el }) {
  const film = model.get("film");
  const last = film.moments.length - 1;
  let moment = last;
  let playing = null;

  begin(model, el, "Time-lapse of a training");
  const choice = h("select", { onchange: (event) => { choose(Number(event.target.value)); } },
    film.sentences.map((one, number) => h("option", { value: number }, `${number}. ${one.text}`)));
  const slider = h("input", {
    type: "range", min: 0, max: last, step: 1, value: moment, style: "width:16em",
    oninput: (event) => { pause(); show(Number(event.target.value)); },
  });
  const play = button("Play", () => (playing ? pause() : start()));
  const when = h("p", { role: "status", "aria-live": "off" });
  const strip = h("div", { class: "strip", dir: "ltr" });
  const x = (place) => LEFT + (WIDTH - LEFT - RIGHT) * (last ? place / last : 0);
  const y = (score) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (score - LOW) / (1 - LOW));
  const marker = svg("line", { y1: TOP, y2: HEIGHT - BOTTOM, stroke: "#111111", "stroke-width": 2 });
  const chart = drawChart();
  el.append(
    h("div", { class: "controls" }, labelled("Sentence", choice), play, labelled("Moment", slider)),
    when,
    h("div", { class: "beside" }, h("div", { class: "main" }, strip, legend()), h("div", {}, chart, key())),
  );

  function drawChart() {
    const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, role: "img", "aria-label":
      "The exam over the moments of the run; a line marks the moment shown" });
    const text = (where, words, anchor) => svg("text", { ...where, "font-size": 11, fill: "#111111",
      "text-anchor": anchor }, words);
    for (const score of [0.5, 0.75, 1]) {
      drawing.append(svg("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(score), y2: y(score), stroke: "#767676",
        "stroke-width": 0.6, "stroke-dasharray": score === 0.5 ? "5 3" : "" }),
      text({ x: LEFT - 4, y: y(score) + 4 }, score.toFixed(2), "end"));
    }
    drawing.append(text({ x: WIDTH - RIGHT, y: y(0.5) + 13 }, "chance", "end"),
      text({ x: LEFT, y: HEIGHT - 8 }, `step ${film.moments[0].step}`, "start"),
      text({ x: WIDTH - RIGHT, y: HEIGHT - 8 }, `step ${film.moments[last].step}`, "end"));
    for (const curve of film.curves) {
      drawing.append(svg("polyline", { points: curve.points.map(([at, score]) => `${x(at)},${y(score)}`).join(" "),
        fill: "none", stroke: curve.colour, "stroke-width": 2, "stroke-dasharray": curve.dash }));
    }
    drawing.append(marker);
    return drawing;
  }

  function key() {
    return h("p", { class: "legend" }, "Exam: ", film.curves.map((curve, number) => [
      svg("svg", { width: 26, height: 8, "aria-hidden": "true" }, svg("line", { x1: 0, x2: 24, y1: 4, y2: 4,
        stroke: curve.colour, "stroke-width": 2, "stroke-dasharray": curve.dash })),
      ` ${curve.name}${number < film.curves.length - 1 ? "; " : ""}`]).flat());
  }

  function legend() {
    return h("p", { class: "legend" }, `Colour: how far from the base rate, ${film.base}. `,
      film.scale.map((step) => h("span", { style: `background-color:${step.colour}` }, step.label)),
      " Ring: the word that does not belong.");
  }

  function show(number) {
    moment = number;
    const sentence = film.sentences[model.get("sentence")];
    const now = film.moments[moment];
    const at = model.get("sentence");
    slider.value = moment;
    slider.setAttribute("aria-valuetext", `step ${now.step}`);
    choice.value = at;
    when.replaceChildren(`Step ${now.step}, ${now.tokens} tokens seen; ${now.exam}.`);
    const words = [];
    for (const [place, piece] of sentence.pieces.entries()) {
      if (!words.length || !sentence.joined[place]) words.push([]);
      const replaced = sentence.replaced.includes(place);
      words.at(-1).push(h("div", { class: "piece" }, h("span", { class: "row-sampled" }, h("bdi", {}, piece)),
        h("span", { class: "row-p" }, h("span", { class: replaced ? "p replaced" : "p",
          style: `background-color:${now.colours[at][place]}` }, now.p[at][place])),
        replaced ? h("span", { class: "row-truth" }, h("b", {}, "wrong")) : null));
    }
    strip.replaceChildren(...words.map((pieces) => h("div", { class: pieces.length > 1 ? "word joined" : "word" },
      pieces)));
    marker.setAttribute("x1", x(moment));
    marker.setAttribute("x2", x(moment));
  }

  function choose(number) {
    model.set("sentence", number);
    show(moment);
    try {
      model.save_changes(); // so that the saved picture is of this sentence
    } catch (error) {
      // without a kernel there is nothing to save it for
    }
  }

  function start() {
    if (moment === last) show(0);
    playing = setInterval(() => (moment < last ? show(moment + 1) : pause()), PAUSE);
    play.textContent = "Pause";
  }

  function pause() {
    clearInterval(playing);
    playing = null;
    play.textContent = "Play";
    when.setAttribute("aria-live", "polite");
  }

  const followed = () => show(moment);
  model.on("change:sentence", followed);
  show(moment);
  return () => {
    pause();
    model.off("change:sentence", followed);
  };
}

export default { render };
