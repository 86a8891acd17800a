//! Validate: what the schema cannot say of a class.

use crate::api::AccountClassSpec;
use crate::model::{AccountAlias, AccountName, Region, RoleName, RootEmail, UnitPath};
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
