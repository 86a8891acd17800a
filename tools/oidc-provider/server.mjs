// An OAuth authorization server on loopback, for tests and for trying: clients are registered by RFC 7591 and managed by
// RFC 7592, everything is kept in memory, the signing keys are the library's own for development.
//
//   node server.mjs PORT INITIAL-ACCESS-TOKEN SCOPE…
//
// Prints `ready on <issuer>` when it serves.
import Provider from "oidc-provider";

const [port, token, ...scopes] = process.argv.slice(2);
if (!/^[0-9]+$/.test(port ?? "") || !token) {
  console.error("usage: node server.mjs PORT INITIAL-ACCESS-TOKEN SCOPE…");
  process.exit(2);
}

const issuer = `http://127.0.0.1:${port}`;
const resource = "urn:bailiwick:api";
const all = ["openid", "offline_access", ...scopes];

const provider = new Provider(issuer, {
  clients: [],
  scopes: all,
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    registration: { enabled: true, initialAccessToken: token },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: all.join(" "),
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
      }),
    },
  },
});

provider.listen(Number(port), "127.0.0.1", () => console.log(`ready on ${issuer}`));
