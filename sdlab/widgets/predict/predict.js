// The page of Predict: a question, then its pictures. Before an answer it knows nothing of them.
//
// page -> Python  answer {answer, pupil}, show, each answered with pictures {captions} + buffers;
//                 seen, answered with seen {seen}, what stands in each; code.
//                 The buffer of a picture that cannot be read is empty.

const LOST = "the picture cannot be read";
const NAMELESS = "Write your name first: answers go by name.";
const UNDECIDED = "Choose an answer first.";
const MOST = 0.4, LEAST = 64;  // of a picture on the whole screen: its share, and pixels

class Choices {
  constructor(view) {
    const { model } = view, name = `sdl-predict-${model.get("uid")}-${Math.random()}`;
    this.pupil = nameField(model, "pupil");
    this.radios = model.get("answers").map((value) => h("input", { type: "radio", name, value }));
    const labels = this.radios.map((radio) => h("label", {}, radio, radio.value));
    this.reveal = button("reveal", () => view.send(this.chosen.value));
    this.missing = h("p", { role: "status", className: "sdl-predict-missing" });
    describe(this.reveal, this.missing);
    this.reveal.addEventListener("click", () => this.sayMissing());
    this.pupil.addEventListener("keydown", (event) => this.goOnAt(event));
    const allow = () => { this.entered = false; this.allow(); };
    for (const input of [...this.radios, this.pupil]) input.addEventListener("input", allow);
    this.fields = h("fieldset", { className: "sdl-predict-choices" },
      h("legend", { textContent: model.get("question") }), ...labels);
    this.element = h("div", { className: "sdl-predict-asked" }, this.fields,
      h("div", { className: "sdl-bar" }, h("label", {}, "pupil", this.pupil), this.reveal,
        fullButton(view.root)), this.missing);
    this.allow();
  }

  get chosen() { return this.radios.find((radio) => radio.checked); }

  // What an answer lacks, in words.
  get lack() {
    if (!this.pupil.value.trim()) return NAMELESS;
    return this.chosen ? "" : UNDECIDED;
  }

  // Another name is written into the field; the same one is not, while the next is being typed.
  name(pupil) {
    if (pupil === this.named) return;
    this.pupil.value = this.named = pupil;
    this.missing.textContent = "";
  }

  // What was answered, or an open question: a choice outlives that its pupil gives a name.
  show(answer) {
    for (const radio of this.radios) {
      radio.checked = answer ? radio.value === answer : radio.checked && !radio.disabled;
      radio.disabled = Boolean(answer);
    }
    this.reveal.hidden = Boolean(answer);
    this.allow();
    if (this.entered && !answer && document.activeElement === this.pupil) this.goOn();
  }

  // Answers go by name, so there is none without. What is said to be lacking stays as long as it
  // is, also when Python tells of something else meanwhile.
  allow() {
    const { lack, missing } = this;
    able(this.reveal, !lack);
    if (missing.textContent !== lack) missing.textContent = "";
  }

  // Says what reveals nothing yet, and goes where it is filled in.
  sayMissing() {
    const { lack } = this;
    if (this.reveal.hidden || !lack) return;
    this.missing.textContent = lack;
    (lack === NAMELESS ? this.pupil : this.radios[0]).focus();
  }

  // Enter goes on from the name: to the answers, or if one is chosen to the button.
  goOnAt(event) {
    if (event.key !== "Enter" || combined(event) || runs(event)) return;
    event.preventDefault();                                // else it presses what it goes on to
    this.pupil.onchange();
    this.entered = true;
    this.goOn();
  }

  goOn() { (this.chosen && !this.chosen.disabled ? this.reveal : this.radios[0]).focus(); }
}

// What the class said, and the pictures.
class Answer {
  constructor(view) {
    this.view = view;
    this.urls = [];
    this.verdict = h("p", { role: "status", tabIndex: -1, className: "sdl-predict-verdict" });
    this.bars = h("table", { className: "sdl-table" });
    this.pictures = h("div", { className: "sdl-predict-pictures" });
    this.code = codeBlock(view.line);
    this.element = h("div", { className: "sdl-predict-told" },
      this.verdict, this.bars, this.pictures, this.code);
  }

