//! The services by which the plugin runs SQL inside the server (`mysql-headers/muster_sql.h`).

use super::Pair;

/// What MySQL's headers of services declare. Only the beginning of a service is declared by us: a longer one is the
/// same one.
pub const MYSQL_HEADS: &[Pair] = &[
    (
        "srv_session_service_st",
        "muster_mysql_session_service",
        &[
            ("init_session_thread", "init_thread"),
            ("deinit_session_thread", "deinit_thread"),
            ("open_session", "open"),
            ("detach_session", "detach"),
            ("close_session", "close"),
            ("server_is_available", "server_is_available"),
        ],
    ),
    (
        "srv_session_info_service_st",
        "muster_mysql_session_info_service",
        &[("get_thd", "get_thd")],
    ),
    (
        "security_context_service_st",
        "muster_mysql_security_service",
        &[
            ("thd_get_security_context", "thd_get"),
            ("thd_set_security_context", "thd_set"),
            ("security_context_create", "create"),
            ("security_context_destroy", "destroy"),
            ("security_context_copy", "copy"),
            ("security_context_lookup", "lookup"),
        ],
    ),
    (
        "COM_QUERY_DATA",
        "muster_mysql_com_query",
        &[
            ("query", "query"),
            ("length", "length"),
            ("parameters", "parameters"),
            ("parameter_count", "parameter_count"),
        ],
    ),
    (
        "plugin_registry_service_st",
        "muster_mysql_registry_service",
        &[
            ("mysql_plugin_registry_acquire_func", "acquire"),
            ("mysql_plugin_registry_release_func", "release"),
        ],
    ),
    (
        "SERVICE_TYPE_NO_CONST(registry)",
        "muster_mysql_registry",
        &[
            ("acquire", "acquire"),
            ("acquire_related", "acquire_related"),
            ("release", "release"),
        ],
    ),
    (
        "SERVICE_TYPE_NO_CONST(mysql_system_variable_reader)",
        "muster_mysql_variable_reader",
        &[("get", "get")],
    ),
    (
        "SERVICE_TYPE_NO_CONST(mysql_status_variable_string)",
        "muster_mysql_status_reader",
        &[("get", "get")],
    ),
    (
        "SERVICE_TYPE_NO_CONST(mysql_string_factory)",
        "muster_mysql_string_factory",
        &[("create", "create"), ("destroy", "destroy")],
    ),
    (
        "SERVICE_TYPE_NO_CONST(mysql_string_converter)",
        "muster_mysql_string_converter",
        &[
            ("convert_from_buffer", "convert_from_buffer"),
            ("convert_to_buffer", "convert_to_buffer"),
        ],
    ),
];

/// The same, of which the whole is declared by us.
pub const MYSQL_WHOLES: &[Pair] = &[
    (
        "st_send_field",
        "muster_mysql_send_field",
        &[
            ("db_name", "database"),
            ("table_name", "table"),
            ("org_table_name", "original_table"),
            ("col_name", "column"),
            ("org_col_name", "original_column"),
            ("length", "length"),
            ("charsetnr", "charset"),
            ("flags", "flags"),
            ("decimals", "decimals"),
            ("type", "type"),
        ],
    ),
    (
        "st_command_service_cbs",
        "muster_mysql_result_callbacks",
        &[
            ("start_result_metadata", "start_result_metadata"),
            ("field_metadata", "field_metadata"),
            ("end_result_metadata", "end_result_metadata"),
            ("start_row", "start_row"),
            ("end_row", "end_row"),
            ("abort_row", "abort_row"),
            ("get_client_capabilities", "get_client_capabilities"),
            ("get_null", "get_null"),
            ("get_integer", "get_integer"),
            ("get_longlong", "get_longlong"),
            ("get_decimal", "get_decimal"),
            ("get_double", "get_double"),
            ("get_date", "get_date"),
            ("get_time", "get_time"),
            ("get_datetime", "get_datetime"),
            ("get_string", "get_string"),
            ("handle_ok", "handle_ok"),
            ("handle_error", "handle_error"),
            ("shutdown", "shutdown"),
            ("connection_alive", "connection_alive"),
        ],
    ),
    (
        "command_service_st",
        "muster_mysql_command_service",
        &[("run_command", "run_command")],
    ),
];

/// What lies in the server's own `sql/replication.h`.
pub const MYSQL_SERVER: &[Pair] = &[(
    "Server_state_observer",
    "muster_mysql_server_state_observer",
    &[
        ("len", "length"),
        ("before_handle_connection", "before_handle_connection"),
        ("before_recovery", "before_recovery"),
        ("after_engine_recovery", "after_engine_recovery"),
        ("after_recovery", "after_recovery"),
        ("before_server_shutdown", "before_server_shutdown"),
        ("after_server_shutdown", "after_server_shutdown"),
    ],
)];

pub const MYSQL_CONSTANTS: &[(&str, &str)] = &[
    ("COM_QUERY", "MUSTER_MYSQL_COM_QUERY"),
    ("CS_TEXT_REPRESENTATION", "MUSTER_MYSQL_TEXT_RESULT"),
    // The server reads the whole union; ours must be as long.
    ("sizeof(COM_DATA) <= sizeof(muster_mysql_com_query)", "1"),
    // A service is taken if its major version is ours and its minor one at least ours.
    ("VERSION_srv_session_service", "0x0100"),
    ("VERSION_srv_session_info_service", "0x0100"),
    ("VERSION_command", "0x0100"),
    ("VERSION_security_context_service", "0x0101"),
    ("VERSION_plugin_registry_service", "0x0100"),
];

pub const MYSQL_INCLUDES: &str = "
#include \"mysql/com_data.h\"
#include \"mysql/service_srv_session.h\"
#include \"mysql/service_srv_session_info.h\"
#include \"mysql/service_security_context.h\"
#include \"mysql/service_command.h\"
#include \"mysql/service_plugin_registry.h\"
#include \"mysql/components/services/registry.h\"
#include \"mysql/components/services/mysql_system_variable.h\"
#include \"mysql/components/services/mysql_status_variable_reader.h\"
#include \"mysql/components/services/mysql_string.h\"
#include \"service_versions.h\"
";

/// MariaDB's `sql_service`: it grows at its end.
pub const MARIA_HEADS: &[Pair] = &[(
    "sql_service_st",
    "muster_maria_sql_service",
    &[
        ("mysql_init_func", "init"),
        ("mysql_real_connect_local_func", "real_connect_local"),
        ("mysql_errno_func", "error_number"),
        ("mysql_error_func", "error"),
        ("mysql_real_query_func", "real_query"),
        ("mysql_store_result_func", "store_result"),
        ("mysql_free_result_func", "free_result"),
        ("mysql_fetch_row_func", "fetch_row"),
        ("mysql_close_func", "close"),
        ("mysql_fetch_lengths_func", "fetch_lengths"),
        ("mysql_num_fields_func", "num_fields"),
        ("mysql_fetch_fields_func", "fetch_fields"),
    ],
)];

pub const MARIA_WHOLES: &[Pair] = &[(
    "MYSQL_FIELD",
    "muster_maria_field",
    &[("name", "name"), ("type", "type")],
)];

pub const MARIA_INCLUDES: &str = "#include <mysql.h>\n#include <mysql/service_sql.h>\n";
