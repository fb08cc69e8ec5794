//! ID tokens of a real OpenID provider as credentials: rights by groups, logins, and a provider that is away.

mod clients;
mod cluster;
mod device;
mod faults;

use tests::api::Reply;
use tests::{Api, Endpoint, Lab, OrFail, Provider, Server, Settings, tls};

/// Developers push, everybody in `ops` pulls, ada may delete.
const RIGHTS: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: pusher}
rules: [{apiGroups: [registry.alauda.io], resources: [images], verbs: [get, create, update]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: puller}
rules: [{apiGroups: [registry.alauda.io], resources: [images], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: devs, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: pusher}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'idp:devs'}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: ops, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: puller}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'idp:ops'}]
";

/// The provider's users.
const PEOPLE: &[(&str, &[&str])] = &[("ada", &["devs"]), ("bob", &["ops"]), ("eve", &[])];

struct Scene {
    lab: Lab,
    authority: tls::Authority,
    provider: Provider,
}

impl Scene {
    fn new(name: &str) -> Self {
        let lab = Lab::new(name);
        let authority = tls::Authority::new(&lab);
        let provider = Provider::start(&lab, &authority);
        provider.set_users(PEOPLE);
        lab.write("rules/rights.yaml", RIGHTS);
        Self {
            lab,
            authority,
            provider,
        }
    }

    /// `auth.oidc` for the provider.
    fn oidc(&self) -> String {
        oidc(&self.provider)
    }

    /// A registry over TLS with rights from files.
    fn registry(&self) -> Server {
        self.registry_with("")
    }

    /// The same with `more` in its `auth`.
    fn registry_with(&self, more: &str) -> Server {
        let certificate = self.authority.issue(&self.lab, "server");
        let settings = Settings {
            more: format!(
                "auth: {{{more}{}, rbac: {{dir: {}}}}}\n",
                self.oidc(),
                self.lab.path("rules").display()
            ),
            tls: Some((self.authority.certificate.clone(), certificate)),
            memory: true,
            ..Settings::default()
        };
        Server::start(&self.lab, &settings)
    }
}

fn oidc(provider: &Provider) -> String {
    format!(
        "oidc: [{{issuer: '{}', clientId: slipway, groupsClaim: groups, groupsPrefix: 'idp:', caFile: {}, \
         scopes: [openid, profile, email, groups]}}]",
        provider.issuer(),
        provider.ca().display()
    )
}

fn pull(at: &Endpoint, token: &str) -> Reply {
    let api = Api::new(&at.with_token(token));
    api.manifest("team/app", "v1").or_fail("pull")
}
