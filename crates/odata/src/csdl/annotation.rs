//! Which annotations a model has (vocabularies Core and Capabilities), whatever the format.

use crate::Version;
use crate::edm::{
    ConformanceLevel, EntitySet, EntityType, FunctionImport, Model, Property, Tracking,
};

/// A vocabulary that terms are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vocabulary {
    pub(super) namespace: &'static str,
    pub(super) alias: &'static str,
    pub(super) url: &'static str,
}

pub(super) const CORE: Vocabulary = Vocabulary {
    namespace: "Org.OData.Core.V1",
    alias: "Core",
    url: "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Core.V1.xml",
};

pub(super) const CAPABILITIES: Vocabulary = Vocabulary {
    namespace: "Org.OData.Capabilities.V1",
    alias: "Capabilities",
    url: "https://oasis-tcs.github.io/odata-vocabularies/vocabularies/Org.OData.Capabilities.V1.xml",
};

/// Everything that a metadata document has to reference.
pub(super) const VOCABULARIES: [Vocabulary; 2] = [CORE, CAPABILITIES];

/// A term with its value.
#[derive(Clone, Debug)]
pub(super) struct Annotation<'a> {
    pub(super) vocabulary: Vocabulary,
    pub(super) term: &'static str,
    pub(super) value: Expression<'a>,
}

/// The value of an annotation or of a property inside it.
#[derive(Clone, Debug)]
pub(super) enum Expression<'a> {
    Bool(bool),
    String(&'a str),
    Strings(Vec<&'a str>),
    /// Type and member.
    EnumMember(&'static str, &'static str),
    PropertyPaths(Vec<&'a str>),
    NavigationPropertyPaths(Vec<&'a str>),
    Record(Vec<(&'static str, Expression<'a>)>),
}

use Expression as E;

fn core<'a>(term: &'static str, value: E<'a>) -> Annotation<'a> {
    Annotation {
        vocabulary: CORE,
        term,
        value,
    }
}

fn capability<'a>(term: &'static str, value: E<'a>) -> Annotation<'a> {
    Annotation {
        vocabulary: CAPABILITIES,
        term,
        value,
    }
}

/// What the whole service can do. Batch, asynchronous requests and deep updates are denied explicitly, because clients may assume
/// the first and would try the others.
pub(super) fn of_container(model: &Model, version: Version) -> Vec<Annotation<'_>> {
    let capabilities = model.capabilities();
    let level = match capabilities.conformance {
        ConformanceLevel::Minimal => "Minimal",
        ConformanceLevel::Intermediate => "Intermediate",
        ConformanceLevel::Advanced => "Advanced",
    };
    let formats = match version {
        Version::V4_0 => [
            "application/json;odata.metadata=minimal",
            "application/json;odata.metadata=full",
            "application/json;odata.metadata=none",
        ],
        Version::V4_01 => [
            "application/json;metadata=minimal",
            "application/json;metadata=full",
            "application/json;metadata=none",
        ],
    };
    let functions = capabilities.filter_functions.iter().map(String::as_str);
    let supported = |supported| ("Supported", E::Bool(supported));
    vec![
        core("ODataVersions", E::String("4.0 4.01")),
        core("ConventionalIDs", E::Bool(true)),
        core("DereferenceableIDs", E::Bool(true)),
        capability(
            "ConformanceLevel",
            E::EnumMember("ConformanceLevelType", level),
        ),
        capability("SupportedFormats", E::Strings(formats.to_vec())),
        capability(
            "SupportedMetadataFormats",
            E::Strings(vec!["application/xml", "application/json"]),
        ),
        capability("FilterFunctions", E::Strings(functions.collect())),
        capability(
            "KeyAsSegmentSupported",
            E::Bool(capabilities.key_as_segment),
        ),
        capability("QuerySegmentSupported", E::Bool(capabilities.query_segment)),
        capability("CrossJoinSupported", E::Bool(false)),
        capability("AsynchronousRequestsSupported", E::Bool(false)),
        capability("BatchSupported", E::Bool(false)),
        capability("BatchSupport", E::Record(vec![supported(false)])),
        capability(
            "DeepInsertSupport",
            E::Record(vec![
                supported(capabilities.deep_insert),
                ("ContentIDSupported", E::Bool(false)),
            ]),
        ),
        capability("DeepUpdateSupport", E::Record(vec![supported(false)])),
    ]
}

/// What can be done with an entity set.
pub(super) fn of_set<'a>(set: &'a EntitySet, ty: &'a EntityType) -> Vec<Annotation<'a>> {
    let mut annotations = Vec::new();
    let tracking = match &set.tracking {
        Tracking::Tracked => vec![
            ("Supported", E::Bool(true)),
            (
                "FilterableProperties",
                E::PropertyPaths(names(ty.properties()).collect()),
            ),
            ("ExpandableProperties", E::NavigationPropertyPaths(vec![])),
        ],
        Tracking::Untracked { reason } => {
            annotations.push(core("Description", E::String(reason)));
            vec![("Supported", E::Bool(false))]
        }
    };
    annotations.push(capability("ChangeTracking", E::Record(tracking)));
    annotations.push(capability("TopSupported", E::Bool(true)));
    annotations.push(capability("SkipSupported", E::Bool(true)));
    annotations.push(capability(
        "InsertRestrictions",
        E::Record(vec![("Insertable", E::Bool(set.insertable))]),
    ));
    annotations.push(capability(
        "UpdateRestrictions",
        E::Record(vec![
            ("Updatable", E::Bool(set.updatable)),
            ("Upsertable", E::Bool(set.updatable && set.insertable)),
            ("DeltaUpdateSupported", E::Bool(false)),
        ]),
    ));
    annotations.push(capability(
        "DeleteRestrictions",
        E::Record(vec![("Deletable", E::Bool(set.deletable))]),
    ));
    if set.requires_etag {
        // How the tag is computed is nobody's business, hence no properties.
        annotations.push(core("OptimisticConcurrency", E::PropertyPaths(vec![])));
    }
    annotations
}

/// What can be done with rows without a key.
pub(super) fn of_function_import(function: &FunctionImport) -> Vec<Annotation<'_>> {
    let description = function.description.as_deref();
    let description = description.map(|text| core("Description", E::String(text)));
    let tracking = E::Record(vec![("Supported", E::Bool(false))]);
    description
        .into_iter()
        .chain([capability("ChangeTracking", tracking)])
        .collect()
}

/// Who gives a property its value.
pub(super) fn of_property(property: &Property) -> Option<Annotation<'static>> {
    if property.computed {
        Some(core("Computed", E::Bool(true)))
    } else if property.has_default {
        Some(core("ComputedDefaultValue", E::Bool(true)))
    } else {
        None
    }
}

fn names(properties: &[Property]) -> impl Iterator<Item = &str> {
    properties.iter().map(|property| property.name.as_str())
}
