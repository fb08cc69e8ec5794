//! The documents say what works: every `sh` block in README.md and docs/*.md is run as a reader would,
//! block after block, in a machine of its own.
//!
//! A block that cannot run here (it needs a host of the reader's) is fenced as `console`, not `sh`.

use std::path::{Path, PathBuf};

use tests::{Lab, OrFail, server, toolbox};

/// The documents with what their blocks say, in order.
fn documents() -> Vec<(PathBuf, Vec<String>)> {
    let root = toolbox::checkout();
    let mut files = vec![root.join("README.md")];
    if let Ok(listed) = std::fs::read_dir(root.join("docs")) {
        let pages = listed.map(|entry| entry.or_fail("list docs").path());
        files.extend(pages.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    files.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).or_fail(format!("read {}", path.display()));
        let blocks = blocks(&text);
        (path, blocks)
    };
    files.into_iter().map(read).collect()
}

/// The contents of the blocks fenced as `sh` and nothing more.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim().strip_prefix("```")) {
            (None, Some(info)) => open = Some((info.trim() == "sh", String::new())),
            (Some(_), Some("")) => {
                if let Some((true, block)) = open.take() {
                    found.push(block);
                }
            }
            (Some((_, block)), _) => {
                block.push_str(line);
                block.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// What a document that says `kubectl` needs: an API server with its controllers, and an administrator's context for it.
const CLUSTER: &str = r#"
(
	mkdir ../cluster && cd ../cluster
	# It wants an address of its own that is not loopback.
	ip address add 192.0.2.1/32 dev lo
	openssl genrsa -out sa.key 2048 && openssl rsa -in sa.key -pubout -out sa.pub
	echo 'root,root,root,"system:masters"' > tokens.csv
	etcd --data-dir etcd --unsafe-no-fsync > etcd.log 2>&1 &
	kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 --advertise-address=192.0.2.1 --secure-port=6443 --cert-dir=certs 		--token-auth-file=tokens.csv --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key 		--service-account-issuer=https://kubernetes.default.svc --api-audiences=https://kubernetes.default.svc,slipway 		--authorization-mode=RBAC --service-cluster-ip-range=10.0.0.0/24 > apiserver.log 2>&1 &
	for _ in $(seq 300); do [ -e certs/apiserver.crt ] && break; sleep 0.1; done
	kubectl config set-cluster lab --server=https://127.0.0.1:6443 --certificate-authority="$PWD/certs/apiserver.crt"
	kubectl config set-credentials root --token=root
	kubectl config set-context lab --cluster=lab --user=root
	kubectl config use-context lab
	for _ in $(seq 300); do kubectl get --raw /readyz && break; sleep 0.2; done
	kubectl get --raw /readyz
	kube-controller-manager --kubeconfig="$HOME/.kube/config" --service-account-private-key-file=sa.key --root-ca-file=certs/apiserver.crt 		--use-service-account-credentials --leader-elect=false > controllers.log 2>&1 &
	for _ in $(seq 300); do kubectl get serviceaccount default && break; sleep 0.2; done
) > cluster.log 2>&1
"#;

/// A script of all blocks, run in one shell so that `cd`, variables and background programs last. It has
/// processes and a network of its own: a document may say port 5000, and what it leaves running ends with it.
fn run(path: &Path, blocks: &[String]) -> Result<(), String> {
    let lab = Lab::new("docs");
    let bin = lab.dir("bin");
    std::os::unix::fs::symlink(server::binary(), bin.join("slipway"))
        .or_fail("put slipway on PATH");
    let blocks = blocks.concat();
    let cluster = if blocks.contains("kubectl ") {
        CLUSTER
    } else {
        ""
    };
    let script = format!("set -euo pipefail\nip link set lo up\n{cluster}set -x\n{blocks}");
    let file = lab.write("blocks.sh", script);
    // The checkout as a reader has it, without its build folders being written to.
    let work = lab.dir("work");
    std::os::unix::fs::symlink(toolbox::checkout().join("install"), work.join("install"))
        .or_fail("put install beside");
    // Images go into storage of their own, not into that of whoever runs the tests.
    let (images, mounts) = (lab.dir("images"), lab.dir("run"));
    let storage = lab.write(
        "storage.conf",
        format!(
            "[storage]\ndriver = 'vfs'\ngraphroot = '{}'\nrunroot = '{}'\n",
            images.display(),
            mounts.display()
        ),
    );
    let ended = lab
        .program("unshare")
        .args([
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "bash",
        ])
        .arg(file)
        .env(
            "PATH",
            format!("{}:{}", bin.display(), toolbox::search_path()),
        )
        .env("CHECKOUT", toolbox::checkout())
        .env("CONTAINERS_STORAGE_CONF", storage)
        .dir(work)
        .run();
    if ended.status.success() {
        return Ok(());
    }
    Err(format!("{}\n{}", path.display(), ended.report))
}

#[test]
fn every_guide_is_linked_from_the_readme() {
    let readme = std::fs::read_to_string(toolbox::checkout().join("README.md"));
    let readme = readme.or_fail("read README.md");
    let missing: Vec<String> = documents()
        .iter()
        .filter_map(|(path, _)| path.file_name()?.to_str().map(str::to_owned))
        .filter(|name| name != "README.md" && !readme.contains(&format!("(docs/{name}")))
        .collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
}

/// `set -e` looks away where a command is inverted: `! command` alone never fails.
#[test]
fn no_command_is_expected_to_fail_without_being_held_to_it() {
    for (path, blocks) in documents() {
        for line in blocks.iter().flat_map(|block| block.lines()) {
            let line = line.trim();
            assert!(
                !line.starts_with("! ") || line.contains(" || "),
                "{}: {line}: write `! command || exit 1`",
                path.display()
            );
        }
    }
}

#[test]
fn every_command_in_the_documents_works() {
    let documents = documents();
    let count: usize = documents.iter().map(|(_, blocks)| blocks.len()).sum();
    assert!(
        count > 0,
        "no sh block in README.md and docs/*.md: nothing was tested"
    );
    let failures: Vec<String> = documents
        .iter()
        .filter(|(_, blocks)| !blocks.is_empty())
        .filter_map(|(path, blocks)| run(path, blocks).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!("{count} blocks of {} documents", documents.len());
}

#[test]
fn only_blocks_fenced_as_sh_are_taken_and_a_failing_one_is_noticed() {
    let text =
        "a\n```sh\none\n```\n```console\n$ two\n```\n```yaml\nthree\n```\n```sh\nfour\nfive\n```\n";
    assert_eq!(blocks(text), ["one\n", "four\nfive\n"]);
    let page = Path::new("page.md");
    assert_eq!(
        run(page, &["x=1\n".to_owned(), "test $x = 1\n".to_owned()]),
        Ok(())
    );
    let said = run(page, &["false\n".to_owned(), "true\n".to_owned()])
        .err()
        .or_fail("a failure");
    assert!(
        said.contains("page.md") && said.contains("+ false"),
        "{said}"
    );
}
