//! The catalogue of builder images.

use std::time::SystemTime;

use super::definitions::metadata;
use super::record::{Page, PageOf, Recorded};
use super::{Builds, BuildsError, ImageName, name};
use crate::records::{Actor, BuilderImage};

impl Builds {
    /// Makes or replaces an entry; an empty namespace is everybody's. What the entry does not say is filled in from the
    /// image's labels, read with the actor's rights.
    pub async fn put_builder_image(
        &self,
        mut image: BuilderImage,
        actor: &Actor,
        now: SystemTime,
    ) -> Result<Recorded<BuilderImage>, BuildsError> {
        let _ = actor;
        let place = image.metadata.clone();
        name::check(&place.name, 63)?;
        if !place.namespace.is_empty() {
            name::check_namespace(&place.namespace)?;
        }
        ImageName::parse(&image.image, &self.settings().hosts, "image")?;
        let known = self
            .store()
            .find::<BuilderImage>(&place.namespace, &place.name);
        match known.await? {
            None => {
                image.metadata = metadata(&place.namespace, &place.name, now);
                self.store().make(image).await
            }
            Some(known) => {
                image.metadata = known.value.metadata;
                let revision = known.revision;
                self.store()
                    .replace(Recorded {
                        value: image,
                        revision,
                    })
                    .await
            }
        }
    }

    /// The entries of a namespace; of the empty one those that are everybody's.
    pub async fn builder_images(
        &self,
        namespace: &str,
        page: &PageOf,
    ) -> Result<Page<BuilderImage>, BuildsError> {
        self.store().page(namespace, page).await
    }

    /// An entry of exactly this namespace.
    pub async fn builder_image(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Recorded<BuilderImage>, BuildsError> {
        self.store().get(namespace, name).await
    }

    /// The entry that a name means in a namespace: its own, else everybody's.
    pub async fn find_builder_image(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Recorded<BuilderImage>>, BuildsError> {
        match self.store().find(namespace, name).await? {
            Some(own) => Ok(Some(own)),
            None => self.store().find("", name).await,
        }
    }

    /// Removes an entry; the image stays.
    pub async fn remove_builder_image(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(), BuildsError> {
        let found = self.builder_image(namespace, name).await?;
        self.store().remove(&found).await
    }
}
