//! Tags that move, from the registry to the triggers.

use ::builder::triggers::Moves;
use storage::TagMoved;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Hands on what is told, until nobody tells any more. What was told faster than it was listened to is lost, so that any tag may have
/// moved then.
pub(super) async fn follow(mut told: Receiver<TagMoved>, moves: &Moves) {
    loop {
        match told.recv().await {
            Ok(TagMoved { repo, tag, .. }) => moves.note(repo, tag),
            Err(RecvError::Lagged(_)) => moves.note_any(),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use ::builder::triggers::Moved;
    use oci::{Algorithm, Digest, RepoName, Tag};
    use tokio::sync::broadcast::channel;

    use super::*;

    fn moved(number: usize) -> TagMoved {
        TagMoved {
            repo: RepoName::parse("team/builder").unwrap(),
            tag: Tag::parse(&format!("v{number}")).unwrap(),
            digest: Digest::of(Algorithm::Sha256, b"x"),
        }
    }

    /// What is known of `count` moves that were told before anybody listened, to one who may lag behind by 4.
    async fn known_of(count: usize) -> Moved {
        let (tell, told) = channel(4);
        for number in 0..count {
            tell.send(moved(number)).unwrap();
        }
        drop(tell);
        let moves = Moves::default();
        follow(told, &moves).await;
        moves.take()
    }

    #[tokio::test]
    async fn a_tag_that_moves_is_told_of_and_of_too_many_that_any_may_have() {
        let has = |known: &Moved, number| {
            let TagMoved { repo, tag, .. } = moved(number);
            known.has(&repo, &tag)
        };
        let all = known_of(4).await;
        assert!((0..4).all(|number| has(&all, number)));
        assert!(!has(&all, 4));
        let any = known_of(5).await;
        assert!((0..6).all(|number| has(&any, number)));
    }
}
