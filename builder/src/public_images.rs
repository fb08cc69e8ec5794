//! Public builder images that the catalogue can have by one command.
//!
//! Of [sclorg](https://github.com/sclorg) (the READMEs of s2i-python-container, s2i-nodejs-container, s2i-ruby-container,
//! s2i-php-container and s2i-perl-container name them), and of Red Hat's Universal Base Images, which may be handed on. What
//! has no login and S2I's scripts is here, in versions that their makers still mend.

/// A builder image of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicImage {
    /// What the entry is called: `python-3.12`.
    pub name: &'static str,
    /// Its language.
    pub language: &'static str,
    /// The language's version; `None`: whatever the image is of at the time, as its labels say.
    pub version: Option<&'static str>,
    /// Registry and repository; the tag is `latest`.
    pub repository: &'static str,
}

const fn of(
    name: &'static str,
    language: &'static str,
    version: &'static str,
    repository: &'static str,
) -> PublicImage {
    PublicImage {
        name,
        language,
        version: Some(version),
        repository,
    }
}

/// All that are known, by name.
#[rustfmt::skip]
pub const PUBLIC_IMAGES: [PublicImage; 21] = [
    of("dotnet-8.0-ubi8", "dotnet", "8.0", "registry.access.redhat.com/ubi8/dotnet-80"),
    PublicImage {
        name: "go-ubi9",
        language: "go",
        version: None,
        repository: "registry.access.redhat.com/ubi9/go-toolset",
    },
    of("java-17-ubi9", "java", "17", "registry.access.redhat.com/ubi9/openjdk-17"),
    of("java-21-ubi9", "java", "21", "registry.access.redhat.com/ubi9/openjdk-21"),
    of("nodejs-22", "nodejs", "22", "quay.io/sclorg/nodejs-22-c10s"),
    of("nodejs-22-ubi9", "nodejs", "22", "registry.access.redhat.com/ubi9/nodejs-22"),
    of("nodejs-24", "nodejs", "24", "quay.io/sclorg/nodejs-24-c10s"),
    of("nodejs-24-ubi9", "nodejs", "24", "registry.access.redhat.com/ubi9/nodejs-24"),
    of("perl-5.40", "perl", "5.40", "quay.io/sclorg/perl-540-c10s"),
    of("perl-5.32-ubi9", "perl", "5.32", "registry.access.redhat.com/ubi9/perl-532"),
    of("php-8.3", "php", "8.3", "quay.io/sclorg/php-83-c10s"),
    of("php-8.3-ubi9", "php", "8.3", "registry.access.redhat.com/ubi9/php-83"),
    of("python-3.12", "python", "3.12", "quay.io/sclorg/python-312-c10s"),
    of("python-3.12-ubi9", "python", "3.12", "registry.access.redhat.com/ubi9/python-312"),
    of("python-3.13", "python", "3.13", "quay.io/sclorg/python-313-c10s"),
    of("python-3.14", "python", "3.14", "quay.io/sclorg/python-314-c9s"),
    of("python-3.14-ubi9", "python", "3.14", "registry.access.redhat.com/ubi9/python-314"),
    of("ruby-3.3", "ruby", "3.3", "quay.io/sclorg/ruby-33-c10s"),
    of("ruby-3.3-ubi9", "ruby", "3.3", "registry.access.redhat.com/ubi9/ruby-33"),
    of("ruby-4.0", "ruby", "4.0", "quay.io/sclorg/ruby-40-c10s"),
    of("ruby-4.0-ubi9", "ruby", "4.0", "registry.access.redhat.com/ubi9/ruby-40"),
];

impl PublicImage {
    /// The image of this name.
    pub fn find(name: &str) -> Option<Self> {
        PUBLIC_IMAGES.into_iter().find(|image| image.name == name)
    }

    /// The image, as it is pulled; with a mirror (`registry[/path]`) from there, under the path that it has at its makers'.
    pub fn reference(&self, mirror: Option<&str>) -> String {
        let (_, path) = self.repository.split_once('/').unwrap_or_default();
        match mirror {
            Some(mirror) => format!("{}/{path}:latest", mirror.trim_end_matches('/')),
            None => format!("{}:latest", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use oci::RepoName;

    use super::*;
    use crate::builds::is_entry_name;

    #[test]
    fn each_is_named_once_and_could_be_pulled_and_entered() {
        for (at, image) in PUBLIC_IMAGES.into_iter().enumerate() {
            assert_eq!(PublicImage::find(image.name), Some(image));
            let rest = &PUBLIC_IMAGES[at + 1..];
            assert!(
                rest.iter()
                    .all(|other| other.repository != image.repository)
            );
            assert!(is_entry_name(image.name), "{}", image.name);
            let (host, path) = image.repository.split_once('/').unwrap();
            assert!(host.contains('.'), "{host}");
            RepoName::parse(path).unwrap();
            let version = image.version.unwrap_or(image.language);
            assert!(image.name.starts_with(image.language) && image.name.contains(version));
            // The makers write versions without dots.
            let written = image.version.map(|version| version.replace('.', ""));
            let written = written.unwrap_or_else(|| "toolset".to_owned());
            assert!(path.contains(&written), "{path}: {written}");
        }
        let python = PublicImage::find("python-3.12").unwrap();
        assert_eq!(
            python.reference(None),
            "quay.io/sclorg/python-312-c10s:latest"
        );
        assert_eq!(
            python.reference(Some("mirror.example.com/quay/")),
            "mirror.example.com/quay/sclorg/python-312-c10s:latest"
        );
    }
}
