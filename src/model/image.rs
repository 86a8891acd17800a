//! References to container images.

use super::{Digest, InvalidValue};

/// The longest name, registry included, that registries take (OCI distribution specification, "Pulling manifests").
const LONGEST_NAME: usize = 255;

/// Where the versions of one image are kept: a registry and a path in it, `registry.example.com:5000/team/shop`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageName {
    registry: String,
    path: String,
}

impl ImageName {
    /// The registry's host, with a port if one was written, in lower case.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The image of this name with this digest.
    pub fn at(&self, digest: Digest) -> ImageRef {
        ImageRef {
            name: self.clone(),
            tag: None,
            digest: Some(digest),
        }
    }

    /// The image of this name with this tag.
    pub fn tagged(&self, tag: &str) -> Result<ImageRef, InvalidValue> {
        if !is_tag(tag) {
            return Err(InvalidValue::new(tag, TAG));
        }
        Ok(ImageRef {
            name: self.clone(),
            tag: Some(tag.to_owned()),
            digest: None,
        })
    }
}

impl std::str::FromStr for ImageName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (registry, path) = text
            .split_once('/')
            .filter(|(first, _)| looks_like_a_host(first))
            .ok_or_else(|| InvalidValue::new(text, WITH_REGISTRY))?;
        if !is_host(registry) {
            return Err(InvalidValue::new(registry, HOST));
        }
        if text.len() > LONGEST_NAME || !path.split('/').all(is_path_component) {
            return Err(InvalidValue::new(path, PATH));
        }
        Ok(Self {
            registry: registry.to_ascii_lowercase(),
            path: path.to_owned(),
        })
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// One image: its name, and a tag, a digest, or both. There are no defaults: neither a registry nor a tag is put in
/// where none was written, since whoever reads the reference later would not know which one was meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageRef {
    name: ImageName,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageRef {
    /// Registry and path.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written. It says which image is meant; the tag beside it is only what it was called.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Whether the tag is one that is meant to move: `latest`, or a name that ends in `-SNAPSHOT`.
    pub fn has_moving_tag(&self) -> bool {
        self.tag()
            .is_some_and(|tag| tag == "latest" || tag.ends_with("-SNAPSHOT"))
    }
}

const WITH_REGISTRY: &str = "an image reference with its registry, like registry.example.com/team/shop:1.2; no registry \
     is assumed where none is written (images of Docker Hub begin with docker.io/)";
const HOST: &str =
    "the host of a registry: a name or address, with a port if it is not the usual one";
const PATH: &str = "the path of an image: lower-case letters, digits and single separators (. _ __ -) between them, \
     parts divided by /, 255 characters with the registry";
const TAG: &str = "an image tag: 1 to 128 letters, digits and _.-, first no . or -";
const VERSIONED: &str =
    "an image reference with a tag or a digest; no tag is assumed where none is written";

