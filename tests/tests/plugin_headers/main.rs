//! Compares every size and offset that `mysql-headers/` declares with the servers' own headers.
//!
//! One C++ program per server includes both and prints pairs of numbers. What the archive's packages do not hold
//! cannot be compared here and is noted; at run time the plugin checks it all the same before it believes it.

#![allow(clippy::unwrap_used)]

mod services;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use muster_lab::cache::workspace_root;
use muster_lab::{Cache, not_run, or_not_run, tools};

/// `theirs, ours, [(their member, our member)]`; an empty list compares sizes alone.
type Pair = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const MYSQL_PLUGIN: &[Pair] = &[
    (
        "st_mysql_plugin",
        "muster_mysql_plugin",
        &[
            ("type", "type"),
            ("info", "info"),
            ("name", "name"),
            ("author", "author"),
            ("descr", "descr"),
            ("license", "license"),
            ("init", "init"),
            ("check_uninstall", "check_uninstall"),
            ("deinit", "deinit"),
            ("version", "version"),
            ("status_vars", "status_vars"),
            ("system_vars", "system_vars"),
            ("__reserved1", "reserved"),
            ("flags", "flags"),
        ],
    ),
    (
        "SHOW_VAR",
        "muster_show_var",
        &[
            ("name", "name"),
            ("value", "value"),
            ("type", "type"),
            ("scope", "scope"),
        ],
    ),
    (
        "Their_str",
        "muster_sys_var_str",
        &[
            ("flags", "head.flags"),
            ("name", "head.name"),
            ("comment", "head.comment"),
            ("check", "head.check"),
            ("update", "head.update"),
            ("value", "value"),
            ("def_val", "def"),
        ],
    ),
    (
        "Their_uint",
        "muster_sys_var_uint",
        &[
            ("value", "value"),
            ("def_val", "def"),
            ("min_val", "min"),
            ("max_val", "max"),
            ("blk_sz", "block"),
        ],
    ),
    (
        "struct my_plugin_log_service",
        "muster_mysql_log_service",
        &[("my_plugin_log_message", "message")],
    ),
    (
        "my_timeval",
        "muster_mysql_timeval",
        &[("m_tv_sec", "seconds"), ("m_tv_usec", "microseconds")],
    ),
];

const MYSQL_SERVER: &[Pair] = &[
    (
        "ST_FIELD_INFO",
        "muster_mysql_field_info",
        &[
            ("field_name", "field_name"),
            ("field_length", "field_length"),
            ("field_type", "field_type"),
            ("value", "value"),
            ("field_flags", "field_flags"),
            ("old_name", "old_name"),
            ("open_method", "open_method"),
        ],
    ),
    (
        "ST_SCHEMA_TABLE",
        "muster_mysql_schema_table",
        &[
            ("table_name", "table_name"),
            ("fields_info", "fields_info"),
            ("fill_table", "fill_table"),
            ("old_format", "old_format"),
            ("process_table", "process_table"),
            ("hidden", "hidden"),
        ],
    ),
    (
        "Field_iterator_table",
        "muster_field_iterator",
        &[("ptr", "field")],
    ),
];

/// Only the head of these is declared, so their sizes differ.
const MYSQL_HEADS: &[Pair] = &[
    (
        "st_plugin_int",
        "muster_mysql_plugin_int",
        &[
            ("name.str", "name"),
            ("name.length", "name_length"),
            ("plugin", "plugin"),
            ("plugin_dl", "plugin_dl"),
            ("state", "state"),
            ("ref_count", "ref_count"),
            ("data", "data"),
        ],
    ),
    ("Field", "muster_field_head", &[("ptr", "ptr")]),
];

const MARIA_PLUGIN: &[Pair] = &[
    (
        "st_maria_plugin",
        "muster_maria_plugin",
        &[
            ("type", "type"),
            ("info", "info"),
            ("name", "name"),
            ("author", "author"),
            ("descr", "descr"),
            ("license", "license"),
            ("init", "init"),
            ("deinit", "deinit"),
            ("version", "version"),
            ("status_vars", "status_vars"),
            ("system_vars", "system_vars"),
            ("version_info", "version_info"),
            ("maturity", "maturity"),
        ],
    ),
    (
        "st_mysql_show_var",
        "muster_show_var",
        &[("name", "name"), ("value", "value"), ("type", "type")],
    ),
    (
        "Their_str",
        "muster_sys_var_str",
        &[
            ("flags", "head.flags"),
            ("value", "value"),
            ("def_val", "def"),
        ],
    ),
    (
        "Their_uint",
        "muster_sys_var_uint",
        &[
            ("update", "head.update"),
            ("value", "value"),
            ("def_val", "def"),
            ("min_val", "min"),
            ("max_val", "max"),
            ("blk_sz", "block"),
        ],
    ),
    (
        "st_mysql_daemon",
        "muster_info",
        &[("interface_version", "interface_version")],
    ),
];

