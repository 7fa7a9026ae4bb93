//! Every measurement runs to its end and prints its tables, however short it is.

use std::process::Command;

#[test]
fn every_measurement_runs() {
    let output = Command::new(env!("CARGO_BIN_EXE_sessile-peers"))
        .args(["all", "--rounds", "1", "--round-time", "5"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("### ").count(), 5, "{text}");
    assert!(!text.contains("NaN"), "{text}");
}
