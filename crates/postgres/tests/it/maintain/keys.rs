//! The rotation of keys.

use highwater_core::Store as _;

use super::served::Served;

#[tokio::test]
async fn one_node_makes_a_new_key_and_the_others_learn_of_it() {
    let mut served = Served::new();
    let (first, second) = (served.node().await, served.node().await);
    let keys = "SELECT count(*) FROM highwater.seal_key";
    for (age, expected) in [
        ("29 days", 1),
        ("2 days", 2),
        ("20 days", 2),
        ("11 days", 3),
    ] {
        let before = first.key_ring(false).await.unwrap().seal(b"a link");
        served.age(age);
        let (a, b) = tokio::join!(first.maintain_once(), second.maintain_once());
        a.unwrap();
        b.unwrap();
        assert_eq!(served.number(keys), expected, "after {age}");
        // Whichever made it, the other has it after its next round.
        for node in [&first, &second] {
            node.maintain_once().await.unwrap();
            let ring = node.key_ring(false).await.unwrap();
            assert_eq!(ring.open(&before).unwrap(), b"a link", "old links live on");
        }
        let [a, b] = [&first, &second].map(|node| node.key_ring(false));
        let (a, b) = (a.await.unwrap(), b.await.unwrap());
        assert_eq!(a.seal(b"x"), b.seal(b"x"));
    }
}

#[tokio::test]
async fn a_node_that_does_not_know_a_key_yet_can_ask_for_it() {
    let mut served = Served::new();
    let (first, second) = (served.node().await, served.node().await);
    served.age("31 days");
    first.maintain_once().await.unwrap();
    let sealed = first.key_ring(false).await.unwrap().seal(b"a link");
    assert!(second.key_ring(false).await.unwrap().open(&sealed).is_err());
    let ring = second.key_ring(true).await.unwrap();
    assert_eq!(ring.open(&sealed).unwrap(), b"a link");
}
