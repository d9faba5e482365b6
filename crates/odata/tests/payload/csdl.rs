use highwater_odata::Version;
use highwater_odata::csdl::{json, xml};
use quick_xml::events::Event;

use crate::fixture;

fn xml_text(version: Version) -> String {
    String::from_utf8(xml::metadata_document(&fixture::model(), version)).unwrap()
}

fn json_text(version: Version) -> String {
    let bytes = json::metadata_document(&fixture::model(), version);
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn xml_has_everything() {
    insta::assert_snapshot!("xml_4_01", xml_text(Version::V4_01));
}

#[test]
fn json_has_everything() {
    insta::assert_snapshot!("json_4_01", json_text(Version::V4_01));
}

/// Item 99: the version is that of the response; besides it only the names of format parameters differ.
#[test]
fn the_versions_differ_in_their_number_and_the_media_types() {
    for (v4_0, v4_01) in [
        (xml_text(Version::V4_0), xml_text(Version::V4_01)),
        (json_text(Version::V4_0), json_text(Version::V4_01)),
    ] {
        let converted = v4_0
            .replace("odata.metadata=", "metadata=")
            .replace("Version=\"4.0\"", "Version=\"4.01\"")
            .replace("\"$Version\": \"4.0\"", "\"$Version\": \"4.01\"");
        assert_ne!(v4_0, v4_01);
        assert_eq!(converted, v4_01);
    }
}

#[test]
fn xml_is_well_formed() {
    let text = xml_text(Version::V4_01);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) => {
                depth += 1;
                tag.attributes().for_each(|attribute| {
                    attribute.unwrap();
                });
            }
            Event::End(_) => depth -= 1,
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    assert!(text.chars().all(|c| c >= ' ' || c == '\n'));
}
