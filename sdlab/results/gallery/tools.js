// What all parts of the page use; nothing is ever read as HTML.

function button(text, act, props = {}) {
  const node = h("button", { type: "button", textContent: text, ...props });
  node.onclick = act;
  return node;
}

function option(value, text = value, selected = false) {
  return h("option", { value, textContent: text, selected });
}

function choice(label, options, act) {
  const select = h("select", {}, ...options);
  select.onchange = () => act(select.value);
  return h("label", {}, label, select);
}

const isTyping = (event) => event.target.matches("input, textarea, select");

// Rows of names and values.
function facts(entries) {
  const row = ([name, value]) =>
    [h("dt", { textContent: name }), h("dd", { textContent: value })];
  return h("dl", {}, ...entries.flatMap(row));
}

// Offers a text as a file.
function offerFile(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
