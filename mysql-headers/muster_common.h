/*
 * What MySQL and MariaDB share at the boundary between server and plugin, x86-64 (LP64).
 *
 * These are Muster's own declarations of an interface, not copies of a server's headers: only the members that
 * Muster reads or writes carry names that mean something, and no server header is needed to build. Every size and
 * offset is compared with the real headers by the test `tests/tests/plugin_headers/`, and again at run time.
 */
#ifndef MUSTER_COMMON_H
#define MUSTER_COMMON_H

/* Plugin types. */
enum {
  MUSTER_PLUGIN_DAEMON = 3,
  MUSTER_PLUGIN_INFORMATION_SCHEMA = 4
};

/* License of the plugin, as both servers number it. */
enum { MUSTER_LICENSE_GPL = 1 };

/* What `info` of a daemon or INFORMATION_SCHEMA plugin points to; must equal VERSION_ID << 8 of the server. */
struct muster_info {
  int interface_version;
};

/* One status variable. MariaDB's has no `scope`: its size is the same, those four bytes are padding there. */
struct muster_show_var {
  const char *name;
  char *value;
  int type;
  int scope;
};

enum {
  MUSTER_SHOW_LONGLONG = 4,
  MUSTER_SHOW_CHAR = 5,
  MUSTER_SHOW_FUNC_MYSQL = 8,
  MUSTER_SHOW_FUNC_MARIA = 13 /* SHOW_SIMPLE_FUNC: three arguments, as in MySQL */
};

enum { MUSTER_SHOW_SCOPE_GLOBAL = 1 };

/* Head of every system variable. */
struct muster_sys_var {
  int flags;
  const char *name;
  const char *comment;
  void *check;
  void *update;
};

struct muster_sys_var_str {
  struct muster_sys_var head;
  char **value;
  char *def;
};

struct muster_sys_var_uint {
  struct muster_sys_var head;
  unsigned int *value;
  unsigned int def;
  unsigned int min;
  unsigned int max;
  unsigned int block;
};

enum {
  MUSTER_VAR_INT = 0x0002,
  MUSTER_VAR_STR = 0x0005,
  MUSTER_VAR_UNSIGNED = 0x0080,
  MUSTER_VAR_READONLY = 0x0200,
  MUSTER_VAR_RQCMDARG = 0x0000
};

/* An object of the server's class Field_iterator_table, of which Muster calls one method. */
struct muster_field_iterator {
  void *vtable;
  void **field;
};

/* First words of the server's class Field: where its value lies in the record. */
struct muster_field_head {
  void *vtable;
  unsigned char *ptr;
};

#endif
