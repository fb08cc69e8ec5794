//! Objects as a reader of the store comes upon them.

use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};

use crate::layout::Place;
use crate::{Meta, StorageError, StoreError, layout};

/// An object, and what its name means; a manifest's link with the media type beside it.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) meta: Meta,
    /// `None`: nothing that the layout knows.
    pub(super) place: Option<Place>,
    /// The media type's object, of a revision.
    pub(super) beside: Option<Meta>,
}

type Listed<'a> = stream::Peekable<BoxStream<'a, Result<Meta, StoreError>>>;

/// Puts together what belongs together: in the order of keys, `link` is followed by `mediatype`.
pub(super) fn grouped(
    list: BoxStream<'_, Result<Meta, StoreError>>,
) -> impl Stream<Item = Result<Located, StorageError>> {
    stream::try_unfold(list.peekable(), |mut list| async move {
        Ok(next(&mut list).await?.map(|located| (located, list)))
    })
}

async fn next(list: &mut Listed<'_>) -> Result<Option<Located>, StorageError> {
    let Some(meta) = list.try_next().await? else {
        return Ok(None);
    };
    let place = layout::parse(meta.key.as_str());
    let beside = match &place {
        Some(Place::Revision(repo, digest)) => {
            let key = layout::media_type(repo, digest);
            let is_next =
                |next: &Result<Meta, StoreError>| next.as_ref().is_ok_and(|next| next.key == key);
            let list = std::pin::Pin::new(list);
            list.next_if(is_next).await.transpose()?
        }
        _ => None,
    };
    Ok(Some(Located {
        meta,
        place,
        beside,
    }))
}