  tell() {
    const { model } = this.view, right = model.get("right"), own = model.get("choice");
    const counts = model.get("counts"), most = Math.max(...counts, 1);
    const said = !right ? "" : own === right ? "That is right. " : `It is “${right}”. `;
    say(this.verdict, `You expected “${own}”. ${said}`);
    const row = (name, k) => h("tr", {},
      h("th", { scope: "row", textContent: name === right ? `${name} ✓` : name }),
      h("td", {}, h("span", { className: "sdl-predict-bar",
        style: `width: ${160 * counts[k] / most}px` }), ` ${counts[k]}`));
    const caption = `what ${model.get("group") || "the class"} expected`;
    this.bars.replaceChildren(h("caption", { textContent: caption }),
      h("tbody", {}, ...model.get("answers").map(row)));
  }

  show(captions, buffers) {
    this.free();
    this.urls = buffers.map((data) => (data.byteLength ? blobUrl(data) : null));
    this.pictures.replaceChildren(...this.urls.map((src, k) => h("figure", {},
      src ? h("img", { src, alt: captions[k], className: "sdl-pixels" }) : LOST,
      h("figcaption", { textContent: captions[k] }))));
    this.captions = captions;
    const images = [...this.pictures.querySelectorAll("img")];
    Promise.allSettled(images.map((image) => image.decode())).then(() => this.fit());
  }

  // On the whole screen all pictures are seen at once, as large as that lets them be.
  fit() {
    const { root } = this.view, full = document.fullscreenElement === root;
    const overflows = () =>
      this.pictures.offsetTop + this.pictures.offsetHeight > root.clientHeight - EDGES;
    let side = Math.floor(MOST * Math.min(innerWidth, innerHeight));
    const take = () => root.style.setProperty("--sdl-side", full ? `${side}px` : "");
    take();
    while (full && side > LEAST && overflows()) {
      side -= 4;
      take();
    }
  }

  // What stands in each picture, for those who do not see it.
  describe(seen) {
    this.pictures.querySelectorAll("figure").forEach((figure, k) => {
      const image = figure.querySelector("img");
      if (image) image.alt = [this.captions[k], seen[k]].filter(Boolean).join(", ");
    });
  }

  free() { for (const url of this.urls) if (url) URL.revokeObjectURL(url); }
}

// Says it once: the same text anew would be read aloud again.
function say(node, text) { if (node.textContent !== text) node.textContent = text; }

class PredictView {
  constructor({ model, line, root }) {
    Object.assign(this, { model, line, root });
    this.choices = new Choices(this);
    this.told = new Answer(this);
    root.append(this.choices.element, this.told.element);
  }

  // What the pupil who is named has answered: never what the one before has, who may be right.
  get answer() {
    return this.model.get("whose") === this.model.get("pupil") ? this.model.get("choice") : "";
  }

  async send(answer) {
    await this.take("answer", { answer, pupil: this.choices.pupil.value.trim() });
    this.told.verdict.focus();
  }

  async take(kind, content) {
    const { message, buffers } = await this.line.ask(kind, content);
    if (message.kind !== "pictures") return;
    this.told.show(message.captions, buffers);
    this.line.ask("seen").then(({ message: found }) => {
      if (found.kind === "seen") this.told.describe(found.seen);
    });
  }

  show() {
    const { answer } = this;
    this.choices.name(this.model.get("pupil"));
    this.choices.show(answer);
    this.told.element.hidden = !answer;
    if (answer) this.told.tell(); else say(this.told.verdict, "");
  }

  // An answer in another view, by Python, or of another pupil.
  change() {
    this.show();
    if (this.answer) this.take("show");
  }
}

function render({ model, line, root }) {
  const view = new PredictView({ model, line, root });
  const show = () => view.show(), change = () => view.change();
  const acts = { choice: change, whose: show, pupil: show, counts: show, right: show,
    group: show };
  const unfollow = follow(model, acts);
  view.change();
  const sized = new ResizeObserver(() => view.told.fit());
  sized.observe(root);
  return () => { unfollow(); sized.disconnect(); view.told.free(); };
}

export default panel("predict", render);
