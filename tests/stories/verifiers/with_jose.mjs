// jose's remote JWKS: `node with_jose.mjs ISSUER JWKS_URI MAX_AGE`.

import { createInterface } from "node:readline";
import { createRemoteJWKSet, jwtVerify } from "jose";

const [issuer, jwksUri, maxAge] = process.argv.slice(2);
const keys = createRemoteJWKSet(new URL(jwksUri), {
  cacheMaxAge: Number(maxAge) * 1000,
  cooldownDuration: Infinity, // no second question for an unknown kid
});

async function verdict({ token, audience, typ }) {
  try {
    await jwtVerify(token, keys, { issuer, audience, typ });
    return "";
  } catch (problem) {
    return problem.code === "ERR_JWT_EXPIRED" ? "expired" : `${problem.code}: ${problem.message}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await verdict(JSON.parse(line))));
}
