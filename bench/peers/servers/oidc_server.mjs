// node oidc-provider with everything in memory; reads `world.json` beside it.
//
// Its own memory adapter keeps 1,000 entries and forgets the rest, so that tokens would vanish under load; hence the
// adapter here, which is a Map per model.

import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const world = JSON.parse(readFileSync('world.json', 'utf8'));

class Memory {
  #kept = new Map();

  async upsert(id, payload) {
    this.#kept.set(id, payload);
  }

  async find(id) {
    return this.#kept.get(id);
  }

  async consume(id) {
    this.#kept.get(id).consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.#kept.delete(id);
  }

  async revokeByGrantId(grantId) {
    for (const [id, payload] of this.#kept) {
      if (payload.grantId === grantId) this.#kept.delete(id);
    }
  }
}

const client = (clientId, ...grantTypes) => ({
  client_id: clientId,
  client_secret: world.secret,
  grant_types: grantTypes,
  response_types: grantTypes.includes('authorization_code') ? ['code'] : [],
  redirect_uris: grantTypes.includes('authorization_code') ? ['https://client.example/callback'] : [],
  token_endpoint_auth_method: 'client_secret_basic',
});

const provider = new Provider(world.issuer, {
  adapter: Memory,
  jwks: { keys: [world.key] },
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clients: [
    client(world.service, 'client_credentials'),
    client(world.reporter, 'client_credentials'),
    client(world.application, 'authorization_code', 'refresh_token'),
  ],
  scopes: ['openid', 'offline_access', ...world.scope.split(' ')],
  findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  cookies: { keys: [world.secret] },
  ttl: {
    AccessToken: world.access_token_in,
    ClientCredentials: world.access_token_in,
    RefreshToken: world.refresh_token_in,
    Grant: world.refresh_token_in,
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (ctx, asking) => asking.clientId === world.reporter },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => world.audience,
      useGrantedResource: () => true,
      // It refuses to introspect JWTs: a second resource has opaque tokens, for that work alone.
      getResourceServerInfo: (ctx, resource) => ({
        scope: world.scope,
        accessTokenTTL: world.access_token_in,
        ...(resource === world.audience
          ? { accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } } }
          : { accessTokenFormat: 'opaque' }),
      }),
    },
  },
});

const application = await provider.Client.find(world.application);
for (const jti of world.refresh_tokens) {
  const grant = new provider.Grant({ clientId: application.clientId, accountId: 'ada' });
  grant.addResourceScope(world.audience, world.scope);
  const grantId = await grant.save();
  await new provider.RefreshToken({
    jti,
    client: application,
    accountId: 'ada',
    grantId,
    gty: 'authorization_code',
    scope: world.scope,
    resource: world.audience,
  }).save();
}
provider.listen(world.port, '127.0.0.1');
