//! Validate: what the schema cannot say of a class.

use crate::api::{AccountClassSpec, CredentialsBucketSpec};
use crate::model::{AccountAlias, AccountName, BucketName, Region, RoleName, RootEmail, UnitPath};
use crate::plan::naming;

/// Whether every account of the class could be made: the templates are filled in with example values.
///
/// # Errors
/// Names the field, and what is wrong with it.
pub fn class(spec: &AccountClassSpec) -> Result<(), String> {
    let values = [
        ("team", "example"),
        ("account", "test"),
        ("purpose", "test"),
    ];
    let with_id = [
        values[0],
        values[1],
        values[2],
        ("account.id", "000000000000"),
    ];
    let fill = |field: &str, template: &str, values: &[(&str, &str)]| {
        naming::render(template, values).map_err(|error| format!("spec.{field}: {error}"))
    };
    let in_field = |field: &str, error: crate::model::InvalidValue| {
        format!("spec.{field}: filled in for team \"example\" and account \"test\", {error}")
    };
    fill("emailTemplate", &spec.email_template, &values)?
        .parse::<RootEmail>()
        .map_err(|error| in_field("emailTemplate", error))?;
    let distinct =
        spec.email_template.contains("{{team}}") && spec.email_template.contains("{{account}}");
    if !distinct {
        return Err("spec.emailTemplate: must contain {{team}} and {{account}}, since every account needs an address of \
                    its own"
            .to_owned());
    }
    fill("accountNameTemplate", &spec.account_name_template, &values)?
        .parse::<AccountName>()
        .map_err(|error| in_field("accountNameTemplate", error))?;
    if let Some(template) = &spec.alias_template {
        fill("aliasTemplate", template, &with_id)?
            .parse::<AccountAlias>()
            .map_err(|error| in_field("aliasTemplate", error))?;
    }
    let unit = |field: &str, path: &str| {
        path.parse::<UnitPath>()
            .map(drop)
            .map_err(|error| format!("spec.{field}: {error}"))
    };
    unit("organizationalUnitPath", &spec.organizational_unit_path)?;
    spec.access_role_name
        .parse::<RoleName>()
        .map_err(|error| format!("spec.accessRoleName: {error}"))?;
    for region in &spec.regions {
        region
            .parse::<Region>()
            .map_err(|error| format!("spec.regions: {error}"))?;
    }
    if let Some(bucket) = &spec.credentials_bucket {
        credentials_bucket(spec, bucket)?;
    }
    if let Some(quarantine) = &spec.quarantine {
        unit(
            "quarantine.organizationalUnitPath",
            &quarantine.organizational_unit_path,
        )?;
        if naming::duration(&quarantine.close_after).is_none() {
            return Err(format!(
                "spec.quarantine.closeAfter: {:?} is not a time like 30d or 12h",
                quarantine.close_after
            ));
        }
    }
    Ok(())
}
/// Whether a credentials bucket could be made in every account of the class.
fn credentials_bucket(
    spec: &AccountClassSpec,
    bucket: &CredentialsBucketSpec,
) -> Result<(), String> {
    let region = match &bucket.region {
        Some(region) if !spec.regions.contains(region) => {
            let message = format!(
                "spec.credentialsBucket.region: {region:?} is not one of spec.regions ({})",
                spec.regions.join(", ")
            );
            return Err(message);
        }
        Some(region) => region,
        None => spec.regions.first().ok_or(
            "spec.credentialsBucket: without spec.regions there is none for the bucket to be in",
        )?,
    };
    let values = [
        ("team", "example"),
        ("account", "test"),
        ("purpose", "test"),
        ("account.id", "000000000000"),
        ("region", region.as_str()),
    ];
    let template = &bucket.name_template;
    naming::render(template, &values)
        .map_err(|error| format!("spec.credentialsBucket.nameTemplate: {error}"))?
        .parse::<BucketName>()
        .map_err(|error| {
            format!(
                "spec.credentialsBucket.nameTemplate: filled in for team \"example\" and account \"test\", {error}"
            )
        })?;
    let distinct = template.contains("{{account.id}}")
        || (template.contains("{{team}}") && template.contains("{{account}}"));
    if !distinct {
        return Err(
            "spec.credentialsBucket.nameTemplate: must contain {{account.id}}, or {{team}} and {{account}}, since every \
             account needs a bucket of its own"
                .to_owned(),
        );
    }
    if let Some(key) = &bucket.kms_key_arn {
        naming::render(key, &values)
            .map_err(|error| format!("spec.credentialsBucket.kmsKeyArn: {error}"))?;
    }
    Ok(())
}
