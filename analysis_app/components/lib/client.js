// Asking the server: one sentence and an id when it refuses, and every answer kept for those who ask again.

const KEPT = 40;
const answers = new Map();

export class Refused extends Error {
  constructor(sentence, id = "") {
    super(sentence);
    this.id = id;
  }
}

export const address = (path) => new URL(path, document.baseURI);

export async function get(path) {
  return unpack(await read(await reach(path, {})));
}

export async function post(path, body) {
  return unpack(await read(await reach(path, json(body))));
}

// The answer of an analysis. Who asks for the same at the same time gets the same promise.
export function analysis(kind, body) {
  const key = JSON.stringify([kind, body]);
  if (!answers.has(key)) {
    const answer = post(`api/analyze/${kind}`, body);
    answer.catch(() => answers.delete(key));
    keep(key, answer);
  }
  return answers.get(key);
}

// The same for one that may take seconds: `told(done, of)` as it goes, `signal` ends it, in the server too.
export async function longAnalysis(kind, body, told, signal) {
  const key = JSON.stringify([kind, body]);
  if (answers.has(key)) return answers.get(key);
  let found = null;
  await stream(`api/analyze/${kind}`, { ...body, progress: true }, signal, (event) => {
    if (event.event === "progress") told(event.done, event.of);
    else found = event.result;
  });
  if (found === null) throw new Refused("the server broke off before it had finished");
  keep(key, Promise.resolve(found));
  return found;
}

function keep(key, answer) {
  answers.set(key, answer);
  if (answers.size > KEPT) answers.delete(answers.keys().next().value);
}

// JSON lines as they come; `signal` ends it.
export async function stream(path, body, signal, each) {
  const response = await reach(path, { ...json(body), signal });
  if (!response.ok) await read(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.event === "error") throw new Refused(event.error, event.id);
      each(unpack(event));
    }
  }
}

const json = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

async function reach(path, options) {
  try {
    return await fetch(address(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("the server does not answer: is it still running?");
  }
}

async function read(response) {
  let found = null;
  try {
    found = await response.json();
  } catch {
    throw new Refused(`the server answered with status ${response.status} and nothing to read`);
  }
  if (!response.ok) throw new Refused(found.error ?? `the server refused (${response.status})`, found.id);
  return found;
}

const TYPES = { uint8: Uint8Array, float32: Float32Array, int32: Int32Array };

function unpack(value) {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(unpack) : value;
  if (value === null || typeof value !== "object") return value;
  if (value.dtype in TYPES && typeof value.data === "string") {
    return { shape: value.shape, data: new TYPES[value.dtype](decode(value.data).buffer) };
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part)]));
}

function decode(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const binary = atob(base64), found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found;
}