/// Constants: theirs, ours.
const MYSQL_CONSTANTS: &[(&str, &str)] = &[
    ("MYSQL_DAEMON_PLUGIN", "MUSTER_PLUGIN_DAEMON"),
    (
        "MYSQL_INFORMATION_SCHEMA_PLUGIN",
        "MUSTER_PLUGIN_INFORMATION_SCHEMA",
    ),
    ("PLUGIN_LICENSE_GPL", "MUSTER_LICENSE_GPL"),
    ("PLUGIN_VAR_INT", "MUSTER_VAR_INT"),
    ("PLUGIN_VAR_STR", "MUSTER_VAR_STR"),
    ("PLUGIN_VAR_UNSIGNED", "MUSTER_VAR_UNSIGNED"),
    ("PLUGIN_VAR_READONLY", "MUSTER_VAR_READONLY"),
    ("PLUGIN_VAR_RQCMDARG", "MUSTER_VAR_RQCMDARG"),
    ("SHOW_LONGLONG", "MUSTER_SHOW_LONGLONG"),
    ("SHOW_CHAR", "MUSTER_SHOW_CHAR"),
    ("SHOW_FUNC", "MUSTER_SHOW_FUNC_MYSQL"),
    ("SHOW_SCOPE_GLOBAL", "MUSTER_SHOW_SCOPE_GLOBAL"),
    ("MY_ERROR_LEVEL", "MUSTER_MYSQL_LOG_ERROR"),
    ("MY_WARNING_LEVEL", "MUSTER_MYSQL_LOG_WARNING"),
    ("MY_INFORMATION_LEVEL", "MUSTER_MYSQL_LOG_NOTE"),
    ("MYSQL_TYPE_LONG", "MUSTER_MYSQL_TYPE_LONG"),
    ("MYSQL_TYPE_DOUBLE", "MUSTER_MYSQL_TYPE_DOUBLE"),
    ("MYSQL_TYPE_LONGLONG", "MUSTER_MYSQL_TYPE_LONGLONG"),
    ("MYSQL_TYPE_DATETIME", "MUSTER_MYSQL_TYPE_DATETIME"),
    ("MYSQL_TYPE_STRING", "MUSTER_MYSQL_TYPE_STRING"),
];

const MYSQL_SERVER_CONSTANTS: &[(&str, &str)] = &[
    ("MY_I_S_MAYBE_NULL", "MUSTER_MYSQL_MAYBE_NULL"),
    ("MY_I_S_UNSIGNED", "MUSTER_MYSQL_UNSIGNED"),
];

const MARIA_CONSTANTS: &[(&str, &str)] = &[
    ("MYSQL_DAEMON_PLUGIN", "MUSTER_PLUGIN_DAEMON"),
    (
        "MYSQL_INFORMATION_SCHEMA_PLUGIN",
        "MUSTER_PLUGIN_INFORMATION_SCHEMA",
    ),
    ("PLUGIN_LICENSE_GPL", "MUSTER_LICENSE_GPL"),
    ("PLUGIN_VAR_INT", "MUSTER_VAR_INT"),
    ("PLUGIN_VAR_STR", "MUSTER_VAR_STR"),
    ("PLUGIN_VAR_UNSIGNED", "MUSTER_VAR_UNSIGNED"),
    ("PLUGIN_VAR_READONLY", "MUSTER_VAR_READONLY"),
    ("SHOW_LONGLONG", "MUSTER_SHOW_LONGLONG"),
    ("SHOW_CHAR", "MUSTER_SHOW_CHAR"),
    ("SHOW_SIMPLE_FUNC", "MUSTER_SHOW_FUNC_MARIA"),
    (
        "MariaDB_PLUGIN_MATURITY_GAMMA",
        "MUSTER_MARIA_MATURITY_GAMMA",
    ),
    (
        "MariaDB_PLUGIN_MATURITY_STABLE",
        "MUSTER_MARIA_MATURITY_STABLE",
    ),
];

