use super::*;
use crate::cloud::ParentId;

#[tokio::test(start_paused = true)]
async fn names_are_unique_among_siblings_only() {
    let (sim, cloud) = organization(punctual());
    let root = cloud.units.root().await.unwrap();
    assert!(root.0.starts_with("r-"));
    let test = cloud
        .units
        .create_unit(&root, "Test", &tags(&[("a", "1")]))
        .await
        .unwrap();
    assert!(test.id.0.starts_with(&format!("ou-{}-", &root.0[2..])));
    let again = cloud
        .units
        .create_unit(&root, "Test", &Tags::new())
        .await
        .unwrap_err();
    assert_eq!(again.kind, ErrorKind::AlreadyExists);
    assert_eq!(again.code, "DuplicateOrganizationalUnitException");
    cloud
        .units
        .create_unit(&test.id, "Test", &Tags::new())
        .await
        .unwrap();
    assert_eq!(sim.unit_paths(), [path("/Test"), path("/Test/Test")]);
    assert_eq!(sim.unit_tags(&path("/Test")).unwrap(), tags(&[("a", "1")]));
    let listed = cloud.units.units_in(&root, None).await.unwrap();
    assert_eq!((listed.items, listed.next), (vec![test], None));
}

#[tokio::test(start_paused = true)]
async fn five_levels_are_the_limit() {
    let (sim, cloud) = organization(punctual());
    let fifth = sim.ensure_unit(&path("/1/2/3/4/5"));
    let sixth = cloud.units.create_unit(&fifth, "6", &Tags::new()).await;
    assert_eq!(reason(sixth), "OU_DEPTH_LIMIT_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn limits_and_bad_values_are_refused() {
    let (sim, cloud) = organization(Options {
        unit_limit: 1,
        ..punctual()
    });
    let root = sim.root_id();
    let none = ParentId("ou-none".into());
    let create = async |parent: &ParentId, name: &str| {
        cloud.units.create_unit(parent, name, &Tags::new()).await
    };
    assert_eq!(code(create(&none, "x").await), "ParentNotFoundException");
    assert_eq!(
        code(cloud.units.units_in(&none, None).await),
        "ParentNotFoundException"
    );
    assert_eq!(reason(create(&root, "").await), "MIN_LENGTH_EXCEEDED");
    assert_eq!(
        reason(create(&root, &"x".repeat(129)).await),
        "MAX_LENGTH_EXCEEDED"
    );
    create(&root, "x").await.unwrap();
    assert_eq!(reason(create(&root, "y").await), "OU_NUMBER_LIMIT_EXCEEDED");
}

#[tokio::test(start_paused = true)]
async fn units_come_in_pages_of_twenty() {
    let (sim, cloud) = organization(punctual());
    for n in 0..45 {
        sim.ensure_unit(&path(&format!("/u{n}")));
    }
    let root = sim.root_id();
    let (units, pages) = all(|page| cloud.units.units_in(&root, page)).await;
    assert_eq!((units.len(), pages), (45, 3));
}
