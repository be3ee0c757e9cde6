/* MariaDB 10.11 and 11.x, x86-64. See muster_common.h. */
#ifndef MUSTER_MARIA_H
#define MUSTER_MARIA_H

#include "muster_common.h"

/* struct st_maria_plugin */
struct muster_maria_plugin {
  int type;
  void *info;
  const char *name;
  const char *author;
  const char *descr;
  int license;
  int (*init)(void *);
  int (*deinit)(void *);
  unsigned int version;
  void *status_vars;
  void *system_vars;
  const char *version_info;
  unsigned int maturity;
};

enum { MUSTER_MARIA_MATURITY_GAMMA = 4, MUSTER_MARIA_MATURITY_STABLE = 5 };

/* class ST_FIELD_INFO */
struct muster_maria_field_info {
  void *type_handler;
  unsigned int char_length;
  unsigned int unsigned_flag;
  void *typelib;
  const char *name;
  unsigned long name_length;
  unsigned int nullability;
  const char *old_name;
  unsigned long old_name_length;
  unsigned int open_method;
};

/* struct ST_SCHEMA_TABLE */
struct muster_maria_schema_table {
  const char *table_name;
  struct muster_maria_field_info *fields_info;
  void *reset_table;
  int (*fill_table)(void *thd, void *table_list, void *cond);
  void *old_format;
  void *process_table;
  int idx_field1;
  int idx_field2;
  unsigned char hidden;
  unsigned int i_s_requested_object;
};

#endif
