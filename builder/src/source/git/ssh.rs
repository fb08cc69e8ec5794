//! The configuration that ssh is run with.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::confinement::User;
use super::credential::Credential;
use super::session::write_private;
use super::tunnel::{self, Way};
use super::url::GitUrl;
use crate::source::{Fault, SourceNetwork};

/// The command of ssh: everything is in a file, so that nothing of the user's is read.
pub(super) fn command(
    home: &Path,
    url: &GitUrl,
    addresses: &[IpAddr],
    credential: Option<&Credential>,
    network: &SourceNetwork,
    accepted_hosts: &Path,
) -> Result<OsString, Fault> {
    let at = |name: &str| home.join(name);
    let mut known = network.known_hosts.clone();
    let mut identity = String::from("IdentityFile none\nPubkeyAuthentication no\n");
    if let Some(Credential::Key {
        private_key,
        known_hosts,
    }) = credential
    {
        write_private(&at("key"), private_key)?;
        identity = format!("IdentityFile {}\n", quoted(&at("key")));
        if let Some(lines) = known_hosts {
            known.clone_from(lines);
        }
    }
    write_private(&at("known_hosts"), &(known + "\n"))?;
    let (checking, files) = if network.accept_new_hosts {
        let own = at("known_hosts");
        let files = format!("{} {}", quoted(accepted_hosts), quoted(&own));
        ("accept-new", files)
    } else {
        ("yes", quoted(&at("known_hosts")))
    };
    // What known_hosts has the server under: its name, and its port where that is not 22.
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let alias = match url.port() {
        22 => host.to_owned(),
        port => format!("[{host}]:{port}"),
    };
    let (address, through) = if let Some(proxy) = network.proxy_for_ssh(url.host(), url.port()) {
        let way = Way {
            proxy,
            host,
            port: url.port(),
        };
        let file = at("way");
        way.write(&file)?;
        (host.to_owned(), tunnel::command(&network.tunnel, &file))
    } else {
        let address = addresses.first().map(IpAddr::to_string);
        (address.unwrap_or_default(), "none".to_owned())
    };
    let config = format!(
        "Host *\nHostName {address}\nProxyCommand {through}\nHostKeyAlias {alias}\nStrictHostKeyChecking {checking}\n\
         UserKnownHostsFile {files}\nGlobalKnownHostsFile /dev/null\n{identity}{SSH}"
    );
    write_private(&at("ssh_config"), &config)?;
    // A shell runs it, whatever the folder is called: HOME is the session's.
    Ok("ssh -F \"$HOME/ssh_config\"".into())
}

/// Makes the file of the keys that are taken at their word, for ssh to add to.
pub(super) fn prepare_accepted(file: &Path, user: User) -> Result<(), Fault> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let made = options.open(file).and_then(|_| user.give(file));
    made.map_err(|error| Fault::machine("the keys of ssh servers", &error))
}

/// A path as one word in which nothing is expanded (`ssh_config(5)`, "TOKENS").
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('%', "%%"))
}

/// `ssh_config(5)`: nobody is asked, nothing is forwarded, nothing of this machine is offered.
const SSH: &str = "\
IdentitiesOnly yes
IdentityAgent none
BatchMode yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
GSSAPIAuthentication no
CheckHostIP no
CanonicalizeHostname no
HashKnownHosts no
UpdateHostKeys no
VerifyHostKeyDNS no
PermitLocalCommand no
ProxyJump none
ControlMaster no
ControlPath none
ForwardAgent no
ForwardX11 no
ClearAllForwardings yes
ConnectTimeout 20
ServerAliveInterval 15
ServerAliveCountMax 4
LogLevel ERROR
";
