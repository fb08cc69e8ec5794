//! Users and rights of a registry that is not open: an htpasswd file and a folder of RBAC objects.
//!
//! | user | in namespace `team` | elsewhere |
//! |---|---|---|
//! | `pusher` | get, create, update, delete | nothing |
//! | `puller` | get | nothing |
//! | `stranger` | nothing | nothing |
//! | anonymous | nothing | get in `public`, where `pusher` may push |

use std::path::PathBuf;

use crate::Lab;

/// The files that say who may do what, in a lab.
#[derive(Clone, Debug)]
pub struct Access {
    /// bcrypt lines of `pusher`, `puller` and `stranger`.
    pub htpasswd: PathBuf,
    /// `ClusterRole` and `RoleBinding` objects.
    pub rbac: PathBuf,
}

/// The password of a user of [`Access`].
pub fn password_of(name: &str) -> String {
    format!("secret-of-{name}")
}

impl Access {
    /// Writes the files.
    pub fn write(lab: &Lab) -> Self {
        let lines: String = ["pusher", "puller", "stranger"]
            .map(|name| htpasswd_line(lab, name, &password_of(name)))
            .concat();
        let rbac = lab.dir("rbac");
        lab.write("rbac/roles.yaml", ROLES);
        let bindings = [
            binding("team", "image-owner", "pusher"),
            binding("public", "image-owner", "pusher"),
            binding("team", "image-puller", "puller"),
            binding("public", "image-puller", "system:anonymous"),
        ];
        lab.write("rbac/bindings.yaml", bindings.join("---\n"));
        Self {
            htpasswd: lab.write("htpasswd", lines),
            rbac,
        }
    }
}

/// One line of an htpasswd file, made by Apache's `htpasswd` with bcrypt at its cheapest.
pub fn htpasswd_line(lab: &Lab, name: &str, password: &str) -> String {
    let line = lab
        .program("htpasswd")
        .args(["-niB", "-C", "4", name])
        .stdin(password)
        .ok();
    format!("{}\n", line.trim())
}

/// A `RoleBinding` that gives one user a `ClusterRole` in one namespace.
pub fn binding(namespace: &str, role: &str, user: &str) -> String {
    let name = format!("{role}-{}", user.replace(':', "-"));
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {role}
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: {user}
"
    )
}

const ROLES: &str = r#"apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: image-owner
rules:
- apiGroups: ["registry.alauda.io"]
  resources: ["images"]
  verbs: ["get", "create", "update", "delete"]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: image-puller
rules:
- apiGroups: ["registry.alauda.io"]
  resources: ["images"]
  verbs: ["get"]
"#;
