// Pages of attackers. They cannot read answers, but what they send may carry the user's cookies:
// cookies know neither ports nor origins, only sites.

import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  ANTI_CSRF_MODES,
  PAST_EXPIRY,
  browserTest,
  growth,
  openTab,
  sdkPage,
  sendWell,
  tokenCookies,
  usePages,
  useServer,
} from "./support/browser.mjs";

const pages = usePages();

/** Every way to send a forged POST to a path, and how long to wait until it is answered. */
const ATTACKS = {
  form: (tab, attacker, target) => submitForm(tab, attacker, target),
  "form of plain text": (tab, attacker, target) => submitForm(tab, attacker, target, "text/plain"),
  "fetch without CORS": async (tab, attacker, target) => {
    await tab.goto(`${attacker}/pages/hostile.html`);
    // It settles when the answer is there, though the browser may withhold that from the page.
    await tab.evaluate((target) => attacks.fetch(target).catch(() => {}), target);
  },
  "fetch with the headers of the SDK": async (tab, attacker, target) => {
    await tab.goto(`${attacker}/pages/hostile.html`);
    const result = await tab.evaluate(
      (target) =>
        attacks.headers(target).then(
          () => "sent",
          () => "refused by the browser",
        ),
      target,
    );
    assert.equal(result, "refused by the browser");
  },
};

async function submitForm(tab, attacker, target, type) {
  const settings = new URLSearchParams({ form: target, ...(type && { type }) });
  const answered = tab.waitForResponse(target);
  await tab.goto(`${attacker}/pages/hostile.html?${settings}`);
  await (await answered).finished();
  await tab.waitForURL(target);
}

/** The same host on another port, and another site altogether. */
const attackers = () => ({ "the same site": pages.origin, "another site": pages.foreignOrigin });

async function loggedIn(context, server, user) {
  const page = await openTab(context, sdkPage(server.origin));
  await sendWell(page, "POST", "/login", { userId: user });
  return page;
}

const counterOf = async (page) => (await sendWell(page, "GET", "/counter")).counter;

for (const mode of ANTI_CSRF_MODES) {
  describe(`a hostile page, anti-CSRF by ${mode}`, () => {
    const server = useServer("--anti-csrf", mode);

    for (const place of ["the same site", "another site"]) {
      for (const [way, attack] of Object.entries(ATTACKS)) {
        browserTest(`a ${way} from ${place} does nothing`, async ({ context, user }) => {
          const page = await loggedIn(context, server, user);
          const cookies = await tokenCookies(context);
          const tab = await context.newPage();
          const attacker = attackers()[place];

          for (const path of ["/change", "/session/refresh", "/signout"]) {
            const grown = await growth(server, () => attack(tab, attacker, server.origin + path));
            assert.equal(grown.refreshes + grown.reissues, 0, path);
            assert.equal(grown.thefts + grown.revocations, 0, path);
            assert.deepEqual(await tokenCookies(context), cookies, path);
          }
          assert.equal(await counterOf(page), 0);
          assert.equal(await server.sessionsOf(user), 1);

          // The user's own page goes on, and so it does when the attack finds an expired token.
          await sendWell(page, "POST", "/change");
          await server.advance(PAST_EXPIRY);
          for (const path of ["/change", "/session/refresh", "/signout"]) {
            await attack(tab, attacker, server.origin + path);
            assert.deepEqual(await tokenCookies(context), cookies, path);
          }
          assert.deepEqual(await sendWell(page, "POST", "/change"), { counter: 2 });
          assert.equal(await server.sessionsOf(user), 1);
        });
      }
    }
  });
}

describe("a hostile page, and nothing against it", () => {
  const server = useServer("--anti-csrf", "off");

  for (const way of ["form", "form of plain text", "fetch without CORS"]) {
    browserTest(`a ${way} from the same site does its harm`, async ({ context, user }) => {
      const page = await loggedIn(context, server, user);
      const tab = await context.newPage();
      await ATTACKS[way](tab, pages.origin, `${server.origin}/change`);
      assert.equal(await counterOf(page), 1);
      await ATTACKS[way](tab, pages.origin, `${server.origin}/session/refresh`);
      assert.equal(await server.sessionsOf(user), 1);
      await ATTACKS[way](tab, pages.origin, `${server.origin}/signout`);
      assert.equal(await server.sessionsOf(user), 0);
    });

    browserTest(`SameSite alone stops a ${way} from another site`, async ({ context, user }) => {
      const page = await loggedIn(context, server, user);
      const cookies = await tokenCookies(context);
      const tab = await context.newPage();
      for (const path of ["/change", "/session/refresh", "/signout"]) {
        await ATTACKS[way](tab, pages.foreignOrigin, server.origin + path);
        assert.deepEqual(await tokenCookies(context), cookies, path);
      }
      assert.equal(await counterOf(page), 0);
      assert.equal(await server.sessionsOf(user), 1);
    });
  }
});

describe("a hostile page and forms that are refreshed in place", () => {
  const server = useServer("--refresh-in-place");

  for (const place of ["the same site", "another site"]) {
    browserTest(`a form from ${place} does nothing, expired or not`, async ({ context, user }) => {
      const page = await openTab(context, `${server.origin}/plain`);
      await page.locator("#login input").fill(user);
      await page.locator("#login button").click();
      await page.locator("#user").waitFor();
      const cookies = await tokenCookies(context);
      const tab = await context.newPage();
      for (const seconds of [0, PAST_EXPIRY]) {
        await server.advance(seconds);
        for (const path of ["/change", "/plain", "/plain/logout", "/session/refresh", "/signout"]) {
          const target = server.origin + path;
          const grown = await growth(server, () => submitForm(tab, attackers()[place], target));
          assert.equal(grown.refreshes + grown.revocations, 0, path);
          assert.deepEqual(await tokenCookies(context), cookies, path);
        }
      }
      await page.goto(`${server.origin}/plain`);
      assert.equal(await page.locator("#user").innerText(), user);
      assert.equal(await page.locator("#counter").innerText(), "0");
    });
  }
});
