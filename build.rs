//! Builds the plugin: bindings, link flags and build id. Run for `plugin/` by Cargo (`build = "../build.rs"`).
//!
//! The bindings are checked in, so that no libclang is needed. Where one is found, they are generated again from
//! `mysql-headers/` and must be equal; `MUSTER_BINDINGS=write` writes them anew after a change of the headers.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

const HEADERS: &str = "../mysql-headers";
const BINDINGS: &str = "src/ffi/bindings.rs";

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
    println!("cargo::rerun-if-changed={HEADERS}");
    println!("cargo::rerun-if-changed={BINDINGS}");
    println!("cargo::rerun-if-env-changed=MUSTER_BINDINGS");
    println!("cargo::rerun-if-env-changed=LIBCLANG_PATH");
    check_bindings();
    link();
    build_id();
}

/// Regenerates the bindings where libclang can be loaded, and refuses to build on a difference.
fn check_bindings() {
    let write = env::var_os("MUSTER_BINDINGS").is_some_and(|value| value == "write");
    if !libclang_found() {
        assert!(
            !write,
            "MUSTER_BINDINGS=write needs libclang: set LIBCLANG_PATH to the folder that holds libclang.so"
        );
        return;
    }
    let fresh = bindgen::Builder::default()
        .header(format!("{HEADERS}/muster.h"))
        .allowlist_type("muster_.*")
        .allowlist_var("MUSTER_.*")
        .prepend_enum_name(false)
        .derive_copy(true)
        .derive_debug(false)
        .use_core()
        .layout_tests(true)
        .formatter(bindgen::Formatter::None)
        .disable_header_comment()
        .raw_line(
            "// Generated from mysql-headers/ by build.rs; MUSTER_BINDINGS=write writes it anew.",
        )
        .generate()
        .expect("mysql-headers/muster.h is valid C")
        .to_string();
    let path = Path::new(BINDINGS);
    if write {
        fs::write(path, &fresh).expect("plugin/src/ffi/bindings.rs can be written");
        return;
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    assert!(
        words(&stored) == words(&fresh),
        "plugin/src/ffi/bindings.rs is not what mysql-headers/ gives now: build once with MUSTER_BINDINGS=write"
    );
}

/// bindgen's text without layout, so that rustfmt may have run over the stored one.
fn words(text: &str) -> String {
    let mut out: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // rustfmt adds and removes trailing commas; they carry no meaning here.
    for (from, to) in [(",)", ")"), (",}", "}"), (",]", "]"), (",>", ">")] {
        out = out.replace(from, to);
    }
    out
}

/// Whether bindgen can load a libclang. It panics where it cannot, and that is no error of this build.
fn libclang_found() -> bool {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let found = panic::catch_unwind(bindgen::clang_version).is_ok();
    panic::set_hook(hook);
    found
}

/// Flags for `libmuster.so` alone.
fn link() {
    // Rust's thread locals crash a host thread that exits after dlclose, and a statement may still be inside a
    // table's fill function while it is uninstalled: the image stays for the life of the process.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // The server exports service pointers under the names of ours; ours must be the ones that we read.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,relro,-z,now");
    // The unwinder comes with the file, so that it needs nothing but the C library: `-lgcc_s`, which std asks for,
    // is answered by a linker script that names the static one.
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR"));
    fs::write(out.join("libgcc_s.so"), "GROUP ( -lgcc_eh -lgcc -lc )\n")
        .expect("OUT_DIR can be written");
    println!("cargo::rustc-cdylib-link-arg=-L{}", out.display());
}

/// `MUSTER_BUILD`: version and a hash of everything that the plugin is built from, so that a loaded file and the one
/// on disk can be told apart.
fn build_id() {
    let mut files = BTreeMap::new();
    for root in ["src", "../link/src", HEADERS] {
        println!("cargo::rerun-if-changed={root}");
        collect(Path::new(root), &mut files);
    }
    for file in ["Cargo.toml", "../Cargo.lock", "../Cargo.toml"] {
        println!("cargo::rerun-if-changed={file}");
        if let Ok(bytes) = fs::read(file) {
            files.insert(PathBuf::from(file), bytes);
        }
    }
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let profile = env::var("PROFILE").unwrap_or_default();
    for byte in files
        .iter()
        .flat_map(|(path, bytes)| path.as_os_str().as_encoded_bytes().iter().chain(bytes))
        .chain(profile.as_bytes())
    {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let version = env::var("CARGO_PKG_VERSION").expect("Cargo sets CARGO_PKG_VERSION");
    println!("cargo::rustc-env=MUSTER_BUILD={version}+{hash:016x}");
}

fn collect(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(bytes) = fs::read(&path) {
            files.insert(path, bytes);
        }
    }
}
