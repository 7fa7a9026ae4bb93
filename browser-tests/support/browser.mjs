// What the tests do with a browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startBrowser, startPages, startServer } from "./processes.mjs";

/** The modes that tell requests of other sites from one's own. */
export const ANTI_CSRF_MODES = ["fetch-metadata", "token", "custom-header"];

/** How long access tokens of the servers live, in seconds. */
export const ACCESS_TOKEN_VALIDITY = 3600;

/** Long enough for access tokens to end, and short enough for sessions to live. */
export const PAST_EXPIRY = ACCESS_TOKEN_VALIDITY + 1;

const TIME_LIMIT = 60_000; // milliseconds

let browser;
before(async () => (browser = await startBrowser()));
after(() => browser.close());

/** A server for the tests of this suite; options that are not known yet are functions. */
export function useServer(...options) {
  const server = {};
  before(async () => {
    const known = options.map((option) => (typeof option === "function" ? option() : option));
    Object.assign(server, await startServer(...known));
  });
  after(() => server.stop());
  return server;
}

/** Pages on other origins for the tests of this suite. */
export function usePages() {
  const pages = {};
  before(async () => Object.assign(pages, await startPages()));
  after(() => pages.stop());
  return pages;
}

let users = 0;

/** A test with a browser profile and a user of its own. No error may go unnoticed in its pages. */
export function browserTest(name, body, { todo = false, ...options } = {}) {
  test(name, { timeout: TIME_LIMIT, todo }, async () => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(TIME_LIMIT / 4);
    const errors = [];
    context.on("weberror", (error) => errors.push(error.error()));
    try {
      users += 1;
      await body({ context, user: `user-${users}` });
    } finally {
      await context.close();
    }
    assert.deepEqual(errors, []);
  });
}

/** A new tab at this address. */
export async function openTab(context, address) {
  const page = await context.newPage();
  await page.goto(address);
  return page;
}

/** The address of the page with supertokens-website. */
export function sdkPage(origin, settings = {}) {
  return `${origin}/pages/supertokens-website.html?${new URLSearchParams(settings)}`;
}

/** Sends a request from the page, by its own `send`. */
export const send = (page, ...request) => page.evaluate((request) => send(...request), request);

/** Sends a request from the page that must succeed, and gives the answer's body. */
export async function sendWell(page, ...request) {
  const answer = await send(page, ...request);
  assert.equal(answer.status, 200, `${request.join(" ")}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** Sends several requests at once. */
export const sendAll = (page, requests) =>
  page.evaluate((requests) => Promise.all(requests.map((request) => send(...request))), requests);

/** As many requests of two kinds, with different bodies, and what is right to answer them. */
export function manyRequests(count, user) {
  const requests = [];
  const expected = [];
  for (let index = 0; index < count; index += 1) {
    if (index % 2 === 0) {
      requests.push(["GET", "/me"]);
      expected.push({ status: 200, body: { userId: user, jwtPayload: {} } });
    } else {
      const body = `request ${index} `.repeat(1000 * index);
      requests.push(["POST", "/echo", body]);
      expected.push({ status: 200, body });
    }
  }
  return { requests, expected };
}

/** How much each count grew while `work` ran. */
export async function growth(server, work) {
  const before = await server.counts();
  await work();
  const after = await server.counts();
  return Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
}

/** The cookies with tokens, as they are in the browser. */
export async function tokenCookies(context) {
  const cookies = await context.cookies();
  return cookies
    .filter(({ httpOnly }) => httpOnly)
    .map(({ name, value, domain, path }) => ({ name, value, domain, path }))
    .sort((one, other) => `${one.name} ${one.path}`.localeCompare(`${other.name} ${other.path}`));
}

/** Names and paths of the cookies with tokens. */
export async function tokenCookieNames(context) {
  return (await tokenCookies(context)).map(({ name, path }) => `${name} ${path}`);
}

/** Whether scripts see a cookie of this name. */
export async function hasCookie(context, name) {
  return (await context.cookies()).some((cookie) => cookie.name === name);
}
