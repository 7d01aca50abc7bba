// What the pages of galleries and widgets share; it is put before either's own scripts.

// An element: properties, or attributes where the name has a dash or is `role`; children are nodes
// or text.
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
