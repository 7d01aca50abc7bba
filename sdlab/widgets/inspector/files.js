// Files that are dropped, chosen or pasted travel to Python in parts, one after the other.
//
// page -> Python  part {file, name, size, at} + a buffer
// Python -> page  received {}, or after the last part added {cell, name} or refused {text}

const megabytes = (bytes) => `${Math.ceil(bytes / 1e5) / 10} MB`;

// The place where files arrive. `whole` is the element on which they can be dropped, `added(cell)` is told of each.
function arrivals({ model, line, whole, added }) {
  const limits = model.get("limits"), waiting = [];
  let sent = 0, planned = 0, working = false;

  const input = h("input", { type: "file", multiple: true, accept: "image/*", hidden: true, tabIndex: -1, "aria-label": "pictures" });
  const choose = button("Choose pictures…", () => input.click());
  const invitation = h("span", { className: "sdl-invitation" });
  const where = h("div", { className: "sdl-help", textContent: `They are copied to ${model.get("folder")}, where Python runs, and sent to nobody else.` });
  const progress = h("progress", { max: 1, value: 0, "aria-label": "share of the files that has arrived" });
  const status = h("span", { role: "status" });
  const cancel = button("Cancel", () => { waiting.length = 0; });
  const sending = h("div", { className: "sdl-bar", hidden: true }, progress, cancel);
  const refused = h("ul", {});
  const close = button("Close", () => { refused.replaceChildren(); refusals.hidden = true; choose.focus(); });
  const refusals = h("div", { className: "sdl-refusals", hidden: true }, h("div", { role: "alert" }, refused), close);
  const element = h("div", { className: "sdl-drop" }, h("div", { className: "sdl-bar sdl-welcome" }, choose, invitation, input), where, sending, status, refusals);

  function refuse(name, why) {
    refused.append(h("li", { textContent: `${name} was not taken: ${why}` }));
    refusals.hidden = false;
  }

  function take(files) {
    const good = [...files].filter((file) => {
      const why = !file.size ? "it is empty"
        : file.size > limits.bytes ? `it has ${megabytes(file.size)}; at most ${megabytes(limits.bytes)} are taken` : "";
      if (why) refuse(file.name, why);
      return !why;
    });
    const room = Math.min(limits.files, Math.max(0, limits.pictures - model.get("names").length - waiting.length));
    if (good.length > room)
      refuse(`${good.length - room} of ${good.length} files`, room < limits.files
        ? `an inspector holds ${limits.pictures} pictures; open another one` : `at most ${limits.files} are taken at once; drop the others afterwards`);
    waiting.push(...good.slice(0, room));
    planned += Math.min(good.length, room);
    sendAll();
  }

  async function sendAll() {
    if (working) return;
    working = true;
    let first = true, came = 0;
    while (waiting.length) {
      const file = waiting.shift(), message = await send(file);
      sent++;
      if (message.kind === "added") { came++; added(message.cell, first); first = false; } else refuse(file.name, message.text ?? "it was lost");
    }
    [working, sent, planned, sending.hidden] = [false, 0, 0, true];
    status.textContent = came ? `${came} ${came === 1 ? "picture" : "pictures"} arrived` : "";
  }

  async function send(file) {
    const id = crypto.getRandomValues(new Uint32Array(4)).join("-");
    let answer = { kind: "refused" };
    sending.hidden = false;
    for (let at = 0; at < file.size; at += limits.part) {
      status.textContent = `sending ${sent + 1} of ${planned}: ${file.name}`;
      progress.value = (sent + at / file.size) / planned;
      let part;
      try { part = await file.slice(at, at + limits.part).arrayBuffer(); } catch { return { kind: "refused", text: "the browser cannot read it" }; }
      answer = (await line.ask("part", { file: id, name: file.name, size: file.size, at }, [part])).message;
      if (answer.kind !== "received") break;
    }
    return answer;
  }

  input.onchange = () => { take(input.files); input.value = ""; };

  // ---- dropping and pasting
  let inside = 0;                                          // enters less leaves: each child has its own
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const over = (on) => whole.classList.toggle("sdl-over", on);
  const on = (name, act) => whole.addEventListener(name, (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.stopPropagation();
    act(event);
  });
  on("dragenter", () => { inside++; over(true); });
  on("dragleave", () => { inside = Math.max(0, inside - 1); over(inside > 0); });
  on("dragover", (event) => { event.dataTransfer.dropEffect = "copy"; });
  on("drop", (event) => {
    inside = 0;
    over(false);
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const folders = items.map((item) => item.webkitGetAsEntry?.()).filter((entry) => entry?.isDirectory).map((entry) => entry.name);
    folders.forEach((name) => refuse(name, `it is a folder; WatermarkInspector("${name}") reads one, where Python runs`));
    take([...event.dataTransfer.files].filter((file) => !folders.includes(file.name)));
  });
  whole.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (!files.length) return;
    event.preventDefault();
    event.stopPropagation();
    take(files);
  });

  // With nothing there yet the invitation is large and says what this is for.
  function invite() {
    const empty = !model.get("names").length;
    element.classList.toggle("sdl-empty", empty);
    invitation.textContent = empty
      ? "or drop them here, or paste one: does it carry a hidden mark of Stable Diffusion?"
      : "or drop or paste more";
    where.hidden = !empty;
  }
  invite();
  return { element, invite };
}
