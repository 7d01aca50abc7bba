// What all parts of the page use.

// An element: properties, or attributes where the name has a dash or is `role`; children are nodes
// or text. Nothing is ever read as HTML.
function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "role" || name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

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
