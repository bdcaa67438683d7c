//! Writes the generated workloads that the shipped prior is learned from: a file of keys, 64-bit little-endian, for
//! each kind and draw. The arguments are a directory, accesses for each file, and draws of each kind.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use dice::Dice;
use workloads::KINDS;

mod dice;
mod workloads;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let numbers: Vec<usize> = arguments.iter().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let ([directory, ..], [accesses, draws]) = (&arguments[..], &numbers[..]) else {
        eprintln!("expected a directory, the accesses of each file, and the draws of each kind: DIRECTORY 200000 3");
        return ExitCode::from(2);
    };
    match write_all(Path::new(directory), *accesses, *draws) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &Path, accesses: usize, draws: usize) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (number, (kind, generate)) in KINDS.iter().enumerate() {
        for draw in 0..draws {
            let mut keys = generate(&mut Dice::new((number * 1000 + draw) as u64), accesses);
            keys.truncate(accesses);
            let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
            fs::write(directory.join(format!("{kind}-{draw}.keys64")), bytes)?;
        }
    }
    Ok(())
}
