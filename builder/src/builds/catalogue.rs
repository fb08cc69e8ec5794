//! The catalogue of builder images.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::definitions::metadata;
use super::record::{Page, PageOf, Recorded};
use super::version::Version;
use super::{Builds, BuildsError, Invalid, What, name, spec};
use crate::images::{BaseImage, ImageName, ImagesError, Platform, ReadError};
use crate::meant;
use crate::records::{Actor, BuilderImage};
use crate::s2i::{Contract, ExecutionConfig};

/// Languages by the words that images' tags have for them.
const LANGUAGES: [(&str, &str); 12] = [
    ("java", "java"),
    ("openjdk", "java"),
    ("go", "go"),
    ("golang", "go"),
    ("python", "python"),
    ("nodejs", "nodejs"),
    ("node", "nodejs"),
    ("ruby", "ruby"),
    ("php", "php"),
    ("perl", "perl"),
    ("dotnet", "dotnet"),
    ("nginx", "nginx"),
];

impl Builds {
    /// Makes or replaces an entry; an empty namespace is everybody's. What the entry does not say is filled in from the
    /// image's labels, read with the actor's rights; so the image must be there.
    pub async fn put_builder_image(
        &self,
        mut image: BuilderImage,
        actor: &Actor,
        now: SystemTime,
    ) -> Result<Recorded<BuilderImage>, BuildsError> {
        let place = image.metadata.clone();
        name::check_entry(&place.name)?;
        if !place.namespace.is_empty() {
            name::check_namespace(&place.namespace)?;
        }
        let named = name::image(&image.image, &self.settings().hosts, "image")?;
        let read = self.image(&named, actor).await?;
        let plan = read.plan_image(named.to_string());
        let says = plan.config.execution();
        has_scripts(&named, &says)?;
        describe(&mut image, &says);
        let quota = self.settings().quota.builder_images;
        let known = self
            .store()
            .find::<BuilderImage>(&place.namespace, &place.name);
        match known.await? {
            None => {
                image.metadata = metadata(&place.namespace, &place.name, now);
                self.store().make(image, quota).await
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

    /// An image, read with the actor's rights.
    pub(super) async fn image(
        &self,
        name: &ImageName,
        actor: &Actor,
    ) -> Result<BaseImage, BuildsError> {
        let platform = Platform::of_this_machine();
        let read = BaseImage::resolve(&*self.parts().images, actor, name, &platform);
        match read.await {
            Ok(image) => Ok(image),
            Err(ReadError::Images(ImagesError::Forbidden(why))) => Err(BuildsError::Forbidden(why)),
            Err(error @ (ReadError::Images(_) | ReadError::Broken { .. })) => {
                Err(BuildsError::Unavailable(error.to_string()))
            }
            Err(error @ (ReadError::Missing(_) | ReadError::Unusable(_))) => {
                Err(Invalid::new("image", error).into())
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

    /// The newest entry of a language, of those whose version begins with what is asked for: the namespace's own if it has
    /// one, else everybody's. An error where there is none.
    pub(super) async fn of_language(
        &self,
        namespace: &str,
        language: &str,
        version: Option<&str>,
    ) -> Result<BuilderImage, BuildsError> {
        let mut words = BTreeSet::new();
        for namespace in [namespace, ""] {
            let mut page = PageOf {
                after: None,
                limit: PageOf::MAX,
            };
            let mut newest = None;
            loop {
                let found = self.builder_images(namespace, &page).await?;
                let last = found.items.last();
                page.after = last.map(|last| last.value.metadata.name.clone());
                let entries = found.items.into_iter().map(|entry| entry.value);
                let entries = entries.inspect(|entry| words.extend(words_for(entry)));
                newest = newer(newest.into_iter().chain(entries), language, version);
                if !found.more {
                    break;
                }
            }
            if let Some(newest) = newest {
                return Ok(newest);
            }
        }
        // Not a repository of that name, which a stranger may have made.
        let (written, lacks) = match version {
            None => (
                language.to_owned(),
                format!("{language:?}, nor one of that language"),
            ),
            Some(version) => (
                format!("{language}:{version}"),
                format!("of language {language:?} and version {version:?}"),
            ),
        };
        let near = meant(&written, words.iter().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        let message = format!(
            "the catalogue has no entry {lacks}: {near}slipway builder-image list -n {namespace} shows what it has; an image \
             is written as namespace/name:tag"
        );
        Err(Invalid::new("spec.builder", message).into())
    }

    /// The image that a word means, of those that `spec.builder` may have; [`BuildsError::NotFound`] if the catalogue lacks what it names.
    pub(super) async fn meant(
        &self,
        namespace: &str,
        word: &str,
    ) -> Result<ImageName, BuildsError> {
        let named = spec::builder(word, &self.settings().hosts)?;
        match self.builder_name(namespace, &named).await {
            Ok((image, _)) => Ok(image),
            Err(BuildsError::Invalid(_)) => Err(BuildsError::NotFound {
                what: What::BuilderImage,
                namespace: namespace.to_owned(),
                name: word.to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Whether the catalogue lacks what `spec.builder` names. Whether there is an image of a name is not looked at: that takes rights
    /// of its own.
    pub async fn lacks_builder(&self, namespace: &str, word: &str) -> Result<bool, BuildsError> {
        match self.meant(namespace, word).await {
            Ok(_) => Ok(false),
            Err(BuildsError::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Removes an entry; the image stays.
    pub async fn remove_builder_image(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<(), BuildsError> {
        let found = self.store().get_to_remove::<BuilderImage>(namespace, name);
        match found.await? {
            Some(found) => self.store().remove(&found).await,
            None => Ok(()),
        }
    }
}

/// The newest entry of a language; of two that are alike, the one that comes first.
fn newer(
    entries: impl Iterator<Item = BuilderImage>,
    language: &str,
    asked: Option<&str>,
) -> Option<BuilderImage> {
    let asked = asked.map(Version::of);
    let version = |entry: &BuilderImage| Version::of(entry.version.as_deref().unwrap_or_default());
    let fitting = entries.filter(|entry| {
        let is_of = |own: &String| own.eq_ignore_ascii_case(language);
        let is_met = |asked: &Version| version(entry).meets(asked);
        entry.language.as_ref().is_some_and(is_of) && asked.as_ref().is_none_or(is_met)
    });
    fitting.reduce(|newest, entry| {
        if version(&entry) > version(&newest) {
            entry
        } else {
            newest
        }
    })
}

/// Refuses an image that has no scripts of its own: whoever builds by the entry, or by its language, would fail. What brings its scripts
/// itself names the image.
fn has_scripts(image: &ImageName, says: &ExecutionConfig) -> Result<(), Invalid> {
    let contract = Contract::of("builder image", says, &mut Vec::new());
    let contract = contract.map_err(|refusal| Invalid::new("image", refusal))?;
    if contract.scripts_dir().is_some() {
        return Ok(());
    }
    let message = format!(
        "{image} does not say where its scripts are: give it the label io.openshift.s2i.scripts-url, such as \
         image:///usr/libexec/s2i; builds with scripts of their own (scriptsUrl, or .s2i/bin in the source) take it without an \
         entry, as {image}"
    );
    Err(Invalid::new("image", message))
}

/// What builds may call an entry: by its name, by its language, and by that with its version.
fn words_for(entry: &BuilderImage) -> impl Iterator<Item = String> {
    let (language, version) = (entry.language.clone(), entry.version.as_ref());
    let with_version = language.as_ref().zip(version);
    let with_version = with_version.map(|(language, version)| format!("{language}:{version}"));
    let name = Some(entry.metadata.name.clone());
    [name, language, with_version].into_iter().flatten()
}

/// Fills in what an entry does not say: from our own labels, else from those that images of S2I have.
fn describe(image: &mut BuilderImage, says: &ExecutionConfig) {
    let label = |name: &str| says.label(name).map(str::to_owned);
    let fill = |field: &mut Option<String>, found: &dyn Fn() -> Option<String>| {
        if field.is_none() {
            *field = found();
        }
    };
    let display_name = || label("io.k8s.display-name");
    let language = || {
        let tags = says.label("io.openshift.tags").unwrap_or_default();
        let words = tags.split(',').map(str::trim);
        let mut known = words.filter_map(|word| {
            let found = LANGUAGES.iter().find(|(tag, _)| *tag == word);
            found.map(|(_, language)| (*language).to_owned())
        });
        known.next()
    };
    let version = || {
        let name = display_name()?;
        let begins = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        name.split_whitespace()
            .rev()
            .find(begins)
            .map(str::to_owned)
    };
    fill(&mut image.language, &|| {
        label("dev.slipway.language").or_else(language)
    });
    fill(&mut image.version, &|| {
        label("dev.slipway.version").or_else(version)
    });
    fill(&mut image.display_name, &display_name);
    fill(&mut image.description, &|| label("io.k8s.description"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(labels: &serde_json::Value) -> BuilderImage {
        let mut image: BuilderImage = serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "", "name": "x", "created": 0},
            "image": "shop/x:1",
            "description": "ours",
        }))
        .unwrap();
        let says = serde_json::json!({"Labels": labels});
        describe(&mut image, &serde_json::from_value(says).unwrap());
        image
    }

    #[test]
    fn what_an_entry_does_not_say_its_image_does() {
        let image = described(&serde_json::json!({
            "io.openshift.tags": "builder,python,python39,rh-python39",
            "io.k8s.display-name": "Python 3.9",
            "io.k8s.description": "of the image",
        }));
        assert_eq!(image.language.as_deref(), Some("python"));
        assert_eq!(image.version.as_deref(), Some("3.9"));
        assert_eq!(image.display_name.as_deref(), Some("Python 3.9"));
        assert_eq!(image.description.as_deref(), Some("ours"));

        let image = described(&serde_json::json!({
            "dev.slipway.language": "go",
            "dev.slipway.version": "1.24",
            "io.openshift.tags": "builder,java",
        }));
        assert_eq!(image.language.as_deref(), Some("go"));
        assert_eq!(image.version.as_deref(), Some("1.24"));
        assert_eq!(described(&serde_json::json!({})).language, None);
    }

    /// Labels as the Dockerfiles of sclorg's images set them.
    #[test]
    fn what_images_of_sclorg_are_is_known_by_their_labels() {
        for (tags, display_name, language, version) in [
            (
                "builder,python,python312,python-312,rh-python312",
                "Python 3.12",
                "python",
                "3.12",
            ),
            ("builder,nodejs,nodejs24", "Node.js 24", "nodejs", "24"),
            ("builder,ruby,ruby33,ruby-33", "Ruby 3.3", "ruby", "3.3"),
            (
                "builder,php,php83,php-83",
                "Apache 2.4 with PHP 8.3",
                "php",
                "8.3",
            ),
            (
                "builder,perl,perl540,perl-540",
                "Apache 2.4 with mod_fcgid and Perl 5.40",
                "perl",
                "5.40",
            ),
        ] {
            let image = described(&serde_json::json!({
                "io.openshift.tags": tags,
                "io.k8s.display-name": display_name,
            }));
            assert_eq!(image.language.as_deref(), Some(language));
            assert_eq!(image.version.as_deref(), Some(version));
            assert_eq!(image.display_name.as_deref(), Some(display_name));
        }
    }

    #[test]
    fn the_newest_of_a_language_is_meant_by_it() {
        let entry = |name: &str, language: &str, version: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let mut image = described(&serde_json::json!({}));
            image.metadata.name = name.to_owned();
            image.language = text(language);
            image.version = text(version);
            image
        };
        let all = [
            entry("a", "python", "3.9"),
            entry("b", "python", ""),
            entry("c", "Python", "3.13.5"),
            entry("d", "python", "3.13.5"),
            entry("e", "nodejs", "24"),
            entry("f", "", "9"),
        ];
        for (language, version, name) in [
            ("python", None, Some("c")),
            ("python", Some("3"), Some("c")),
            ("python", Some("3.9"), Some("a")),
            ("python", Some("3.1"), None),
            ("nodejs", Some("24"), Some("e")),
            ("ruby", None, None),
        ] {
            let found = newer(all.clone().into_iter(), language, version);
            let found = found.map(|entry| entry.metadata.name);
            assert_eq!(found.as_deref(), name, "{language} {version:?}");
        }
    }
}
