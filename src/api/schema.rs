//! JSON Schema of the documents, for editors and for the checker.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use super::document::{alpha, config, kruise, repository, shared, windlass};

/// A document that has a published schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// `windlass.dev/v1alpha1` Rollout.
    Rollout,
    /// `windlass.dev/v1alpha1` Repository.
    Repository,
    /// `windlass.dev/v1alpha1` Config.
    Config,
    /// `rollouts.kruise.io/v1beta1` Rollout.
    KruiseRollout,
    /// `windlass.dev/v1alpha1` TrafficRouting; that of `rollouts.kruise.io/v1alpha1` says the same.
    TrafficRouting,
}

impl SchemaKind {
    /// All of them, with the name by which `windlass schema` and the files in `schema/` know them.
    pub const ALL: [(&'static str, Self); 5] = [
        ("rollout", Self::Rollout),
        ("repository", Self::Repository),
        ("config", Self::Config),
        ("kruise-rollout", Self::KruiseRollout),
        ("traffic-routing", Self::TrafficRouting),
    ];

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }
}

/// The JSON Schema (2020-12) of a document.
pub fn schema(kind: SchemaKind) -> Value {
    let (schema, api_version, document) = match kind {
        SchemaKind::Rollout => (&*ROLLOUT, WINDLASS, "Rollout"),
        SchemaKind::Repository => (&*REPOSITORY, WINDLASS, "Repository"),
        SchemaKind::Config => (&*CONFIG, WINDLASS, "Config"),
        SchemaKind::KruiseRollout => (&*KRUISE, "rollouts.kruise.io/v1beta1", "Rollout"),
        SchemaKind::TrafficRouting => (&*TRAFFIC_ROUTING, WINDLASS, "TrafficRouting"),
    };
    let mut schema = schema.clone();
    for (pointer, constant) in [("/properties/apiVersion", api_version), ("/properties/kind", document)] {
        if let Some(Value::Object(property)) = schema.pointer_mut(pointer) {
            property.insert("const".to_owned(), Value::from(constant));
        }
    }
    schema
}

const WINDLASS: &str = "windlass.dev/v1alpha1";

pub(crate) static ROLLOUT: LazyLock<Value> = LazyLock::new(generate::<windlass::Rollout>);
pub(crate) static REPOSITORY: LazyLock<Value> = LazyLock::new(generate::<repository::Repository>);
pub(crate) static CONFIG: LazyLock<Value> = LazyLock::new(generate::<config::Config>);
pub(crate) static KRUISE: LazyLock<Value> = LazyLock::new(generate::<kruise::Rollout>);
pub(crate) static ALPHA: LazyLock<Value> = LazyLock::new(generate::<alpha::Rollout>);
pub(crate) static TRAFFIC_ROUTING: LazyLock<Value> = LazyLock::new(generate::<shared::TrafficRouting>);

fn generate<T: JsonSchema>() -> Value {
    let schema: Schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    schema.to_value()
}
