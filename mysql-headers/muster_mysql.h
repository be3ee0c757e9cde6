/* MySQL 8.0, 8.4 and 9.x, x86-64. See muster_common.h. */
#ifndef MUSTER_MYSQL_H
#define MUSTER_MYSQL_H

#include "muster_common.h"

/* struct st_mysql_plugin */
struct muster_mysql_plugin {
  int type;
  void *info;
  const char *name;
  const char *author;
  const char *descr;
  int license;
  int (*init)(void *);
  int (*check_uninstall)(void *);
  int (*deinit)(void *);
  unsigned int version;
  void *status_vars;
  void *system_vars;
  void *reserved;
  unsigned long flags;
};

/* Head of struct st_plugin_int, the server's record of an installed plugin. */
struct muster_mysql_plugin_int {
  const char *name;
  unsigned long name_length;
  struct muster_mysql_plugin *plugin;
  void *plugin_dl;
  unsigned int state;
  unsigned int ref_count;
  void *data;
};

/* struct ST_FIELD_INFO */
struct muster_mysql_field_info {
  const char *field_name;
  unsigned int field_length;
  int field_type;
  int value;
  unsigned int field_flags;
  const char *old_name;
  unsigned int open_method;
};

enum {
  MUSTER_MYSQL_TYPE_LONG = 3,
  MUSTER_MYSQL_TYPE_DOUBLE = 5,
  MUSTER_MYSQL_TYPE_LONGLONG = 8,
  MUSTER_MYSQL_TYPE_DATETIME = 12,
  MUSTER_MYSQL_TYPE_STRING = 254
};

enum {
  MUSTER_MYSQL_MAYBE_NULL = 1,
  MUSTER_MYSQL_UNSIGNED = 2
};

/* struct ST_SCHEMA_TABLE */
struct muster_mysql_schema_table {
  const char *table_name;
  struct muster_mysql_field_info *fields_info;
  int (*fill_table)(void *thd, void *table_ref, void *cond);
  void *old_format;
  void *process_table;
  unsigned char hidden;
};

/* struct my_plugin_log_service */
struct muster_mysql_log_service {
  int (*message)(void **plugin, int level, const char *format, ...);
};

enum {
  MUSTER_MYSQL_LOG_ERROR = 0,
  MUSTER_MYSQL_LOG_WARNING = 1,
  MUSTER_MYSQL_LOG_NOTE = 2
};

/* struct my_timeval, returned in two registers by THD::query_start_timeval_trunc */
struct muster_mysql_timeval {
  long seconds;
  long microseconds;
};

#endif
