"use strict";
// What the pages do beside being read: send the key with every request, forecast a file, promote and roll back.

const KEY = "gatecast-key"; // kept in this tab alone
const SAID = "gatecast-said"; // what is to be said after the page was loaded anew

const find = (selector) => document.querySelector(selector);

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

/** The service's own sentence, and its details. */
async function refusal(response) {
  try {
    return (await response.json()).error;
  } catch {
    return { message: `the service answered ${response.status}`, details: [] };
  }
}

async function asked(address, options) {
  try {
    return await fetch(address, options);
  } catch {
    return new Response(JSON.stringify({ error: { message: "the service cannot be reached", details: [] } }), {
      status: 503,
    });
  }
}

function say(text, bad = false) {
  const place = find("#said");
  place.hidden = false;
  place.classList.toggle("bad", bad);
  place.textContent = text;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

// A page that needs a key: the same address again, with the key.

async function unlock() {
  if (sessionStorage.getItem(KEY) && (await opened())) return;
  const form = find("#key");
  form.hidden = false;
  find("#api-key").focus();
  form.onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(KEY, find("#api-key").value.trim());
    unlock();
  };
}

async function opened() {
  const response = await asked(location.href, { headers: headers() });
  const text = await response.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  if (page.body.dataset.plotly === undefined) {
    find("#refused").textContent = sentence((await refusal(new Response(text, response))).message);
    return false;
  }
  if (page.body.dataset.locked !== undefined) {
    sessionStorage.removeItem(KEY);
    find("#refused").textContent = sentence(page.querySelector("#refused").dataset.said);
    return false;
  }
  document.title = page.title;
  document.body.replaceChildren(...page.body.childNodes);
  delete document.body.dataset.locked;
  ready();
  return true;
}

function forget() {
  sessionStorage.removeItem(KEY);
  location.reload();
}

// Promotion and rollback, after a question.

function confirmed(question) {
  const dialog = find("#confirm");
  find("#question").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

async function act(button) {
  if (!(await confirmed(button.dataset.question))) return;
  button.disabled = true;
  const body = button.dataset.body;
  const options = { method: "POST", headers: headers(body ? { "Content-Type": "application/json" } : {}), body };
  const response = await asked(button.dataset.post, options);
  button.disabled = false;
  if (!response.ok) {
    say(sentence((await refusal(response)).message), true);
    return;
  }
  sessionStorage.setItem(SAID, button.dataset.done);
  location.reload();
}

// A file of one's own.

const HEADER = 1_000_000; // bytes in which its first line ends

async function failed(response) {
  find("#failed").hidden = response.ok;
  if (response.ok) return;
  const { message, details } = await refusal(response);
  find("#failed h2").textContent = sentence(message);
  find("#failed ul").replaceChildren(
    ...details.map((detail) => Object.assign(document.createElement("li"), { textContent: detail })),
  );
}

function parts(text) {
  return new DOMParser().parseFromString(text, "text/html").body.childNodes;
}

async function mapColumns(form) {
  const { model, file } = form.elements;
  find("#columns").replaceChildren();
  if (!file.files.length) return;
  const head = (await file.files[0].slice(0, HEADER).text()).split("\n", 1)[0];
  const options = { method: "POST", headers: headers({ "Content-Type": "text/csv" }), body: head };
  const response = await asked(`/upload/columns?${new URLSearchParams({ model: model.value })}`, options);
  await failed(response);
  if (response.ok) find("#columns").replaceChildren(...parts(await response.text()));
}

/** The readings and every alternative that has a table, or the file alone. */
async function bodyOf(form) {
  const given = [...form.querySelectorAll(".alternative")].map(async (part) => {
    const file = part.querySelector("[data-table]").files[0];
    const pasted = part.querySelector("[data-pasted]").value.trim();
    const text = file ? await file.text() : pasted;
    return { name: part.querySelector("[data-name]").value, table: commas(text) };
  });
  const found = (await Promise.all(given)).filter(({ table }) => table);
  const history = form.elements.file.files[0];
  if (!found.length) return { type: "text/csv", body: history };
  const [names, tables] = [found.map(({ name }) => name), found.map(({ table }) => table)];
  return { type: "application/json", body: JSON.stringify({ history: await history.text(), names, tables }) };
}

/** Rows as a spreadsheet copies them, with tabs, in the way of a file. */
function commas(text) {
  const rows = text.split("\n");
  if (!rows[0].includes("\t")) return text;
  const separator = /\t-?\d+,\d/.test(text) ? ";" : ",";
  return rows.map((row) => row.replaceAll("\t", separator)).join("\n");
}

const ALTERNATIVES = 20;

function another(button) {
  const all = find("#compared");
  const copy = all.lastElementChild.cloneNode(true);
  copy.querySelectorAll("input, textarea").forEach((field) => (field.value = ""));
  all.append(copy);
  button.hidden = all.children.length >= ALTERNATIVES;
  copy.querySelector("[data-name]").focus();
}

async function forecastFile(form) {
  const { model, h, level } = form.elements;
  const query = new URLSearchParams({ model: model.value, h: h.value, level: level.value });
  const places = [...form.querySelectorAll("[data-column]")].map((chosen) => chosen.value);
  if (places.length) query.set("columns", places.join(","));
  const button = form.querySelector("button[type=submit]");
  button.disabled = true;
  const { type, body } = await bodyOf(form);
  const options = { method: "POST", headers: headers({ "Content-Type": type }), body };
  const response = await asked(`/upload?${query}`, options);
  button.disabled = false;
  find("#answer").replaceChildren();
  await failed(response);
  if (!response.ok) return;
  find("#answer").replaceChildren(...parts(await response.text()));
  ready();
  find("#answer").focus();
}

async function report(button) {
  button.disabled = true;
  const response = await asked(button.dataset.report, { headers: headers() });
  button.disabled = false;
  if (response.ok) keep(await response.blob(), button.dataset.name);
  else say(sentence((await refusal(response)).message), true);
}

function download(button) {
  keep(new Blob([JSON.parse(find("#csv").textContent)], { type: "text/csv" }), button.dataset.download);
}

function keep(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function ready() {
  charts.draw(document).catch((error) => {
    document.querySelectorAll("details.numbers").forEach((numbers) => (numbers.open = true));
    console.warn(error);
  });
  const said = sessionStorage.getItem(SAID);
  if (said) {
    sessionStorage.removeItem(SAID);
    say(said);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.post) act(button);
  if (button?.dataset.download) download(button);
  if (button?.dataset.report) report(button);
  if (button?.dataset.another !== undefined) another(button);
  if (button?.dataset.forget !== undefined) forget();
});
document.addEventListener("change", (event) => {
  // Another model reads other columns and gives other steps: its form is another page.
  const form = event.target.closest("form");
  if (event.target.name === "file" && form?.id === "upload") mapColumns(form);
  if (event.target.name === "model" && form?.id === "upload") location.assign(`/upload?model=${encodeURIComponent(event.target.value)}`);
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "upload") return;
  event.preventDefault();
  forecastFile(event.target);
});

if (document.body.dataset.locked === undefined) ready();
else unlock();
