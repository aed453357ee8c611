// Answers of analyses, each kept under its question and the hash of the weights it was computed from.

import { post, Refused, stream } from "./client.js";
import { contentOf } from "./store.js";

const KEPT = 40;
/** @type {Map<string, Promise<any>>} */
const answers = new Map();

/** @param {string} kind @param {object} body */
const keyOf = (kind, body) => JSON.stringify([kind, body, contentOf(body)]);

/**
 * The answer of an analysis. Who asks for the same at the same time gets the same promise. What is of runs that grow is
 * not kept beyond that.
 * @type {Lab.Ask}
 */
export function analysis(kind, body) {
  const key = keyOf(kind, body), known = answers.get(key);
  if (known) return known;
  const answer = post(`api/analyze/${kind}`, body);
  answer.then(() => body.runs && answers.delete(key), () => answers.delete(key));
  keep(key, answer);
  return answer;
}

/**
 * The same for one that may take seconds.
 * @param {string} kind
 * @param {object} body
 * @param {(done: number, of: number) => void} told as it goes
 * @param {AbortSignal} signal ends it, in the server too
 * @returns {Promise<any>}
 */
export async function longAnalysis(kind, body, told, signal) {
  const key = keyOf(kind, body);
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

/** @param {string} key @param {Promise<any>} answer */
function keep(key, answer) {
  answers.set(key, answer);
  const [oldest] = answers.keys();
  if (answers.size > KEPT) answers.delete(oldest);
}
