// The page's one connection to the server: `/ws`. It comes back by itself after it broke or the server was started
// again. Of each run that is followed the cursor of the last message that was taken in makes sure that nothing is
// missed then and nothing comes twice.

const WAITS = [300, 600, 1200, 2500, 5000]; // milliseconds before the next attempt
const SILENCE = 12_000; // the server says something every 3 s; after four times that the connection is dead

/** @typedef {Pick<Window, "setTimeout" | "clearTimeout">} Clock */

export class Connection {
  /** @type {Map<string, string | null>} of each run that is followed; null: nothing but its state is wanted */
  cursors = new Map();
  /** @type {WebSocket | null} */
  #socket = null;
  #open = false;
  #attempt = 0;
  /** @type {number | null} until the next attempt */
  #timer = null;
  #watch = 0; // until the silence has lasted too long

  /**
   * @param {(message: any) => void} take
   * @param {(open: boolean) => void} link
   * @param {{ Socket?: typeof WebSocket, clock?: Clock }} [means]
   */
  constructor(take, link, { Socket = WebSocket, clock = window } = {}) {
    this.take = take;
    this.link = link;
    this.Socket = Socket;
    this.clock = clock;
    window.addEventListener("online", this.#hurry);
    document.addEventListener("visibilitychange", this.#hurry);
    this.#connect();
  }

  /** From the cursor on; where it is null, its state alone. @param {string} run @param {string | null} cursor */
  follow(run, cursor) {
    this.cursors.set(run, cursor);
    this.#say({ follow: { [run]: cursor } });
  }

  /** @param {string} run */
  leave(run) {
    this.cursors.delete(run);
    this.#say({ leave: [run] });
  }

  /** @param {object} asked */
  #say(asked) {
    if (this.#open) this.#socket?.send(JSON.stringify(asked));
  }

  #connect() {
    this.#timer = null;
    const url = new URL("ws", document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    const mine = this.#socket = new this.Socket(url);
    mine.onmessage = ({ data }) => {
      if (mine !== this.#socket) return;
      this.#listen();
      this.#hear(JSON.parse(data));
    };
    mine.onclose = () => {
      if (mine === this.#socket) this.#lost();
    };
    this.#listen();
  }

  /** @param {any} message */
  #hear(message) {
    if (!this.#open) {
      [this.#open, this.#attempt] = [true, 0];
      this.#say({ follow: Object.fromEntries(this.cursors) });
      this.link(true);
    }
    const { run, type, cursor } = message;
    if (run === undefined || this.cursors.has(run)) this.take(message);
    // Only now: what failed to be taken in comes again.
    if (typeof this.cursors.get(run) !== "string") return;
    if (type === "error") this.cursors.set(run, "");
    else if (typeof cursor === "string") this.cursors.set(run, cursor);
  }

  #lost() {
    this.clock.clearTimeout(this.#watch);
    this.#open = false;
    this.link(false);
    const wait = WAITS[Math.min(this.#attempt++, WAITS.length - 1)];
    this.#timer = this.clock.setTimeout(() => this.#connect(), wait);
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
    if (this.#timer === null || document.hidden) return;
    this.clock.clearTimeout(this.#timer);
    this.#connect();
  };
}
