use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::thread::UnshareFlags;

use super::*;

/// What comes of `ask` on a thread under the filter.
fn under<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    let asked = std::thread::spawn(|| {
        ThreadFilter::with_mounts().unwrap().apply().unwrap();
        ask()
    });
    asked.join().unwrap()
}

#[test]
fn a_thread_keeps_to_it_and_no_other_does() {
    let socket = |family| {
        move || {
            let family = AddressFamily::from_raw(family);
            rustix::net::socket(family, SocketType::STREAM, None).map(drop)
        }
    };
    // AF_INET; AF_ALG.
    assert_eq!(under(socket(2)), Ok(()));
    assert_eq!(under(socket(38)), Err(Errno::NOSYS));
    assert_ne!(
        std::thread::spawn(socket(38)).join().unwrap(),
        Err(Errno::NOSYS)
    );
}

#[test]
fn no_namespaces_are_made_under_it() {
    #[expect(deprecated, reason = "what is not safe is the flag for files")]
    let unshare = |flags| move || rustix::thread::unshare(flags);
    for flags in [UnshareFlags::NEWUSER, UnshareFlags::NEWNET] {
        assert_eq!(under(unshare(flags)), Err(Errno::NOSYS));
    }
}

/// A call that the table of numbers does not know would be refused to git, wherever it is needed.
#[test]
fn calls_have_numbers() {
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let unknown: Vec<_> = [ALLOWED, &[MOUNTS]]
        .concat()
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter(|name| number(name).is_none())
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}
