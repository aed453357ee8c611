// The open connection to one run: `/ws/runs/{name}?cursor=`. It comes back by itself after it broke or the server was
// started again, and the cursor of the last message that was taken in makes sure that nothing is missed then and
// nothing comes twice.

const WAITS = [300, 600, 1200, 2500, 5000]; // milliseconds before the next attempt
const SILENCE = 12_000; // the server says something every 3 s; after four times that the connection is dead

/** @typedef {Pick<Window, "setTimeout" | "clearTimeout">} Clock */

export class Connection {
  cursor = "";
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {string | null} why the server does not show the run */
  #refused = null;
  #attempt = 0;
  /** @type {number | null} until the next attempt */
  #timer = null;
  #watch = 0; // until the silence has lasted too long
  #ended = false;

  /**
   * @param {string} run
   * @param {Lab.MessageHandlers} handlers
   * @param {{ Socket?: typeof WebSocket, clock?: Clock }} [means]
   */
  constructor(run, handlers, { Socket = WebSocket, clock = window } = {}) {
    this.run = run;
    this.handlers = handlers;
    this.Socket = Socket;
    this.clock = clock;
    window.addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#open();
  }

  #open() {
    [this.#timer, this.#refused] = [null, null];
    const url = new URL(`ws/runs/${encodeURIComponent(this.run)}`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    if (this.cursor) url.searchParams.set("cursor", this.cursor);
    const mine = this.#socket = new this.Socket(url);
    mine.onmessage = ({ data }) => {
      if (mine !== this.#socket) return;
      this.#listen();
      const message = JSON.parse(data);
      if (message.type === "error") this.#refused = message.reason;
      else this.#take(message);
    };
    mine.onclose = () => {
      if (mine === this.#socket && !this.#ended) this.#lost();
    };
    this.#listen();
  }

  /** @param {any} message */
  #take(message) {
    if (message.type === "hello") {
      this.#attempt = 0;
      this.handlers.link("open", null);
    }
    const type = /** @type {keyof Lab.Messages} */ (message.type);
    this.handlers[type]?.(message);
    // Only now: what failed to be taken in comes again.
    if (typeof message.cursor === "string") this.cursor = message.cursor;
  }

  #lost() {
    const refused = this.#refused;
    this.clock.clearTimeout(this.#watch);
    // A cursor that the server does not want leads to a start from the beginning.
    if (refused !== null) this.cursor = "";
    this.handlers.link(refused === null ? "lost" : "refused", refused);
    const wait = WAITS[Math.min(this.#attempt++, WAITS.length - 1)];
    this.#timer = this.clock.setTimeout(() => this.#open(), wait);
  }

  #listen() {
    this.clock.clearTimeout(this.#watch);
    const mine = this.#socket;
    this.#watch = this.clock.setTimeout(() => {
      if (!mine || mine !== this.#socket) return;
      this.#lost();
      this.#socket = mine.onmessage = mine.onclose = null;
      mine.close();
    }, SILENCE);
  }

  #hurry = () => {
    if (this.#ended || this.#timer === null || document.hidden) return;
    this.clock.clearTimeout(this.#timer);
    this.#open();
  };

  close() {
    this.#ended = true;
    [this.#timer, this.#watch].forEach((timer) => this.clock.clearTimeout(timer ?? undefined));
    window.removeEventListener("online", this.#hurry);
    document.removeEventListener("visibilitychange", this.#hurry);
    this.#socket?.close();
  }
}
