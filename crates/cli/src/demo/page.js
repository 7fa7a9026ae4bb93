// The page of `sessile demo`: it shows what the server answers, and decides nothing.
(function () {
  "use strict";

  const { sessile } = window;
  const $ = (id) => document.getElementById(id);

  let view = null; // the session, as the server last told it
  let clockOffset = 0; // the server's clock minus ours, in milliseconds
  let theftFound = false; // whether the session was ended because of the stolen token
  let refreshedHere = false; // whether the next new generation is this page's doing
  let endReason = null; // why a refresh was refused
  let asking = false; // whether the page is asking by itself, or did so in vain just now

  class Ended extends Error {} // there is no session any more; the page shows it
  class Refused extends Error {} // the message is for the user

  // ---- The server ----

  async function call(method, path, body) {
    const init = { method };
    if (body !== undefined) {
      init.headers = { "content-type": "application/json" };
      init.body = JSON.stringify(body);
    }
    const response = await sessile.fetch(path, init);
    const answer = parse(await response.text(), (message) => ({ message }));
    if (response.status === 401) {
      if (view) note(`${method} ${path} → 401 ${answer.message}: ${answer.reason}`, "bad");
      showSignedOut(endReason ?? answer.reason);
      throw new Ended();
    }
    if (!response.ok) throw new Refused(answer.message || `The server answered ${response.status}.`);
    return answer;
  }

  const loadSession = async () => showSession(await call("GET", "/api/session"));
  const loadDevices = async () => showDevices(await call("GET", "/api/devices"));

  async function changeDevices(method, path, done) {
    const answer = await call(method, path);
    showDevices(answer);
    showCalls(answer);
    note(done);
  }

  async function refresh() {
    await sessile.refresh(); // if the session is over, the next request says so
    await loadSession();
  }

  // ---- What is shown ----

  function showSession(next) {
    const known = view?.handle === next.handle ? view : null;
    const remaining = next.accessTokenExpiresAt - next.now;
    view = next;
    clockOffset = next.now - Date.now();
    if (!known) showSignedIn(remaining);
    if (known && next.generation > known.generation) {
      note(`${refreshedHere ? "refreshed" : "refreshed by another tab"} — generation ${next.generation}`);
    }
    if (known && next.accessTokenExpiresAt !== known.accessTokenExpiresAt) $("life").max = remaining;
    refreshedHere = false;

    $("who").textContent = next.userId;
    $("handle").textContent = next.handle;
    $("this-device").textContent = next.device || "—";
    $("generation").textContent = next.generation;
    setTime($("created"), next.createdAt, dateAndTime);
    setTime($("access-expires"), next.accessTokenExpiresAt, (moment) => `in ${seconds(moment)}`);
    setTime($("life-left"), next.accessTokenExpiresAt, seconds);
    setTime($("expires"), next.expiresAt, ahead);
    setTime($("ends"), next.endsAt, ahead);
    showJson($("jwt-payload"), $("payload"), next.jwtPayload);
    showJson($("session-data"), $("data"), next.sessionData);
    showCalls(next);
    tick();
  }

  function showJson(shown, editor, value) {
    shown.textContent = JSON.stringify(value, null, 2);
    if (!editor.dataset.edited) editor.value = shown.textContent; // never over what is being typed
  }

  const calls = ({ storeCalls }) => `${storeCalls} store ${storeCalls === 1 ? "call" : "calls"}`;
  const showCalls = (answer) => ($("store-calls").textContent = calls(answer));

  function showSignedIn(remaining) {
    theftFound = false;
    hideBanner();
    setTheftStep(0);
    showDevices({ devices: [] });
    $("life").max = Math.max(60_000, remaining); // after a reload, a part of it is over
    showParts(true);
  }

  // Shows the form, and why the session is over if this page had one.
  function showSignedOut(reason) {
    const had = view !== null;
    view = null;
    endReason = null;
    for (const id of ["payload", "data"]) setProblem(id, "", false);
    showParts(false);
    if (!had || reason === undefined) return;
    showBanner(theftFound ? "Your session was ended: a stolen refresh token was replayed" : ending(reason));
    if (theftFound) $("banner").append($("theft-result"));
    $("banner").focus();
    window.scrollTo(0, 0);
  }

  function showParts(signedIn) {
    $("signed-in").hidden = $("sign-out").hidden = !signedIn;
    $("signed-out").hidden = signedIn;
    $("board").classList.toggle("in", signedIn);
  }

  const ENDINGS = {
    no_session: "You are not signed in any more; perhaps you signed out in another tab.",
    refresh_token_missing: "You are not signed in any more; perhaps you signed out in another tab.",
    session_expired: "Your session has expired.",
    session_not_found: "Your session was ended from elsewhere.",
  };
  const ending = (reason) => ENDINGS[reason] ?? `Your session was ended: ${reason}`;

  function showBanner(text) {
    $("banner-text").textContent = text;
    $("banner").hidden = false;
  }

  function hideBanner() {
    $("banner").hidden = true;
    $("theft-place").append($("theft-result")); // if it was put into the banner
    $("theft-result").hidden = true;
  }

  function showDevices({ devices }) {
    $("devices").replaceChildren(...devices.map(deviceItem));
    $("no-devices").hidden = devices.length > 0;
    $("end-others").disabled = devices.length === 0;
  }

  function deviceItem({ handle, device, createdAt, lastRefreshedAt, expiresAt }) {
    const name = device || "Unnamed device";
    const last = setTime(element("time"), lastRefreshedAt || createdAt, ago);
    const end = setTime(element("time"), expiresAt, ahead);
    const begin = lastRefreshedAt ? "last refreshed " : "logged in ";
    const times = element("p", { className: "hint" }, begin, last, " · expires ", end);
    const label = `End the session on ${name}`;
    const button = element("button", { type: "button", className: "plain", ariaLabel: label }, "End");
    onPress(button, async () => {
      const path = `/api/devices/${encodeURIComponent(handle)}`;
      await changeDevices("DELETE", path, `ended the session on ${name}`);
      ($("devices").querySelector("button") ?? $("add-device")).focus();
    });
    return element("li", {}, element("div", {}, element("p", {}, name), times), button);
  }

  // Only the step at `current` can be taken; the focus goes along.
  function setTheftStep(current) {
    const buttons = ["steal", "use-twice", "replay"].map($);
    const focused = buttons.includes(document.activeElement);
    buttons.forEach((button, step) => {
      button.disabled = step !== current;
      button.closest("li").classList.toggle("done", step < current);
    });
    if (focused) buttons[current].focus();
  }

  function showTheft({ outcome, reason, userId, sessionHandle }) {
    const facts = { "The server's answer": outcome, Reason: reason, User: userId, Session: sessionHandle };
    const shown = Object.entries(facts).filter(([, value]) => value);
    $("theft-result").replaceChildren(
      ...shown.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
    $("theft-result").hidden = false;
    $("theft-result").scrollIntoView({ block: "nearest" });
  }

  // Adds a line to the activity log, newest first.
  function note(text, kind = "") {
    const time = element("time", {}, new Date().toTimeString().slice(0, 8));
    $("activity").prepend(element("li", {}, time, element("span", { className: kind }, text)));
    while ($("activity").children.length > 20) $("activity").lastElementChild.remove();
    $("activity-card").hidden = false;
  }

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // ---- Time ----

  const shownTimes = new WeakMap();

  // Lets `time` show `moment` as `format` puts it, now and at every tick.
  function setTime(time, moment, format) {
    time.dateTime = new Date(moment).toISOString();
    time.title = dateAndTime(moment);
    time.textContent = format(moment);
    shownTimes.set(time, () => format(moment));
    return time;
  }

  const now = () => Date.now() + clockOffset;
  const secondsTo = (moment) => Math.max(0, Math.ceil((moment - now()) / 1000));
  const seconds = (moment) => `${secondsTo(moment)} s`;
  const ahead = (moment) => `in ${duration(secondsTo(moment))}`;
  const ago = (moment) => `${duration(Math.max(0, Math.floor((now() - moment) / 1000)))} ago`;
  const dateAndTime = (moment) => new Date(moment).toLocaleString();

  // The two largest units: "99 days 23 h", "1 h 05 min", "4 min 09 s", "42 s".
  function duration(total) {
    const [minutes, hours, days] = [60, 3600, 86_400].map((unit) => Math.floor(total / unit));
    const pad = (value) => String(value).padStart(2, "0");
    if (days > 0) return `${days} ${days === 1 ? "day" : "days"} ${hours % 24} h`;
    if (hours > 0) return `${hours} h ${pad(minutes % 60)} min`;
    if (minutes > 0) return `${minutes} min ${pad(total % 60)} s`;
    return `${total} s`;
  }

  function tick() {
    if (!view) return;
    for (const time of $("signed-in").querySelectorAll("time")) {
      const text = shownTimes.get(time)();
      if (time.textContent !== text) time.textContent = text;
    }
    const remaining = view.accessTokenExpiresAt - now();
    $("life").value = Math.max(0, remaining);
    if (remaining <= 0 && !asking) askAgain();
  }

  // What every page does sooner or later: a request whose access token has run out.
  async function askAgain() {
    asking = true;
    await attempt(loadSession);
    const vain = view && view.accessTokenExpiresAt <= now(); // the server is away, or its clock behind
    setTimeout(() => (asking = false), vain ? 3000 : 0);
  }

  // ---- What the user does ----

  // Runs `work`; what goes wrong is told by `tell`, or in the log.
  async function attempt(work, tell = (text) => note(text, "bad")) {
    try {
      await work();
      if (view && !$("banner").hidden) hideBanner();
    } catch (error) {
      if (error instanceof Ended) return;
      if (error instanceof Refused) return tell(error.message);
      console.error(error);
      showBanner("The server does not answer. Is it still running?");
    }
  }

  // A press while the work of the last one goes on does nothing. The button is not disabled for
  // that long, because it would lose the focus.
  async function once(button, work, tell) {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    await attempt(work, tell);
    button.removeAttribute("aria-busy");
  }

  const onPress = (button, work) => button.addEventListener("click", () => once(button, work));

  function onSubmit(form, button, work, tell) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      once(button, work, tell);
    });
  }

  function setProblem(id, text, edited) {
    $(`${id}-problem`).textContent = text;
    $(id).setAttribute("aria-invalid", String(text !== ""));
    if (edited) $(id).dataset.edited = "yes";
    else delete $(id).dataset.edited;
  }

  function editor(id, done) {
    const save = async () => {
      const value = parse($(id).value, (_, { message }) => {
        throw new Refused(`Not JSON: ${message}`);
      });
      const next = await call("PUT", `/api/${id}`, value);
      setProblem(id, "", false);
      showSession(next);
      note(`${done} — ${calls(next)}`);
    };
    $(id).addEventListener("input", () => setProblem(id, "", true));
    onSubmit($(`${id}-form`), $(`save-${id}`), save, (text) => setProblem(id, text, true));
  }

  function parse(text, otherwise) {
    try {
      return JSON.parse(text);
    } catch (error) {
      return otherwise(text, error);
    }
  }

  async function logIn() {
    const userId = $("user-id").value.trim();
    $("log-in-error").textContent = "";
    if (!userId) throw new Refused("Please enter a user name.");
    const session = await call("POST", "/api/login", { userId, device: $("device").value.trim() });
    note(`logged in as ${session.userId}`);
    showSession(session);
    $("session-title").focus();
    window.scrollTo(0, 0);
    await loadDevices();
  }

  function guessDevice() {
    const agent = navigator.userAgent;
    const chrome = navigator.userAgentData?.brands.every(({ brand }) => brand !== "Google Chrome");
    const named = (names) => names.find((name) => agent.includes(name));
    const browser = named(["Edg", "OPR", "Firefox", "Chrome", "Safari"]) ?? "Browser";
    const system = named(["Android", "iPhone", "iPad", "Windows", "Mac", "CrOS", "Linux"]);
    const names = { Edg: "Edge", OPR: "Opera", Chrome: chrome ? "Chromium" : "Chrome", CrOS: "ChromeOS" };
    return `${names[browser] ?? browser}${system ? ` on ${names[system] ?? system}` : ""}`;
  }

  onSubmit($("log-in-form"), $("log-in"), logIn, (text) => ($("log-in-error").textContent = text));
  editor("payload", "changed the JWT payload");
  editor("data", "changed the session data");
  onPress($("refresh"), refresh);
  onPress($("add-device"), () => changeDevices("POST", "/api/devices", "logged in as another device"));
  onPress($("end-others"), async () => {
    await changeDevices("DELETE", "/api/devices", "ended all other sessions");
    $("add-device").focus();
  });

  onPress($("steal"), async () => {
    const { stolen } = await call("POST", "/session/refresh/steal");
    if (!stolen) throw new Refused("The browser sent no refresh token to copy.");
    note("the refresh token was copied");
    $("theft-result").hidden = true;
    setTheftStep(1);
  });
  onPress($("use-twice"), async () => {
    await refresh();
    await refresh();
    setTheftStep(2);
  });
  onPress($("replay"), async () => {
    const found = await call("POST", "/api/theft/replay");
    theftFound = found.outcome === "token theft detected";
    showTheft(found);
    note(found.reason ? `${found.outcome}: ${found.reason}` : found.outcome, "bad");
    if (theftFound) await new Promise((resolve) => setTimeout(resolve, 1500)); // let it be seen
    else setTheftStep(0);
    await loadSession(); // as the user goes on
  });

  onPress($("sign-out"), async () => {
    const { ok, status } = await sessile.signOut();
    if (!ok && status !== 401) throw new Refused(`The server answered ${status}.`);
    note("signed out");
    showSignedOut();
    $("user-id").focus();
  });

  window.addEventListener("sessile:refreshed", () => (refreshedHere = true));
  window.addEventListener("sessile:ended", (event) => (endReason = event.detail.reason));
  setInterval(tick, 250);

  $("device").value = guessDevice();
  attempt(async () => {
    await loadSession();
    await loadDevices();
  }).then(() => showParts(view !== null));
})();
