//! Paths of organizational units.

/// The path of an organizational unit from the organization's root, `/Workloads/Test` for example; `/` is the
/// root itself. At most five levels (Organizations User Guide, "Quotas": OU maximum nesting), each name 1 to 128
/// characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitPath(String);

super::text_value!(
    UnitPath,
    "the path of an organizational unit: / or up to five names of 1 to 128 characters, each after a /, like \
     /Workloads/Test",
    |text| {
        text == "/"
            || text.strip_prefix('/').is_some_and(|rest| {
                rest.split('/').count() <= 5
                    && rest.split('/').all(|name| {
                        (1..=128).contains(&name.chars().count())
                            && name.trim() == name
                            && !name.chars().any(char::is_control)
                    })
            })
    }
);

impl UnitPath {
    /// The root of the organization.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The names from the root downwards; empty for the root.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// The path of a unit called `name` below this one. Not checked for depth: it names a unit that AWS has.
    pub fn child(&self, name: &str) -> Self {
        if self.0 == "/" {
            Self(format!("/{name}"))
        } else {
            Self(format!("{}/{name}", self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_at_the_root_and_have_five_levels_at_most() {
        for good in ["/", "/a", "/Workloads/Test", "/a/b/c/d/e", "/with space/x"] {
            assert!(good.parse::<UnitPath>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "/a/",
            "//",
            "/a//b",
            "/a/b/c/d/e/f",
            "/ a",
            &format!("/{}", "a".repeat(129)),
        ] {
            assert!(bad.parse::<UnitPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_child_is_one_level_below() {
        assert_eq!(UnitPath::root().child("a").as_str(), "/a");
        assert_eq!(UnitPath::root().child("a").child("b").as_str(), "/a/b");
        assert_eq!(
            UnitPath::root()
                .child("a")
                .child("b")
                .names()
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
    }
}
