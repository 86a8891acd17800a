//! Objects found by what they say rather than by their name, so that a pass that wants a few of ten thousand looks at those
//! few. Kept by the kind's watch, beside its cache.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::Resource;
use kube::core::DeserializeGuard;

use super::record::Kind;

/// Under which keys an object is found.
pub type Keys<K> = fn(&K) -> Vec<String>;

type Held<K> = Arc<DeserializeGuard<K>>;

/// Objects by key, under each in the order of their namespaces and names. One that cannot be read has no keys.
#[derive(Debug)]
pub struct Index<K: Kind> {
    by: Vec<Keys<K>>,
    found: RwLock<HashMap<String, Vec<Held<K>>>>,
}

impl<K: Kind> Index<K> {
    /// An empty one.
    pub fn new(by: &[Keys<K>]) -> Self {
        Self {
            by: by.to_vec(),
            found: RwLock::default(),
        }
    }

    /// What is found under this key.
    pub fn find(&self, key: &str) -> Vec<Held<K>> {
        self.read().get(key).cloned().unwrap_or_default()
    }

    /// Enters that an object has changed, come or gone.
    pub(super) fn change(&self, before: Option<&Held<K>>, after: Option<&Held<K>>) {
        if self.by.is_empty() {
            return;
        }
        let mut found = self.write();
        if let Some(object) = before {
            for key in self.keys(object) {
                let Some(under) = found.get_mut(&key) else {
                    continue;
                };
                if let Ok(at) = search(under, object) {
                    under.remove(at);
                }
                if under.is_empty() {
                    found.remove(&key);
                }
            }
        }
        if let Some(object) = after {
            for key in self.keys(object) {
                let under = found.entry(key).or_default();
                match search(under, object) {
                    Ok(at) => under[at] = Arc::clone(object),
                    Err(at) => under.insert(at, Arc::clone(object)),
                }
            }
        }
    }

    /// Begins anew with these objects.
    pub(super) fn fill(&self, objects: &[Held<K>]) {
        if self.by.is_empty() {
            return;
        }
        let mut fresh: HashMap<String, Vec<Held<K>>> = HashMap::new();
        for object in objects {
            for key in self.keys(object) {
                fresh.entry(key).or_default().push(Arc::clone(object));
            }
        }
        for under in fresh.values_mut() {
            under.sort_by(|a, b| place(a).cmp(&place(b)));
        }
        *self.write() = fresh;
    }

    fn keys(&self, object: &Held<K>) -> Vec<String> {
        let readable = object.0.as_ref().ok();
        let keys = readable.map(|object| self.by.iter().flat_map(|keys| keys(object)));
        keys.into_iter().flatten().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Vec<Held<K>>>> {
        self.found.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Vec<Held<K>>>> {
        self.found.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place<K: Kind>(object: &DeserializeGuard<K>) -> (Option<&str>, Option<&str>) {
    let meta = object.meta();
    (meta.namespace.as_deref(), meta.name.as_deref())
}

fn search<K: Kind>(under: &[Held<K>], object: &Held<K>) -> Result<usize, usize> {
    under.binary_search_by(|one| place(one).cmp(&place(object)))
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use proptest::prelude::*;

    use super::*;
    use crate::api::{Approval, ApprovalSpec};

    fn approval(name: &str, release: &str) -> Held<Approval> {
        let spec = ApprovalSpec {
            release: release.to_owned(),
            digest: String::new(),
            type_: String::new(),
            approver: String::new(),
            comment: None,
        };
        let mut object = Approval::new(name, spec);
        object.metadata.namespace = Some("a".to_owned());
        Arc::new(DeserializeGuard(Ok(object)))
    }

    fn by_release(object: &Approval) -> Vec<String> {
        vec![object.spec.release.clone()]
    }

    proptest! {
        /// Whatever changes in whatever order: it finds what looking at all would.
        #[test]
        fn it_finds_what_looking_at_all_would(changes in prop::collection::vec((0..6_u8, 0..4_u8), 0..60), refill in 0..60_usize) {
            let index = Index::new(&[by_release as Keys<Approval>]);
            let mut all: HashMap<String, Held<Approval>> = HashMap::new();
            for (at, (name, release)) in changes.into_iter().enumerate() {
                let name = format!("n{name}");
                let before = all.remove(&name);
                // 3: it goes.
                let after = (release < 3).then(|| approval(&name, &format!("r{release}")));
                index.change(before.as_ref(), after.as_ref());
                all.extend(after.map(|after| (name, after)));
                if at == refill {
                    index.fill(&all.values().cloned().collect::<Vec<_>>());
                }
            }
            for release in ["r0", "r1", "r2"] {
                let of_it = |one: &&Held<Approval>| one.0.as_ref().unwrap().spec.release == release;
                let mut wanted: Vec<String> = all.values().filter(of_it).map(|one| one.name_any()).collect();
                wanted.sort();
                let found: Vec<String> = index.find(release).iter().map(|one| one.name_any()).collect();
                prop_assert_eq!(found, wanted);
            }
            prop_assert_eq!(index.read().values().map(Vec::len).sum::<usize>(), all.len());
        }
    }
}
