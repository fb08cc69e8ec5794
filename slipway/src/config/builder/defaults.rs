//! What holds where nothing is said.

use std::path::PathBuf;

use builder::builds::Quota;
use builder::plan;
use builder::s2i::EnvFilter;

use super::{
    Builder, Compression, Defaults, Driver, Enabled, Git, Kept, Limits, Logs, Network, Retention,
    Sources, UserIds,
};
use crate::config::Span;

/// The package registries of the languages that builder images are made for.
const REGISTRIES: [&str; 12] = [
    "pypi.org",
    "files.pythonhosted.org",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "repo.yarnpkg.com",
    "repo.maven.apache.org",
    "repo1.maven.org",
    "plugins.gradle.org",
    "services.gradle.org",
    "proxy.golang.org",
    "sum.golang.org",
    "storage.googleapis.com",
];

const GIB: u64 = 1 << 30;

impl Default for Builder {
    fn default() -> Self {
        let quota = Quota::default();
        Self {
            enabled: Enabled::default(),
            driver: Driver::default(),
            dir: None,
            runtime: PathBuf::from("runc"),
            workers: 2,
            namespace_workers: 2,
            namespace_waiting: 100,
            namespace_builds: quota.builds,
            namespace_secrets: quota.secrets,
            namespace_builder_images: quota.builder_images,
            image_namespaces: vec!["slipway".to_owned()],
            namespace_runs: quota.runs,
            min_free_bytes: GIB,
            defaults: Defaults::default(),
            limits: Limits::default(),
            allowed_uids: String::new(),
            forbidden_env: EnvFilter::USUAL.map(str::to_owned).to_vec(),
            network: Network::default(),
            ca_file: None,
            proxy: None,
            git: Git::default(),
            sources: Sources::default(),
            cache: Kept::default(),
            layers: Kept::default(),
            logs: Logs::default(),
            retention: Retention::default(),
            compression: Compression::default(),
            user_ids: UserIds::default(),
            secret_key_file: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            cpu_millis: None,
            pids: None,
            disk_bytes: 100 * GIB,
            run_time: Span::hours(4),
            queue_time: Span::hours(24),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            egress: plan::Network::Full,
            registries: REGISTRIES.map(str::to_owned).to_vec(),
            allow: None,
        }
    }
}

impl Default for Git {
    fn default() -> Self {
        Self {
            known_hosts_file: None,
            accept_new_hosts: false,
            authorities: Vec::new(),
            mirror_bytes: 10 * GIB,
        }
    }
}

impl Default for Sources {
    fn default() -> Self {
        let limits = builder::source::SourceLimits::default();
        Self {
            max_entries: limits.entries,
            max_bytes: limits.bytes,
            max_fetched_bytes: limits.fetched_bytes,
            max_submodules: limits.submodules,
            timeout: Span::seconds(limits.time.as_secs()),
        }
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            max_bytes: 20 * GIB,
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            succeeded: 20,
            failed: 20,
            at_least: Span::hours(24),
            age: None,
        }
    }
}

impl Default for UserIds {
    fn default() -> Self {
        Self {
            first: 1 << 30,
            count: 1 << 16,
        }
    }
}
