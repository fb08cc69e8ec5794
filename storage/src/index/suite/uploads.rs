//! Upload sessions.

use oci::UploadId;

use super::Subject;
use super::material::{at, blob, session, then};
use crate::index::Session;

pub async fn an_upload_session_lives_until_its_blob_is_linked(index: Subject) {
    let mut session = session(1, 5);
    assert_eq!(index.upload(&session.id).await.unwrap(), None);
    assert!(index.create_upload(&session, 1).await.unwrap());
    assert_eq!(
        index.upload(&session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let done = index.checkpoint_upload(&session.id, 77, &[3], at(9));
    assert!(done.await.unwrap());
    session.offset = 77;
    session.hashers = vec![3];
    session.touched = at(9);
    assert_eq!(
        index.upload(&session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let digest = blob(1);
    let linked = index.link_blob(&session.repo, &digest, 77, Some(&session.id), then());
    linked.await.unwrap();
    assert_eq!(index.upload(&session.id).await.unwrap(), None);
    let late = index.checkpoint_upload(&session.id, 78, &[3], at(11));
    assert!(!late.await.unwrap());
    assert!(!index.delete_upload(&session.id).await.unwrap());
}

pub async fn idle_sessions_are_found(index: Subject) {
    for (id, touched) in [(1, 30), (2, 10), (3, 20), (4, 99)] {
        let created = index.create_upload(&session(id, touched), 9).await;
        assert!(created.unwrap());
    }
    let idle = index.idle_uploads(at(30), 10).await.unwrap();
    let ids: Vec<UploadId> = idle.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [session(2, 0).id, session(3, 0).id]);
    assert_eq!(index.idle_uploads(at(100), 1).await.unwrap().len(), 1);
    assert!(index.delete_upload(&ids[0]).await.unwrap());
    assert_eq!(index.idle_uploads(at(30), 10).await.unwrap().len(), 1);
}

pub async fn nobody_has_more_sessions_than_allowed(index: Subject) {
    for (id, allowed) in [(1, true), (2, true), (3, false)] {
        let created = index.create_upload(&session(id, 1), 2).await;
        assert_eq!(created.unwrap(), allowed);
    }
    let refused = session(3, 1);
    assert_eq!(index.upload(&refused.id).await.unwrap(), None);
    let of_another = Session {
        owner: "user:3:bob".to_owned(),
        ..session(4, 1)
    };
    assert!(index.create_upload(&of_another, 2).await.unwrap());
    assert!(index.delete_upload(&session(1, 1).id).await.unwrap());
    assert!(index.create_upload(&refused, 2).await.unwrap());
}
