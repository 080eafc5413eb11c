//! The published schemas are those of the types.

use windlass::api::{SchemaKind, schema};

/// `WINDLASS_UPDATE_SCHEMA=1 cargo test --test main api::schema` writes them.
#[test]
fn published_schemas_are_fresh() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schema");
    for (name, kind) in SchemaKind::ALL {
        let path = folder.join(format!("{name}.json"));
        let fresh = format!("{}\n", serde_json::to_string_pretty(&schema(kind)).unwrap());
        if std::env::var_os("WINDLASS_UPDATE_SCHEMA").is_some() {
            std::fs::write(&path, &fresh).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == fresh,
            "schema/{name}.json is not that of the types; write it with\n    WINDLASS_UPDATE_SCHEMA=1 cargo test --test main api::schema"
        );
    }
}

#[test]
fn names_are_known() {
    assert_eq!(SchemaKind::named("config"), Some(SchemaKind::Config));
    assert_eq!(SchemaKind::named("rollouts"), None);
}

#[test]
fn the_command_prints_them() {
    let text = windlass::cli::schema::text("rollout").unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), schema(SchemaKind::Rollout));
    let error = windlass::cli::schema::text("rolout").unwrap_err().to_string();
    assert_eq!(error, "there is no schema `rolout`; there are: rollout, repository, config, kruise-rollout, traffic-routing");
}