/// A system variable declared with the server's own macros, as a type of its own.
const THEIR_VARIABLES: &str = "
static char *text_value; static unsigned int number_value;
MYSQL_SYSVAR_STR(text, text_value, PLUGIN_VAR_READONLY, \"\", nullptr, nullptr, nullptr);
MYSQL_SYSVAR_UINT(number, number_value, 0, \"\", nullptr, nullptr, 1, 0, 2, 0);
typedef decltype(mysql_sysvar_text) Their_str;
typedef decltype(mysql_sysvar_number) Their_uint;
";

/// Headers that a build of MySQL generates or brings along, and of which nothing is compared.
const STAND_INS: &[(&str, &str)] = &[
    ("mysqld_error.h", ""),
    (
        "rapidjson/fwd.h",
        "namespace rapidjson {
        template <typename> struct UTF8; class CrtAllocator; template <typename> class MemoryPoolAllocator;
        template <typename, typename> class GenericStringBuffer;
        template <typename, typename, typename, typename, unsigned> class PrettyWriter;
        template <typename, typename, typename, typename, unsigned> class Writer;
        template <typename, typename> class GenericValue;
        template <typename, typename, typename> class GenericDocument; }\n",
    ),
];

fn program(
    includes: &str,
    sizes: &[&[Pair]],
    heads: &[Pair],
    constants: &[&[(&str, &str)]],
) -> String {
    let mut lines = String::new();
    let mut offsets = |pairs: &[Pair], with_size: bool| {
        for (theirs, ours, members) in pairs {
            if with_size {
                lines += &format!("  P(\"{theirs}\", sizeof({theirs}), sizeof({ours}));\n");
            }
            for (their, our) in *members {
                lines += &format!(
                    "  P(\"{theirs}.{their}\", offsetof({theirs}, {their}), offsetof({ours}, {our}));\n"
                );
            }
        }
    };
    for pairs in sizes {
        offsets(pairs, true);
    }
    offsets(heads, false);
    for (their, our) in constants.iter().copied().flatten() {
        lines += &format!("  P(\"{their}\", (size_t)({their}), (size_t)({our}));\n");
    }
    format!(
        "#include <cstddef>\n#include <cstdio>\n#include <cstdint>\n{includes}\nextern \"C\" {{\n#include \"muster.h\"\n}}\n\
         static void P(const char *what, size_t theirs, size_t ours) {{ printf(\"%s\\t%zu\\t%zu\\n\", what, theirs, ours); }}\n\
         int main() {{\n{lines}}}\n"
    )
}

/// Compiles and runs; the compiler's first error where it does not compile.
fn run(
    folder: &Path,
    source: &str,
    include: &[PathBuf],
) -> Result<Vec<(String, u64, u64)>, String> {
    let (file, binary) = (folder.join("offsets.cc"), folder.join("offsets.out"));
    fs::write(&file, source).unwrap();
    let mut compiler = Command::new("c++");
    compiler.args([
        "-std=c++20",
        "-w",
        "-Wno-invalid-offsetof",
        "-fno-access-control",
        "-o",
    ]);
    compiler.arg(&binary).arg(&file);
    for path in include {
        compiler.arg("-I").arg(path);
    }
    let output = compiler.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = text
            .lines()
            .find(|line| line.contains("error"))
            .unwrap_or("no message");
        return Err(error.to_owned());
    }
    let output = Command::new(&binary).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Ok(text
        .lines()
        .map(|line| {
            let mut parts = line.split('\t');
            let mut next = || parts.next().unwrap();
            (
                next().to_owned(),
                next().parse().unwrap(),
                next().parse().unwrap(),
            )
        })
        .collect())
}

fn compare(what: &str, version: &str, found: &[(String, u64, u64)]) {
    let wrong: Vec<_> = found
        .iter()
        .filter(|(_, theirs, ours)| theirs != ours)
        .collect();
    assert!(
        wrong.is_empty(),
        "{what} {version}: (what, theirs, ours): {wrong:?}"
    );
    assert!(
        found.len() > 7,
        "{what} {version}: only {} numbers",
        found.len()
    );
    eprintln!(
        "{what} {version}: {} sizes, offsets and constants are equal",
        found.len()
    );
}

