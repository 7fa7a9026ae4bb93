//! Writes a corpus to begin with for each target: `corpus <folder>` makes `<folder>/<target>/`.

use std::{fs, io, path::PathBuf};

use sessile_fuzz_targets::{all, corpus};

fn main() -> io::Result<()> {
    let folder: PathBuf = std::env::args_os().nth(1).unwrap_or_else(|| "corpus".into()).into();
    for target in all() {
        let folder = folder.join(target.name());
        fs::create_dir_all(&folder)?;
        for (index, script) in corpus(&*target).iter().enumerate() {
            fs::write(folder.join(format!("sample-{index:02}")), script)?;
        }
    }
    Ok(())
}
