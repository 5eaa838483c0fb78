// The only place that talks to the server.

import { answer as inWords, t } from "./text.js";

export class Refused extends Error {
  constructor(status, words) { super(words); this.status = status; }
}

async function call(method, path, body) {
  const answer = await fetch(`/api/${path}`, {
    method, credentials: "same-origin",
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => { throw new Refused(0, t("not_reached")); });
  const said = answer.status === 204 ? null : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, typeof said?.detail === "string" ? inWords(said.detail) : t("not_accepted", answer.status));
  return said;
}
export const get = (path, query) => call("GET", query ? `${path}?${new URLSearchParams(query)}` : path);
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** The stream, for ever: `told(name, data)` for every event, `lost(bool)` when the connection goes and comes. It goes on after the
 *  last revision that was told, so that nothing is missed over a lost connection or a restarted server. */
export function listen(after, told, lost) {
  let number = after, source = null, timer = 0, gone = false;
  const again = () => {
    source?.close();
    if (!gone) { gone = true; lost(true); }
    clearTimeout(timer);
    timer = setTimeout(open, 1000);
  };
  const heard = (name) => (event) => {
    if (event.lastEventId) number = Number(event.lastEventId);
    if (gone) { gone = false; lost(false); }
    quiet();
    told(name, JSON.parse(event.data));
  };
  // The server says something every few seconds; a connection that is silent for longer is dead, whatever the browser thinks.
  let watch = 0;
  const quiet = () => { clearTimeout(watch); watch = setTimeout(again, 20000); };
  function open() {
    source = new EventSource(`/api/stream?after=${number}`);
    for (const name of ["incident", "picture", "status"]) source.addEventListener(name, heard(name));
    source.onerror = again;
    quiet();
  }
  open();
  return () => { clearTimeout(timer); clearTimeout(watch); source?.close(); };
}
