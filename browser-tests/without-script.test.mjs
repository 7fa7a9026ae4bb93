// Pages and forms in a browser whose scripts are switched off.

import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  PAST_EXPIRY,
  browserTest,
  growth,
  openTab,
  tokenCookieNames,
  useServer,
} from "./support/browser.mjs";

const server = useServer("--refresh-in-place");

const PARALLEL_TABS = 6;

async function loggedIn(context, user) {
  const page = await openTab(context, `${server.origin}/plain`);
  await page.locator("#login input").fill(user);
  await page.locator("#login button").click();
  await page.locator("#user", { hasText: user }).waitFor();
  return page;
}

async function addText(page, text) {
  await page.locator("#add input").fill(text);
  await page.locator("#add button").click();
  await page.locator("#texts li", { hasText: text }).waitFor();
}

const textsOf = (page) => page.locator("#texts li").allInnerTexts();

function plainTest(name, body) {
  const options = { javaScriptEnabled: false };
  browserTest(
    name,
    async ({ context, user }) => {
      await body({ context, user, page: await loggedIn(context, user) });
    },
    options,
  );
}

describe("pages without script, refreshed in place", () => {
  plainTest("scripts are off indeed", async ({ context }) => {
    const page = await openTab(context, `${server.origin}/pages/supertokens-website.html`);
    assert.equal(await page.evaluate(() => typeof window.SuperTokens), "undefined");
  });

  plainTest("forms arrive and pages load after each expiry", async ({ context, user, page }) => {
    await addText(page, "before");
    for (const text of ["one", "two", "three"]) {
      await server.advance(PAST_EXPIRY);
      const loading = await growth(server, async () => {
        await page.reload();
        assert.equal(await page.locator("#user").innerText(), user);
      });
      assert.equal(loading.refreshes, 1);

      await server.advance(PAST_EXPIRY);
      const posting = await growth(server, () => addText(page, `${text} & <b>"more"</b> ✓`));
      assert.equal(posting.refreshes, 1);
      assert.equal(posting.thefts + posting.reissues + posting.revocations, 0);
      assert.equal(posting.refreshRequests, 0);
    }
    const expected = ["one", "two", "three"].map((text) => `${text} & <b>"more"</b> ✓`);
    assert.deepEqual(await textsOf(page), ["before", ...expected]);
    assert.deepEqual(await tokenCookieNames(context), ["sAccessToken /", "sRefreshToken /"]);
  });

  plainTest("logging out after expiry ends the session", async ({ context, user, page }) => {
    await server.advance(PAST_EXPIRY);
    await page.locator("#logout button").click();
    await page.locator("#login").waitFor();
    assert.deepEqual(await tokenCookieNames(context), []);
    assert.equal(await server.sessionsOf(user), 0);
    await page.goBack();
    await page.locator("#login").waitFor();
  });

  plainTest(
    "a session that was ended by the server shows the login",
    async ({ context, user, page }) => {
      await server.revokeSessionsOf(user);
      await server.advance(PAST_EXPIRY);
      await page.reload();
      await page.locator("#login").waitFor();
      assert.deepEqual(await tokenCookieNames(context), []);
    },
  );

  plainTest(
    "pages that load at once after expiry share one refresh",
    async ({ context, user, page }) => {
      await addText(page, "text");
      const tabs = await Promise.all(
        Array.from({ length: PARALLEL_TABS }, () => context.newPage()),
      );
      for (let round = 1; round <= 3; round += 1) {
        await server.advance(PAST_EXPIRY);
        const grown = await growth(server, async () => {
          await Promise.all(tabs.map((tab) => tab.goto(`${server.origin}/plain`)));
        });
        for (const tab of tabs) assert.equal(await tab.locator("#user").innerText(), user);
        assert.equal(grown.refreshes, 1);
        assert.ok(grown.reissues < PARALLEL_TABS, `${grown.reissues}`);
        assert.equal(grown.thefts + grown.revocations, 0);
        await addText(tabs[0], `after ${round}`);
      }
      assert.equal((await tokenCookieNames(context)).length, 2);
      assert.deepEqual(await textsOf(tabs[0]), ["text", "after 1", "after 2", "after 3"]);
    },
  );

  plainTest("forms that are sent at once after expiry all arrive", async ({ context, page }) => {
    const other = await openTab(context, `${server.origin}/plain`);
    await server.advance(PAST_EXPIRY);
    const grown = await growth(server, () =>
      Promise.all(
        [page, other].map((tab, index) =>
          tab
            .locator("#add input")
            .fill(`text ${index}`)
            .then(() => addText(tab, `text ${index}`)),
        ),
      ),
    );
    assert.equal(grown.refreshes, 1);
    assert.equal(grown.thefts + grown.revocations, 0);
  });
});
