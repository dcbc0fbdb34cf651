//! What a server remembers outside the database is not lost without a word.

use crate::{assert_content, busy, restart};

#[tokio::test]
async fn a_lost_file_of_the_memory_is_told_and_recorded() {
    for spoil in ["removed", "emptied"] {
        let (mut jeton, _) = busy().await;
        jeton.terminate().await;
        let file = jeton.data_dir().join("audit-end.json");
        match spoil {
            "removed" => std::fs::remove_file(&file).unwrap(),
            _ => std::fs::write(&file, "").unwrap(),
        }
        let jeton = restart(jeton).await;
        assert!(
            jeton.log().contains("audit-end.json"),
            "{spoil}: {}",
            jeton.log()
        );
        let told = ["audit", "list", "--kind", "audit.checkpoint_adopted"];
        let told = jeton.json(&told).await;
        assert_eq!(
            told[0]["detail"]["lost"], "audit-end.json",
            "{spoil}: {told}"
        );
        assert_content(&jeton).await;
    }
}
