// What the server pushes, for the whole page: which runs there are and what each is doing, and of those that are
// followed the weights with their hashes, and all that comes in while they train.

import { Connection } from "./connection.js";

/**
 * Which runs there are; weights of one; the connection opened or broke; files of a run are others than were read.
 * @typedef {"runs" | "weights" | "link" | "anew"} News
 */
/** @typedef {{ from: string | null, handlers: Lab.MessageHandlers }} Taker `from`: a cursor, or null for no rows */

class Flow {
  /** @type {Lab.Run[] | null} the newest first; null before the first message */
  runs = null;
  /** @type {Lab.FailedStart[]} */
  failedStarts = [];
  /** @type {Map<string, Pick<Lab.Info, "weights" | "steps">>} of the runs that are followed */
  weights = new Map();
  /** @type {Map<string, number>} how often the files of a run turned out to be others than were read */
  lives = new Map();
  open = false;
  lostAt = Date.now(); // while it is not open
  heardAt = 0; // the last message

  /** @type {Set<(news: News, run?: string) => void>} */
  #listeners = new Set();
  /** @type {Map<string, Taker[]>} */
  #takers = new Map();
  #line = new Connection((message) => this.#take(message), (open) => {
    if (this.open && !open) this.lostAt = Date.now();
    this.open = open;
    this.#emit("link");
  });

  /** @param {(news: News, run?: string) => void} fn */
  on(fn) {
    this.#listeners.add(fn);
  }

  /** @param {News} news @param {string} [run] */
  #emit(news, run) {
    this.#listeners.forEach((fn) => fn(news, run));
  }

  /**
   * Follow a run from a cursor on ("" is the start; null: its state and weights, no rows). Who joins later may be given
   * rows that are known already. Returns how to end it.
   * @param {string} run
   * @param {string | null} from
   * @param {Lab.MessageHandlers} [handlers]
   */
  follow(run, from, handlers = {}) {
    const takers = this.#takers.get(run) ?? [], mine = { from, handlers };
    const enough = takers.some((other) => other.from === "" || from === null || (from !== "" && other.from !== null));
    this.#takers.set(run, [...takers, mine]);
    if (!enough) this.#line.follow(run, from);
    return () => {
      const left = (this.#takers.get(run) ?? []).filter((other) => other !== mine);
      this.#takers.set(run, left);
      if (!left.length) {
        this.#takers.delete(run);
        this.weights.delete(run);
        this.#line.leave(run);
      } else if (from !== null && left.every((other) => other.from === null)) this.#line.follow(run, null);
    };
  }

  /** @param {any} message */
  #take(message) {
    this.heardAt = Date.now();
    const { type, run } = message;
    if (type === "runs") this.#list(message);
    if (type === "weights") {
      this.weights.set(run, message);
      this.#emit("weights", run);
    }
    if (message.anew) {
      this.lives.set(run, (this.lives.get(run) ?? 0) + 1);
      this.#emit("anew", run);
    }
    this.#takers.get(run)?.forEach(({ handlers }) => handlers[/** @type {keyof Lab.Messages} */ (type)]?.(message));
  }

  /** @param {{ runs: Lab.Run[], order: string[], failed_starts: Lab.FailedStart[] }} message */
  #list({ runs, order, failed_starts }) {
    const known = new Map([...this.runs ?? [], ...runs].map((run) => [run.name, run]));
    this.runs = order.flatMap((name) => known.get(name) ?? []);
    this.failedStarts = failed_starts;
    this.#emit("runs");
  }
}

export const flow = new Flow();
