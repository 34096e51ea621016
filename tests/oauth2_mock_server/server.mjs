// An identity provider that nobody here wrote, over TLS, below a path as real ones are.
// Arguments: certificate, key. Orders come as JSON lines on standard input; each is answered by one line.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { createInterface } from "node:readline";
import express from "express";
import { OAuth2Issuer, OAuth2Service } from "oauth2-mock-server";

const [cert, key] = process.argv.slice(2).map((path) => readFileSync(path));
const issuer = new OAuth2Issuer();
const service = new OAuth2Service(issuer);
let claims = {};
service.on("beforeTokenSigning", (token) => Object.assign(token.payload, claims));
await issuer.keys.generate("RS256");

const app = express();
app.use("/company", service.requestHandler);
const server = createServer({ cert, key }, app);
server.listen(0, "127.0.0.1", () => {
  issuer.url = `https://localhost:${server.address().port}/company`;
  console.log(JSON.stringify({ issuer: issuer.url }));
});

const orders = {
  claims: (given) => ((claims = given), null),
  rotate: async (algorithm) => (await issuer.keys.generate(algorithm)).kid,
  issue: ({ kid, payload }) =>
    issuer.buildToken({ kid: kid ?? undefined, scopesOrTransform: (_, token) => Object.assign(token, payload) }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [order, given] = JSON.parse(line);
  console.log(JSON.stringify({ answer: await orders[order](given) }));
}
process.exit(0);
