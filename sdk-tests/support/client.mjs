// A client of an application, which keeps its tokens as a front end does: in cookies or headers.
import assert from "node:assert/strict";

const decode = (value) => decodeURIComponent(value.replace(/^"(.*)"$/, "$1"));

export class Client {
  constructor(application, transfer = "header") {
    this.application = application;
    this.transfer = transfer;
    this.tokens = {};
  }

  // Another client with the same tokens: a thief, or an answer that was lost.
  clone() {
    return Object.assign(new Client(this.application, this.transfer), { tokens: { ...this.tokens } });
  }

  async send(path, body, token = "access") {
    const headers = { "content-type": "application/json", "st-auth-mode": this.transfer };
    const { access, refresh, idRefresh, antiCsrf } = this.tokens;
    if (this.transfer === "header") {
      if (this.tokens[token]) headers.authorization = `Bearer ${this.tokens[token]}`;
    } else {
      const cookies = {
        sAccessToken: access,
        sRefreshToken: token === "refresh" ? refresh : undefined,
        sIdRefreshToken: idRefresh,
      };
      headers.cookie = Object.entries(cookies)
        .filter(([, value]) => value)
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join("; ");
      if (antiCsrf) headers["anti-csrf"] = antiCsrf;
    }
    const response = await fetch(this.application.url + path, {
      method: "POST",
      headers,
      body: JSON.stringify(body ?? []),
    });
    this.#keep(response.headers);
    const text = await response.text();
    return { status: response.status, text, body: text.startsWith("{") ? JSON.parse(text) : {} };
  }

  #keep(headers) {
    const found = {
      access: headers.get("st-access-token"),
      refresh: headers.get("st-refresh-token"),
      antiCsrf: headers.get("anti-csrf"),
    };
    for (const cookie of headers.getSetCookie()) {
      const [, name, value] = /^s(Access|Refresh|IdRefresh)Token=([^;]*)/.exec(cookie) ?? [];
      if (name) found[name[0].toLowerCase() + name.slice(1)] = decode(value);
    }
    for (const [name, value] of Object.entries(found)) {
      if (value !== null && value !== undefined) this.tokens[name] = value;
    }
  }

  // The result of a call that succeeds.
  async result(path, body) {
    const answer = await this.send(path, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.body.result;
  }

  own(operation, ...args) {
    return this.result(`/own/${operation}`, args);
  }

  checked(operation, ...args) {
    return this.result(`/checked/${operation}`, args);
  }

  call(operation, ...args) {
    return this.result(`/call/${operation}`, args);
  }

  login(userId, { tenant = "public", payload = {}, data = {} } = {}) {
    return this.result("/login", { tenant, userId, payload, data });
  }

  refresh() {
    return this.send(this.application.refreshPath, {}, "refresh");
  }

  async refreshed() {
    const answer = await this.refresh();
    assert.equal(answer.status, 200, answer.text);
  }
}
