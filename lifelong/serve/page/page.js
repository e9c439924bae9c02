"use strict";

const at = (id) => document.getElementById(id);
let state = null;
let asked = null;

/** Make an element with properties and children; text is never taken for HTML. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function tell(message) {
  at("error").hidden = !message;
  at("error").textContent = message ? message[0].toUpperCase() + message.slice(1) : "";
  if (message) at("error").scrollIntoView({ block: "nearest" });
}

/** Send a request; what the program says is wrong stands on the page. Returns the response, or null. */
async function send(method, path, body) {
  document.body.classList.add("busy");
  try {
    const response = await fetch(path, { method, body });
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    tell(said.error || `The program answered ${response.status}: look where it was started.`);
  } catch {
    tell("The program does not answer: it was ended, or is not reached. Start it again.");
  } finally {
    document.body.classList.remove("busy");
  }
  return null;
}

async function change(method, path, body) {
  const response = await send(method, path, body);
  if (!response) return false;
  state = await response.json();
  show();
  if (asked !== null && state.missing === null) await answer(asked);
  else at("answer").hidden = true;
  return true;
}

/** Do something with each file; the first complaint stays on the page, and good files are kept. */
async function eachFile(files, act) {
  tell("");
  for (const file of files) await act(file);
}

function showExample(example, name) {
  const remove = make("button", { type: "button", className: "remove", textContent: "×", title: "Remove" });
  remove.setAttribute("aria-label", `Remove an example of ${name}`);
  remove.onclick = () => { tell(""); change("DELETE", `examples/${example.id}`); };
  if (example.text !== null) {
    return make("li", { className: "text" }, make("span", { textContent: shortened(example.text) }), remove);
  }
  return make("li", {}, make("img", { src: `examples/${example.id}`, alt: `Example of ${name}` }), remove);
}

function shortened(text) {
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
}

function showClass(group) {
  const name = make("input", { value: group.name, maxLength: 80, disabled: state.fixed });
  name.setAttribute("aria-label", "Name of the class");
  name.onchange = async () => {
    tell("");
    if (!(await change("POST", `classes/${group.id}/name`, name.value))) name.value = group.name;
  };
  const head = make("div", { className: "class-head" }, name);
  if (!state.fixed) {
    const remove = make("button", { type: "button", className: "remove", textContent: "×", title: "Remove the class" });
    remove.setAttribute("aria-label", `Remove the class ${group.name}`);
    remove.onclick = () => { tell(""); change("DELETE", `classes/${group.id}`); };
    head.append(remove);
  }
  const examples = make("ul", { className: "examples" }, ...group.examples.map((e) => showExample(e, group.name)));
  return make("div", { className: "class" }, head, examples, addingTo(group));
}

function addingTo(group) {
  const path = `classes/${group.id}/examples`;
  if (state.kind === "images") {
    const input = make("input", { type: "file", accept: "image/*", multiple: true });
    input.setAttribute("aria-label", `Photos of ${group.name}`);
    const drop = make("label", { className: "drop" }, input, make("span", { textContent: "Drop photos here, or choose some" }));
    dropping(drop, input, (files) => eachFile(files, (file) => change("POST", path, file)));
    return drop;
  }
  const text = make("input", { placeholder: "A text of this class", autocomplete: "off" });
  text.setAttribute("aria-label", `A text of ${group.name}`);
  const form = make("form", { className: "add-text" }, text, make("button", { type: "submit", textContent: "Add" }));
  form.onsubmit = async (event) => {
    event.preventDefault();
    tell("");
    await change("POST", path, text.value);
    document.querySelector(`[data-class="${group.id}"]`)?.focus();
  };
  text.dataset.class = group.id;
  return form;
}

function dropping(drop, input, take) {
  input.onchange = () => { const files = [...input.files]; input.value = ""; take(files); };
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    take([...event.dataTransfer.files]);
  };
}

function show() {
  at("about").textContent = `${state.model}, trained on ${state.trained_on}`;
  at("classes").replaceChildren(...state.classes.map(showClass));
  at("new-class").hidden = !state.learns || state.fixed;
  at("known").hidden = state.learns;
  at("known").textContent = `The model knows ${state.known.length}: ${state.known.join(", ")}.`;
  at("save").hidden = !state.learns;
  at("save").disabled = state.missing !== null;
  at("ask-photo").hidden = state.kind !== "images";
  at("ask-text").hidden = state.kind === "images";
  at("missing").textContent = state.missing ? `Before asking: ${state.missing}.` : "";
}

/** Ask, and again whenever examples change. */
function ask(content) {
  tell("");
  asked = content;
  return answer(content);
}

async function answer(content) {
  const response = await send("POST", "ask", content);
  if (!response) { asked = null; at("answer").hidden = true; return; }
  const said = await response.json();
  at("answer").hidden = false;
  at("label").textContent = said.label;
  at("far").hidden = said.far === null || said.far <= 1;
  at("far").textContent = `Like none of the classes: ${Number(said.far).toFixed(1)} times as far as their own examples are.`;
  at("entry").hidden = said.entry === null;
  at("entry").textContent = `Answered with what was learnt in “${said.entry}”.`;
  at("bars").replaceChildren(...said.probabilities.slice(0, 10).map(showBar));
  at("why").hidden = said.nearest.length === 0;
  at("nearest").replaceChildren(...said.nearest.map(showNearest));
}

function showBar({ name, value }) {
  const bar = make("div");
  bar.style.width = `${100 * value}%`;
  return make(
    "li", {}, make("span", { className: "name", textContent: name, title: name }),
    make("span", { className: "value", textContent: `${(100 * value).toFixed(1)} %` }),
    make("div", { className: "track" }, bar),
  );
}

function showNearest(example) {
  const name = make("span", { className: "class-name", textContent: example.class, title: example.class });
  const distance = make("span", { className: "distance", textContent: Number(example.distance.toPrecision(3)) });
  if (example.text !== null) return make("li", { className: "text" }, shortened(example.text), " ", name, distance);
  return make("li", {}, make("img", { src: `examples/${example.id}`, alt: `Example of ${example.class}` }), name, distance);
}

function showAsked(file) {
  const picture = at("asked");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  picture.onerror = () => { picture.hidden = true; };
}

at("new-class").onsubmit = async (event) => {
  event.preventDefault();
  tell("");
  if (await change("POST", "classes", at("new-name").value)) at("new-name").value = "";
};

at("save").onclick = async () => {
  tell("");
  const response = await send("GET", "model");
  if (!response) return;
  const link = make("a", { href: URL.createObjectURL(await response.blob()), download: "adapted.model" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
};

dropping(at("ask-photo"), at("ask-photo").querySelector("input"), (files) => {
  if (files.length) { showAsked(files[0]); ask(files[0]); }
});

at("ask-text").onsubmit = (event) => {
  event.preventDefault();
  ask(at("ask-text").querySelector("textarea").value);
};

// A photo that misses its place would replace the page.
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => event.preventDefault());

change("GET", "state");