impl std::str::FromStr for ImageRef {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let colon = rest
            .rfind(':')
            .filter(|colon| rest.rfind('/').is_none_or(|slash| *colon > slash));
        let (name, tag) = match colon {
            // Without a slash it can be anything, and is no name with a registry.
            Some(colon) if rest.contains('/') => (&rest[..colon], Some(&rest[colon + 1..])),
            _ => (rest, None),
        };
        let name = name.parse()?;
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(InvalidValue::new(tag, TAG));
        }
        if tag.is_none() && digest.is_none() {
            return Err(InvalidValue::new(text, VERSIONED));
        }
        Ok(Self {
            name,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

impl std::fmt::Display for ImageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// The rule by which every container tool tells a registry from the first part of a path.
fn looks_like_a_host(first: &str) -> bool {
    first.contains(['.', ':']) || first.eq_ignore_ascii_case("localhost")
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':').or(Some(""))),
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host_is_fine = if text.starts_with('[') {
        host.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
    };
    let port_is_fine = port.is_none_or(|port| {
        port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    host_is_fine && port_is_fine
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, as the distribution specification writes it.
fn is_path_component(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separators: Vec<&str> = text
        .split(|c: char| c.is_ascii() && plain(c as u8))
        .filter(|between| !between.is_empty())
        .collect();
    text.bytes().next().is_some_and(plain)
        && text.bytes().last().is_some_and(plain)
        && separators
            .iter()
            .all(|s| matches!(*s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex() -> String {
        format!("sha256:{}", "0f".repeat(32))
    }

    #[test]
    fn references_are_taken_apart_once() {
        let digest = hex();
        for (text, registry, path, tag, has_digest) in [
            (
                "registry.example.com/team/shop:1.2",
                "registry.example.com",
                "team/shop",
                Some("1.2"),
                false,
            ),
            (
                "docker.io/library/nginx:latest",
                "docker.io",
                "library/nginx",
                Some("latest"),
                false,
            ),
            ("localhost/a:1", "localhost", "a", Some("1"), false),
            (
                "127.0.0.1:5000/a/b/c:x_Y-z.1",
                "127.0.0.1:5000",
                "a/b/c",
                Some("x_Y-z.1"),
                false,
            ),
            ("[::1]:5000/a:1", "[::1]:5000", "a", Some("1"), false),
            (
                "Registry.Example.COM:443/a__b/c-d:1",
                "registry.example.com:443",
                "a__b/c-d",
                Some("1"),
                false,
            ),
            (
                &format!("r.example/a@{digest}"),
                "r.example",
                "a",
                None,
                true,
            ),
            (
                &format!("r.example:80/a:1@{digest}"),
                "r.example:80",
                "a",
                Some("1"),
                true,
            ),
        ] {
            let image: ImageRef = text.parse().unwrap();
            assert_eq!(image.name().registry(), registry, "{text}");
            assert_eq!(image.name().path(), path, "{text}");
            assert_eq!(image.tag(), tag, "{text}");
            assert_eq!(image.digest().is_some(), has_digest, "{text}");
            assert_eq!(image.to_string().parse::<ImageRef>().unwrap(), image);
        }
    }

    #[test]
    fn what_is_refused_is_refused_for_its_reason() {
        let digest = hex();
        for (text, reason) in [
            ("", "with its registry"),
            ("nginx", "with its registry"),
            ("nginx:1.2", "with its registry"),
            ("team/shop:1.2", "with its registry"),
            (&format!("nginx@{digest}"), "with its registry"),
            ("registry.example.com", "with its registry"),
            ("registry.example.com:5000", "with its registry"),
            ("registry.example.com/team/shop", "with a tag or a digest"),
            ("https://registry.example.com/a:1", "host of a registry"),
            ("registry.example.com:port/a:1", "host of a registry"),
            ("registry.example.com:0/a:1", "host of a registry"),
            ("registry.example.com:+80/a:1", "host of a registry"),
            ("registry..example/a:1", "host of a registry"),
            ("-r.example/a:1", "host of a registry"),
            ("user@r.example/a:1", "content digest"),
            ("[::1/a:1", "host of a registry"),
            ("[::1]x/a:1", "host of a registry"),
            ("r.example//a:1", "path of an image"),
            ("r.example/A:1", "path of an image"),
            ("r.example/a..b:1", "path of an image"),
            ("r.example/a___b:1", "path of an image"),
            ("r.example/-a:1", "path of an image"),
            ("r.example/a/:1", "path of an image"),
            ("r.example/ä:1", "path of an image"),
            ("r.example/a/../b:1", "path of an image"),
            ("r.example/a:", "an image tag"),
            ("r.example/a:-x", "an image tag"),
            ("r.example/a:x y", "an image tag"),
            (&format!("r.example/a:{}", "t".repeat(129)), "an image tag"),
            (
                &format!("r.example/{}:1", "a".repeat(250)),
                "path of an image",
            ),
            ("r.example/a@sha256:123", "content digest"),
        ] {
            let error = text.parse::<ImageRef>().unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn tags_that_move_are_known() {
        for (tag, moving) in [
            ("latest", true),
            ("1.2-SNAPSHOT", true),
            ("1.2", false),
            ("latest-1", false),
            ("SNAPSHOT", false),
        ] {
            let image: ImageRef = format!("r.example/a:{tag}").parse().unwrap();
            assert_eq!(image.has_moving_tag(), moving, "{tag}");
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_is_printed_so_that_it_parses_again(
            text in r"[a-zA-Z0-9.:\[\]-]{1,12}/[a-z0-9._/-]{1,16}(:[A-Za-z0-9_.-]{1,6})?(@sha256:[0-9a-f]{64})?"
        ) {
            if let Ok(image) = text.parse::<ImageRef>() {
                let printed = image.to_string();
                prop_assert_eq!(printed.parse::<ImageRef>(), Ok(image));
            }
        }

        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,60}") {
            let _ = text.parse::<ImageRef>();
        }
    }
}
