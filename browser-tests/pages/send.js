// An application's request, by `fetcher`, and its answer as plain data.
async function sendBy(fetcher, method, url, body) {
  const isObject = typeof body === "object";
  const response = await fetcher(url, {
    method,
    headers: isObject ? { "content-type": "application/json" } : {},
    body: isObject ? JSON.stringify(body) : body,
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.startsWith("application/json");
  return { status: response.status, body: isJson ? JSON.parse(text) : text };
}
