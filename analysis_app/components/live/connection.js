// The open line to one run: `/ws/runs/{name}?cursor=`. It comes back by itself after a broken connection or a server
// that was started again, and the cursor of the last message that was taken in makes sure that nothing is missed then
// and nothing comes twice.

const WAITS = [300, 600, 1200, 2500, 5000]; // milliseconds before the next attempt
const SILENCE = 12_000; // the server says something every 3 s; after four times that the line is dead

// `handlers`: { message type: fn(message) }, and `link(state, reason)` with "open", "lost" or "refused".
export function connect(run, handlers, { Socket = WebSocket, clock = window } = {}) {
  let socket = null, cursor = "", attempt = 0, timer = null, watch = null, ended = false;
  open();
  window.addEventListener("online", hurry);
  document.addEventListener("visibilitychange", hurry);
  return { close, get cursor() {
    return cursor;
  } };

  function open() {
    timer = null;
    const url = new URL(`ws/runs/${encodeURIComponent(run)}`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    if (cursor) url.searchParams.set("cursor", cursor);
    const mine = new Socket(url);
    socket = mine;
    let refused = null;
    mine.onmessage = ({ data }) => {
      if (mine !== socket) return;
      listen();
      const message = JSON.parse(data);
      if (message.type === "error") refused = message.reason;
      else take(message);
    };
    mine.onclose = () => {
      if (mine !== socket || ended) return;
      clock.clearTimeout(watch);
      // A cursor that the server does not want leads to a start from the beginning.
      if (refused !== null) cursor = "";
      handlers.link(refused === null ? "lost" : "refused", refused);
      timer = clock.setTimeout(open, WAITS[Math.min(attempt++, WAITS.length - 1)]);
    };
    listen();
  }

  function take(message) {
    if (message.type === "hello") {
      attempt = 0;
      handlers.link("open", null);
    }
    handlers[message.type]?.(message);
    // Only now: what failed to be taken in comes again.
    if (typeof message.cursor === "string") cursor = message.cursor;
  }

  function listen() {
    clock.clearTimeout(watch);
    const mine = socket;
    watch = clock.setTimeout(() => mine === socket && drop(), SILENCE);
  }

  function drop() {
    const old = socket;
    old.onclose();
    socket = null;
    old.onmessage = old.onclose = null;
    old.close();
  }

  function hurry() {
    if (ended || timer === null || document.hidden) return;
    clock.clearTimeout(timer);
    open();
  }

  function close() {
    ended = true;
    [timer, watch].forEach((t) => clock.clearTimeout(t));
    window.removeEventListener("online", hurry);
    document.removeEventListener("visibilitychange", hurry);
    socket?.close();
  }
}
