//! Arguments of `slipway builder-image create`.

use clap::Args;

use crate::cli::Remote;
use crate::cli::build::plain;

#[derive(Debug, Args)]
pub(crate) struct CreateBuilderImage {
    /// The language: go, java, nodejs or python.
    #[arg(required_unless_present = "list")]
    pub(crate) language: Option<String>,
    /// Print the languages and versions that there are, and make nothing.
    #[arg(long)]
    pub(crate) list: bool,
    /// The language's version. Default: the first of the list.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// The version that this suite of Debian has.
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,
    /// Where to: an image in a registry, oci:DIR:TAG or oci-archive:FILE:TAG (:TAG may be left out). Default:
    /// SERVER/slipway/LANGUAGE:VERSION.
    #[arg(long, value_name = "IMAGE")]
    pub(crate) output: Option<String>,
    /// One more Debian package to install; may be given more than once.
    #[arg(long, value_name = "NAME", value_parser = package_name)]
    pub(crate) package: Vec<String>,
    /// The mirror of Debian's archive. Default: Debian's own.
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub(crate) mirror: Option<String>,
    /// The mirror of Debian's security updates. Default: Debian's own.
    #[arg(long, value_name = "URL", value_parser = mirror)]
    pub(crate) security_mirror: Option<String>,
    /// The image's time, and the latest that its files have, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", value_name = "SECONDS", default_value_t = EPOCH)]
    pub(crate) source_date_epoch: u64,
    /// Enter it into the catalogue too, as LANGUAGE-VERSION; with -n the namespace's, else everybody's.
    #[arg(long)]
    pub(crate) add: bool,
    /// Whose entry it is.
    #[arg(long, short, value_name = "NAMESPACE", value_parser = plain, requires = "add")]
    pub(crate) namespace: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Print JSON. (`--output` is where the image goes.)
    #[arg(long)]
    pub(crate) json: bool,
}

/// The day that Debian 12 was released: an image is to be the same whenever it is made, and archives of wheels and jars
/// know no time before 1980.
const EPOCH: u64 = 1_686_355_200;

/// Debian Policy 5.6.1. It becomes part of another program's argument, in which a comma or an option would mean something.
fn package_name(text: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_name = text.len() >= 2
        && text.bytes().next().is_some_and(is_letter)
        && text
            .bytes()
            .all(|byte| is_letter(byte) || b"+-.".contains(&byte));
    if is_name {
        Ok(text.to_owned())
    } else {
        Err("a Debian package's name has lowercase letters, digits, +, - and .".to_owned())
    }
}

/// It becomes part of a line in a list of sources.
fn mirror(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|error| error.to_string())?;
    if matches!(url.scheme(), "http" | "https" | "file" | "copy")
        && !text.contains(char::is_whitespace)
    {
        Ok(text.to_owned())
    } else {
        Err("a mirror is an http, https or file URL".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{mirror, package_name};

    #[test]
    fn what_goes_into_other_programs_arguments_is_checked() {
        for good in ["gcc", "g++", "libpq-dev", "python3.11-dev", "0ad"] {
            assert_eq!(package_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "-y", "a,b", "a b", "A", "a/b", "?x", "a=1"] {
            assert!(package_name(bad).is_err(), "{bad}");
        }
        assert!(mirror("https://mirror.example.com/debian").is_ok());
        for bad in [
            "mirror",
            "ftp://a/b",
            "http://a/b\ndeb http://c d",
            "http://a/b c",
        ] {
            assert!(mirror(bad).is_err(), "{bad}");
        }
    }
}
