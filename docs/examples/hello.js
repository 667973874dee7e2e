// A component in JavaScript, for componentize-js: docs/components.md says how it is built.
addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const { pathname } = new URL(request.url);
  if (request.method === "GET") return Response.json({ hello: "from JavaScript", path: pathname });
  return Response.json({ echo: await request.json() });
}
