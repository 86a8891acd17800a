//! The health check for Argo CD in the docs, run by the Lua that Argo CD has, on what our objects look like.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use mlua::{Lua, Table, Value as LuaValue};
use serde_json::{Value, json};

/// The script, as a reader copies it.
fn script() -> String {
    let page = include_str!("../docs/argocd.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (manifest, _) = rest.split_once("```").unwrap();
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    let customizations = manifest["data"]["resource.customizations"]
        .as_str()
        .unwrap();
    let customizations: Value = serde_saphyr::from_str(customizations).unwrap();
    let health = &customizations["bailiwick.dev/*"];
    assert_eq!(health["health.lua.useOpenLibs"], false);
    health["health.lua"].as_str().unwrap().to_owned()
}

fn to_lua(lua: &Lua, value: &Value) -> LuaValue {
    match value {
        Value::Null => LuaValue::Nil,
        Value::Bool(it) => LuaValue::Boolean(*it),
        Value::Number(it) => LuaValue::Number(it.as_f64().unwrap()),
        Value::String(it) => LuaValue::String(lua.create_string(it).unwrap()),
        Value::Array(all) => {
            let all = all.iter().map(|it| to_lua(lua, it));
            LuaValue::Table(lua.create_sequence_from(all).unwrap())
        }
        Value::Object(all) => {
            let all = all.iter().map(|(key, it)| (key.as_str(), to_lua(lua, it)));
            LuaValue::Table(lua.create_table_from(all).unwrap())
        }
    }
}

fn health(object: &Value) -> (String, String) {
    let lua = Lua::new();
    lua.globals().set("obj", to_lua(&lua, object)).unwrap();
    let answer: Table = lua.load(script()).eval().unwrap();
    (
        answer.get("status").unwrap(),
        answer.get("message").unwrap(),
    )
}

fn object(generation: i64, observed: i64, conditions: &Value) -> Value {
    json!({
        "metadata": {"generation": generation}, "spec": {"className": "test"},
        "status": {"observedGeneration": observed, "conditions": conditions},
    })
}

#[test]
fn argo_cd_sees_what_kstatus_sees() {
    let condition = |type_: &str, status: &str| json!({"type": type_, "status": status, "reason": "Because", "message": "it is so"});
    let ready = json!([condition("Ready", "True")]);
    let working = json!([
        condition("Ready", "False"),
        condition("Reconciling", "True")
    ]);
    let stalled = json!([condition("Ready", "False"), condition("Stalled", "True")]);
    let mut suspended = object(2, 2, &stalled);
    suspended["spec"]["suspend"] = json!(true);
    let unseen =
        json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": -1}});
    let table = [
        (object(2, 2, &ready), "Healthy", "it is so"),
        (object(2, 1, &ready), "Progressing", "not looked at"),
        (object(2, 2, &working), "Progressing", "Because: it is so"),
        (object(2, 2, &stalled), "Degraded", "Because: it is so"),
        (object(2, 2, &json!([])), "Progressing", "at it"),
        (suspended, "Suspended", "suspend"),
        (unseen, "Progressing", "not looked at"),
        (
            json!({"metadata": {"generation": 1}, "spec": {}}),
            "Progressing",
            "not looked at",
        ),
    ];
    for (object, status, words) in table {
        let (found, message) = health(&object);
        assert_eq!(found, status, "{object}");
        assert!(message.contains(words), "{message}");
    }
}
