// Asking the server: one sentence and an id when it refuses.

export class Refused extends Error {
  /** @param {string} sentence @param {string} [id] under which the server's log has the details */
  constructor(sentence, id = "") {
    super(sentence);
    this.id = id;
  }
}

/** @param {unknown} error */
export const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/** Whether it is no fault: the question was taken back. @param {unknown} error */
export const wasAborted = (error) => error instanceof Error && error.name === "AbortError";

/** Where the server's log has the details. @param {unknown} error */
export const idOf = (error) => (error instanceof Refused ? error.id : "");

/** @param {string} path */
export const address = (path) => new URL(path, document.baseURI);

/** @param {string} path @returns {Promise<any>} */
export async function get(path) {
  return unpack(await read(await reach(path, {})));
}

/** @param {string} path @param {object} body @returns {Promise<any>} */
export async function post(path, body) {
  return unpack(await read(await reach(path, json(body))));
}

/**
 * JSON lines as they come; `signal` ends it.
 * @param {string} path
 * @param {object} body
 * @param {AbortSignal} signal
 * @param {(event: any) => void} each
 */
export async function stream(path, body, signal, each) {
  const response = await reach(path, { ...json(body), signal });
  if (!response.ok || !response.body) return void await read(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.event === "error") throw new Refused(event.error, event.id);
      each(unpack(event));
    }
  }
}

/** @param {object} body */
const json = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

/** @param {string} path @param {RequestInit} options */
async function reach(path, options) {
  try {
    return await fetch(address(path), options);
  } catch (error) {
    if (wasAborted(error)) throw error;
    throw new Refused("the server does not answer: is it still running?");
  }
}

/** @param {Response} response @returns {Promise<any>} */
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

/** @type {Record<string, new (buffer: ArrayBufferLike) => ArrayBufferView>} */
const TYPES = { uint8: Uint8Array, float32: Float32Array, int32: Int32Array };

/** Arrays travel as base64: what is one becomes `Lab.Numbers`. @param {any} value @returns {any} */
function unpack(value) {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(unpack) : value;
  if (value === null || typeof value !== "object") return value;
  if (value.dtype in TYPES && typeof value.data === "string") {
    return { shape: value.shape, data: new TYPES[value.dtype](decode(value.data).buffer) };
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part)]));
}

/** @param {string} base64 */
function decode(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const binary = atob(base64), found = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) found[i] = binary.charCodeAt(i);
  return found;
}
