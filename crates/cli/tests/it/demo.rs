//! `highwater demo`.

use crate::support::Lab;

#[test]
fn the_story_ends_well_and_leaves_nothing_behind() {
    let lab = Lab::new();
    let temporary = lab.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let output = lab
        .command(&["demo", "--once"])
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let story = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{story}\n{errors}");
    assert_eq!(errors, "");
    for part in [
        "GET /odata/Customers?$filter=Country eq 'Germany'",
        "Prefer: track-changes",
        "UPDATE Customers SET Balance",
        "\"reason\": \"changed\"",
        "\"reason\": \"deleted\"",
        "Yes: the copy of",
    ] {
        assert!(story.contains(part), "{part:?} is missing in\n{story}");
    }
    assert!(!story.contains("Now you"), "{story}");
    assert!(!story.contains('\x1b'), "colours without a terminal");
    // It belongs to the story that nothing of these two rows is reported.
    let delta = story
        .split("3. The client")
        .nth(1)
        .unwrap()
        .split("4. It follows")
        .next()
        .unwrap();
    let json = delta
        .split_once('{')
        .unwrap()
        .1
        .split_once("\n}")
        .unwrap()
        .0;
    assert!(!json.contains("C0004") && !json.contains("C0101"), "{json}");
    assert_eq!(
        std::fs::read_dir(&temporary).unwrap().count(),
        0,
        "the sample database is left over"
    );
}
