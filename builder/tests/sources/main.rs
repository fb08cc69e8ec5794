//! Sources from real servers: `git` over https by nginx, over ssh by sshd, Git LFS; and repositories made to do harm.

mod fetching;
mod hostile;
mod listed;
mod main_path;
mod memory;
mod repository;
mod secrets;
mod servers;
mod submodules;