#[test]
fn declarations_fit_mysql() {
    let test = "declarations_fit_mysql";
    if tools::on_path("c++").is_none() {
        return not_run::skip(
            test,
            "no C++ compiler; at run time the plugin checks layouts itself",
        );
    }
    let (version, headers) = or_not_run!(
        test,
        tools::mysql_headers(&or_not_run!(test, Cache::open()))
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in STAND_INS {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let include = [
        folder.path().to_path_buf(),
        workspace_root().join("mysql-headers"),
        headers.join("builddir/include"),
        headers.join("include"),
        headers.clone(),
        headers.join("sql"),
        headers.join("libs"),
    ];
    let plugin = format!(
        "#include \"my_config.h\"\n#include \"my_inttypes.h\"\n#include \"my_time_t.h\"\n#include \"mysql/plugin.h\"\n\
         #include \"mysql/service_my_plugin_log.h\"\n#include \"field_types.h\"\n{THEIR_VARIABLES}"
    );
    let public = program(&plugin, &[MYSQL_PLUGIN], &[], &[MYSQL_CONSTANTS]);
    match run(folder.path(), &public, &include) {
        Ok(found) => compare("mysql/plugin.h of MySQL", &version, &found),
        Err(error) => panic!("MySQL {version}: its plugin headers do not compile here: {error}"),
    }
    let all = format!("{plugin}{}", services::MYSQL_INCLUDES);
    let source = program(
        &all,
        &[services::MYSQL_WHOLES],
        services::MYSQL_HEADS,
        &[services::MYSQL_CONSTANTS],
    );
    match run(folder.path(), &source, &include) {
        Ok(found) => compare("the services of MySQL", &version, &found),
        Err(error) => {
            panic!("MySQL {version}: its headers of services do not compile here: {error}")
        }
    }
    let source = program(
        &format!("{plugin}#include \"sql/replication.h\"\n"),
        &[services::MYSQL_SERVER],
        &[],
        &[],
    );
    match run(folder.path(), &source, &include) {
        Ok(found) => compare("sql/replication.h of MySQL", &version, &found),
        Err(error) => not_run::note(
            test,
            format!(
                "Server_state_observer of MySQL {version} was not compared, because its header does not compile alone \
                 ({error}); the tests of SHUTDOWN on a real server use it"
            ),
        ),
    }
    let server = format!(
        "{plugin}#include \"sql/table.h\"\n#include \"sql/field.h\"\n#include \"sql/sql_plugin_ref.h\"\n"
    );
    let server = program(
        &server,
        &[MYSQL_SERVER],
        MYSQL_HEADS,
        &[MYSQL_SERVER_CONSTANTS],
    );
    match run(folder.path(), &server, &include) {
        Ok(found) => compare(
            "sql/table.h, sql/field.h and sql/sql_plugin_ref.h of MySQL",
            &version,
            &found,
        ),
        Err(error) => not_run::note(
            test,
            format!(
                "ST_FIELD_INFO, ST_SCHEMA_TABLE, st_plugin_int, Field and Field_iterator_table of MySQL {version} were not \
                 compared, because the server's own headers do not compile alone ({error}); INSTALL PLUGIN checks them"
            ),
        ),
    }
}

#[test]
fn declarations_fit_mariadb() {
    let test = "declarations_fit_mariadb";
    if tools::on_path("c++").is_none() {
        return not_run::skip(
            test,
            "no C++ compiler; at run time the plugin checks layouts itself",
        );
    }
    let (version, headers) = or_not_run!(
        test,
        tools::mariadb_headers(&or_not_run!(test, Cache::open()))
    );
    let folder = tempfile::tempdir().unwrap();
    let include = [workspace_root().join("mysql-headers"), headers.clone()];
    let plugin = format!("#include <my_global.h>\n#include <mysql/plugin.h>\n{THEIR_VARIABLES}");
    let source = program(&plugin, &[MARIA_PLUGIN], &[], &[MARIA_CONSTANTS]);
    match run(folder.path(), &source, &include) {
        Ok(found) => compare("mysql/plugin.h of MariaDB", &version, &found),
        Err(error) => panic!("MariaDB {version}: its plugin headers do not compile here: {error}"),
    }
    let source = program(
        &format!("#include <my_global.h>\n{}", services::MARIA_INCLUDES),
        &[services::MARIA_WHOLES],
        services::MARIA_HEADS,
        &[],
    );
    match run(folder.path(), &source, &include) {
        Ok(found) => compare("sql_service of MariaDB", &version, &found),
        Err(error) => {
            panic!("MariaDB {version}: its header of sql_service does not compile here: {error}")
        }
    }
    not_run::note(
        test,
        "ST_FIELD_INFO, ST_SCHEMA_TABLE, Field and Field_iterator_table of MariaDB were not compared: no package holds \
         their headers; INSTALL PLUGIN and the first read of a table check them",
    );
}
