// Sessile in the browser, for apps without the SuperTokens front-end SDK:
//
//   <script src="/sessile.js"></script>      add data-base="/auth" where the routes are below that
//   const answer = await sessile.fetch("/api/orders");
//
// The tokens are in HttpOnly cookies, which no script can read. What is left to do is to refresh,
// once for all tabs, when a request is refused because its access token has run out, and to
// repeat the request; and to send the headers that show that it comes from this site.
//
//   sessile.fetch(input, init)   window.fetch with that added. Log in through it as well, so that
//                                it sees the anti-CSRF token. Headers of ours and credentials go
//                                to the configured origin alone, so a redirect out of it fails,
//                                and so does every redirect of a configured foreign origin. A
//                                body is kept until the answer is there; think twice about streams.
//   sessile.refresh()            true: refreshed, here or by another tab; false: the session is
//                                over; rejects where that could not be found out.
//   sessile.signOut()            the server's answer; 200 and 401 both mean: no session any more.
//   sessile.configure({ base, origin })
//
// Events on window: "sessile:refreshed" in the tab that did it, and "sessile:ended", whose
// detail has the server's reason.
(function () {
  "use strict";

  const REFRESH_TIMEOUT = 30_000; // a refresh that hangs would hold up every tab
  const LEASE = 35_000; // for browsers without locks: longer than a refresh can take
  // What another tab wrote to localStorage shows up here later, mostly within a few milliseconds.
  const SETTLE = 50;
  const SETTLE_SURELY = 500; // for where another tab has most likely written

  // Kept from now, so that an app may put sessile.fetch in the place of window.fetch.
  const plainFetch = window.fetch.bind(window);
  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

  const settings = { base: "", origin: location.origin };
  let flight = null; // this page's refresh, while there is one
  let endings = 0; // how many times this page has heard that its session is over

  function configure({ base, origin }) {
    if (base !== undefined) settings.base = base.replace(/^\/*|\/+$/g, "/").replace(/\/+$/, "");
    if (origin !== undefined) settings.origin = new URL(origin, location.href).origin;
  }

  // localStorage, which tabs share, or memory where the browser blocks it or it is full.
  const memory = new Map();

  function recall(name) {
    if (memory.has(name)) return memory.get(name);
    try {
      return localStorage.getItem(`sessile.${name}`);
    } catch {
      return null;
    }
  }

  function keep(name, value) {
    try {
      if (value === null) localStorage.removeItem(`sessile.${name}`);
      else localStorage.setItem(`sessile.${name}`, value);
      memory.delete(name);
    } catch {
      memory.set(name, value);
    }
  }

  // A request to the configured origin that cannot be redirected to another with its headers.
  function prepare(input, init) {
    const bounds =
      settings.origin === location.origin
        ? { mode: "same-origin" }
        : { mode: "cors", redirect: "error" };
    return new Request(input, { ...init, ...bounds, credentials: "include" });
  }

  // Sends a copy, so that the request can be sent again.
  async function send(request) {
    const copy = request.clone();
    copy.headers.set("rid", "anti-csrf"); // no form and no foreign page can send this
    const token = recall("anti-csrf");
    if (token !== null) copy.headers.set("anti-csrf", token);
    const response = await plainFetch(copy);
    const next = response.headers.get("anti-csrf");
    if (next !== null) keep("anti-csrf", next);
    return response;
  }

  // Whether `name` gets another value than `value` within this time.
  async function changes(name, value, patience) {
    const end = Date.now() + patience;
    while (recall(name) === value) {
      if (Date.now() >= end) return false;
      await pause(10);
    }
    return true;
  }

  async function refusal(response) {
    try {
      return (await response.clone().json()) ?? {};
    } catch {
      return {}; // not JSON, so not ours
    }
  }

  // What was known when a request was sent: if it has changed since, somebody has refreshed.
  const mark = () => ({ refreshed: recall("refreshed"), endings });

  async function refreshUnlessDone(sent, waited) {
    const patience = waited ? SETTLE_SURELY : SETTLE;
    if (await changes("refreshed", sent.refreshed, patience)) return true;
    const url = `${settings.origin}${settings.base}/session/refresh`;
    const signal = AbortSignal.timeout?.(REFRESH_TIMEOUT);
    const token = recall("anti-csrf");
    const response = await send(prepare(url, { method: "POST", signal }));
    if (response.ok) {
      keep("refreshed", String(Number(recall("refreshed")) + 1));
      window.dispatchEvent(new CustomEvent("sessile:refreshed"));
      return true;
    }
    // Only 401 says that the session is over; a server in trouble says nothing about it.
    if (response.status !== 401) throw new Error(`the refresh was answered ${response.status}`);
    const { reason } = await refusal(response);
    // Another tab has refreshed or logged in, and its anti-CSRF token was slow to show up here.
    const slowness = reason === "anti_csrf_mismatch" ? SETTLE_SURELY : 0;
    if (await changes("anti-csrf", token, slowness)) return refreshUnlessDone(sent, false);
    tellEnd(reason);
    return false;
  }

  function tellEnd(reason) {
    endings += 1;
    keep("anti-csrf", null);
    window.dispatchEvent(new CustomEvent("sessile:ended", { detail: { reason } }));
  }

  // Runs `work` in one tab at a time, and tells it whether it had to wait for another tab.
  async function exclusively(work) {
    const { locks } = navigator;
    const name = "sessile.refresh";
    let begun = false;
    const begin = (waited) => {
      begun = true;
      return work(waited);
    };
    try {
      const done = await locks.request(name, { ifAvailable: true }, (lock) => lock && begin(false));
      return done ?? (await locks.request(name, () => begin(true)));
    } catch (error) {
      if (begun) throw error;
      return underLease(work); // there are no locks over plain HTTP, or they are blocked
    }
  }

  // As good as localStorage allows: should two tabs get through, the server gives both the same.
  async function underLease(work) {
    const mine = String(Math.random());
    let waited = false;
    for (;;) {
      const [owner, until] = (recall("lease") ?? "").split(" ");
      const left = Number(until) - Date.now();
      if (owner === mine) break;
      // Free, or left behind by a tab that was closed, or by a clock that was put back.
      if (left > 0 && left <= LEASE) waited = true;
      else keep("lease", `${mine} ${Date.now() + LEASE}`);
      await pause(SETTLE); // of tabs that wrote at once, the last one has it
    }
    try {
      return await work(waited);
    } finally {
      keep("lease", null);
    }
  }

  async function refreshSince(sent) {
    if (endings !== sent.endings) return false;
    flight ??= exclusively((waited) => refreshUnlessDone(sent, waited)).finally(() => {
      flight = null;
    });
    return flight;
  }

  async function sessileFetch(input, init) {
    const target = new URL(input instanceof Request ? input.url : input, document.baseURI);
    if (target.origin !== settings.origin) return plainFetch(input, init);
    const request = prepare(input, init);
    const sent = mark();
    const response = await send(request);
    if (response.status !== 401) return response;
    const { message, reason } = await refusal(response);
    if (message === "try refresh token") {
      return (await refreshSince(sent)) ? send(request) : response;
    }
    // Other refusals may be about another session; with this header the server takes our tokens.
    const over = response.headers.get("front-token") === "remove";
    if (over && endings === sent.endings) tellEnd(reason);
    return response;
  }

  async function signOut() {
    const url = `${settings.origin}${settings.base}/signout`;
    const response = await sessileFetch(url, { method: "POST" });
    if (response.ok || response.status === 401) keep("anti-csrf", null);
    return response;
  }

  configure({ base: document.currentScript?.dataset.base });

  window.sessile = Object.freeze({
    fetch: sessileFetch,
    refresh: () => refreshSince(mark()),
    signOut,
    configure,
  });
})();
