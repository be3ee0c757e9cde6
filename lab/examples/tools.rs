//! Fetches one of the tools and says where it is: `cargo run -p muster-lab --example tools -- nft|sysbench|libclang|mysql-headers|mariadb-headers`.

use muster_lab::progress::say;
use muster_lab::{Cache, Error, Result, tools};

fn main() {
    if let Err(error) = run() {
        say(&error.to_string());
        std::process::exit(1);
    }
}

fn run() -> Result<()> {
    let cache = Cache::open()?;
    for name in std::env::args().skip(1) {
        let place = match name.as_str() {
            "nft" => tools::nft(&cache)?.display().to_string(),
            "sysbench" => format!("{:?}", tools::sysbench(&cache)?),
            "libclang" => format!("{:?}", tools::libclang(&cache)?),
            "mysql-headers" => format!("{:?}", tools::mysql_headers(&cache)?),
            "mariadb-headers" => format!("{:?}", tools::mariadb_headers(&cache)?),
            other => return Err(Error::Missing(format!("there is no tool {other:?}"))),
        };
        say(&format!("{name}: {place}"));
    }
    Ok(())
}
