/*
 * The services by which a plugin runs SQL inside the server, without a connection of its own.
 *
 * Both servers hand them out the same way: the plugin exports a pointer under the service's name that holds the
 * version it wants, and the server replaces it by the address of the service when it opens the file. A service is a
 * table of function pointers; the first members of one never change, new ones come at its end.
 */
#ifndef MUSTER_SQL_H
#define MUSTER_SQL_H

/* The C++ `bool` of the server, also where this is read as C++. */
#ifdef __cplusplus
typedef bool muster_bool;
#else
typedef _Bool muster_bool;
#endif

/* MySQL: srv_session_service, version 1.0 */
struct muster_mysql_session_service {
  int (*init_thread)(const void *plugin);
  void (*deinit_thread)(void);
  void *(*open)(void (*error)(void *context, unsigned int code, const char *text), void *context);
  int (*detach)(void *session);
  int (*close)(void *session);
  int (*server_is_available)(void);
};

/* MySQL: srv_session_info_service, version 1.0; only its first member is declared. */
struct muster_mysql_session_info_service {
  void *(*get_thd)(void *session);
};

/* MySQL: security_context_service, version 1.1; its beginning. Each returns 0 for done. */
struct muster_mysql_security_service {
  signed char (*thd_get)(void *thd, void **context);
  signed char (*thd_set)(void *thd, void *context);
  signed char (*create)(void **context);
  signed char (*destroy)(void *context);
  signed char (*copy)(void *context, void **copied);
  signed char (*lookup)(void *context, const char *user, const char *host, const char *ip, const char *database);
};

/* MySQL: the member for COM_QUERY of union COM_DATA, with room for its largest member. */
struct muster_mysql_com_query {
  const char *query;
  unsigned int length;
  void *parameters;
  unsigned long parameter_count;
  unsigned char has_new_types;
  unsigned char room[128];
};

enum {
  MUSTER_MYSQL_COM_QUERY = 3,
  MUSTER_MYSQL_TEXT_RESULT = 1
};

/* MySQL: st_send_field, what is known of one column of a result */
struct muster_mysql_send_field {
  const char *database;
  const char *table;
  const char *original_table;
  const char *column;
  const char *original_column;
  unsigned long length;
  unsigned int charset;
  unsigned int flags;
  unsigned int decimals;
  int type;
};

/* MySQL: st_command_service_cbs, what the server calls while it sends a result */
struct muster_mysql_result_callbacks {
  int (*start_result_metadata)(void *context, unsigned int columns, unsigned int flags, const void *charset);
  int (*field_metadata)(void *context, struct muster_mysql_send_field *field, const void *charset);
  int (*end_result_metadata)(void *context, unsigned int status, unsigned int warnings);
  int (*start_row)(void *context);
  int (*end_row)(void *context);
  void (*abort_row)(void *context);
  unsigned long (*get_client_capabilities)(void *context);
  int (*get_null)(void *context);
  int (*get_integer)(void *context, long long value);
  int (*get_longlong)(void *context, long long value, unsigned int is_unsigned);
  int (*get_decimal)(void *context, const void *value);
  int (*get_double)(void *context, double value, unsigned int decimals);
  int (*get_date)(void *context, const void *value);
  int (*get_time)(void *context, const void *value, unsigned int decimals);
  int (*get_datetime)(void *context, const void *value, unsigned int decimals);
  int (*get_string)(void *context, const char *value, unsigned long length, const void *charset);
  void (*handle_ok)(void *context, unsigned int status, unsigned int warnings, unsigned long long affected,
                    unsigned long long last_insert_id, const char *message);
  void (*handle_error)(void *context, unsigned int code, const char *text, const char *sqlstate);
  void (*shutdown)(void *context, int flag);
  muster_bool (*connection_alive)(void *context);
};

/* MySQL: command_service, version 1.0 */
struct muster_mysql_command_service {
  int (*run_command)(void *session, int command, const struct muster_mysql_com_query *data, const void *charset,
                     const struct muster_mysql_result_callbacks *callbacks, int representation, void *context);
};

/* MySQL: plugin_registry_service, version 1.0 */
struct muster_mysql_registry_service {
  void *(*acquire)(void);
  int (*release)(void *registry);
};

/* MySQL: the component service "registry" */
struct muster_mysql_registry {
  muster_bool (*acquire)(const char *name, void **service);
  muster_bool (*acquire_related)(const char *name, void *service, void **related);
  muster_bool (*release)(void *service);
};

/* MySQL: the component service "mysql_system_variable_reader" */
struct muster_mysql_variable_reader {
  muster_bool (*get)(void *thd, const char *scope, const char *component, const char *name, void **buffer,
               unsigned long *length);
};

/* MySQL: the component service "mysql_status_variable_string" */
struct muster_mysql_status_reader {
  muster_bool (*get)(void *thd, const char *name, muster_bool global, void **string);
};

/* MySQL: the component service "mysql_string_factory" */
struct muster_mysql_string_factory {
  muster_bool (*create)(void **string);
  void (*destroy)(void *string);
};

/* MySQL: the component service "mysql_string_converter" */
struct muster_mysql_string_converter {
  muster_bool (*convert_from_buffer)(void **string, const char *buffer, unsigned long length, const char *charset);
  muster_bool (*convert_to_buffer)(void *string, char *buffer, unsigned long length, const char *charset);
};

/* MySQL: Server_state_observer, what the server calls in the course of its life */
struct muster_mysql_server_state_observer {
  unsigned int length;
  int (*before_handle_connection)(void *param);
  int (*before_recovery)(void *param);
  int (*after_engine_recovery)(void *param);
  int (*after_recovery)(void *param);
  int (*before_server_shutdown)(void *param);
  int (*after_server_shutdown)(void *param);
  int (*after_dd_upgrade)(void *param);
};

/* MariaDB: MYSQL_FIELD */
struct muster_maria_field {
  const char *name;
  const char *texts[6];
  unsigned long lengths[2];
  unsigned int numbers[10];
  int type;
  void *extension;
};

/*
 * MariaDB: sql_service, versions 1.0 and 1.1. Later releases give real_connect_local more parameters (host, user,
 * database, flags): null and zero mean there what their absence means here, so they are always passed.
 */
struct muster_maria_sql_service {
  void *(*init)(void *connection);
  void *(*real_connect_local)(void *connection, const char *host, const char *user, const char *database,
                              unsigned long flags);
  void *real_connect;
  unsigned int (*error_number)(void *connection);
  const char *(*error)(void *connection);
  int (*real_query)(void *connection, const char *query, unsigned long length);
  void *affected_rows;
  void *num_rows;
  void *(*store_result)(void *connection);
  void (*free_result)(void *result);
  const char **(*fetch_row)(void *result);
  void (*close)(void *connection);
  void *options;
  unsigned long *(*fetch_lengths)(void *result);
  void *set_character_set;
  unsigned int (*num_fields)(void *result);
  void *select_db;
  void *use_result;
  const struct muster_maria_field *(*fetch_fields)(void *result);
};

#endif
